"""Send a lock its queued commands: `sent` is written and committed before anything is published.

So a crash between the two leaves a command that may or may not have gone out, and that is what its
row says; it ends by the lock's word, never by our guess (L-17).
"""

from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.app.carrying import Errand
from lockserver.app.ports.steps import Dispatched
from lockserver.domain.times import whole_seconds
from lockserver.protocol.commands import ActBody, CommandKind
from lockserver.protocol.commands import Command as WireCommand

AT_ONCE = 1_000
"""Commands of one lock in one go over its own connection: the lock has a queue of its own."""


async def send_commands(world: Bridging, lock_id: UUID) -> int:
    """Publish the lock's queued commands; return how many went out.

    Past its deadline a command is left for `settle_overdue`. While no broker is there it stays
    `queued`, and its deadline takes it: an unlock is an event that must die young. Through gateways one goes
    at a time, and none while all that hear the lock are busy: what nobody published ends as surely expired.
    """
    lock = await world.lock(lock_id)
    if lock is None or not world.bus.is_open:
        return 0
    now = world.clock.now()
    held_up = world.carrying.stands_in_the_way(lock_id, now)
    if held_up is not None:
        async with world.transactions.steps() as steps:
            await steps.hold_up(lock_id, held_up)
        return 0
    way = world.carrying.way(lock_id, now)
    most = 1 if isinstance(way, UUID) else AT_ONCE
    async with world.transactions.steps() as steps:
        ready = await steps.dispatch(lock_id, now, None if way is None else str(way), most)
    sent = 0
    for one in ready:
        errand = Errand(
            command_id=one.command_id,
            lock_id=lock_id,
            envelope=world.seal(lock, _wire(one)),
            until=one.not_after,
            noted=(None if way is None else str(way), None),
        )
        moves = world.carrying.act(errand, now)
        sent += world.hand_out(moves)
        await world.note(moves)
    return sent


async def try_other_ways(world: Bridging) -> None:
    """Let time go by for commands under way: silence on one way, and the next is tried."""
    moves = world.carrying.tick(world.clock.now())
    world.hand_out(moves)
    await world.note(moves)


def _wire(one: Dispatched) -> WireCommand:
    return WireCommand(
        command_id=one.command_id.bytes,
        kind=CommandKind[one.kind.upper()],
        body=ActBody(one.wish, one.credential),
        counter=one.counter,
        not_after=whole_seconds(one.not_after),
    )
