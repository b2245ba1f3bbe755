"""Send a lock its queued commands: `sent` is written and committed before anything is published.

So a crash between the two leaves a command that may or may not have gone out, and that is what its
row says; it ends by the lock's word, never by our guess (L-17).
"""

from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.app.ports.steps import Dispatched
from lockserver.domain.times import whole_seconds
from lockserver.protocol.commands import ActBody, CommandKind
from lockserver.protocol.commands import Command as WireCommand


async def send_commands(world: Bridging, lock_id: UUID) -> int:
    """Publish the lock's queued commands; return how many went out.

    Past its deadline a command is left for `settle_overdue`. While no broker is there it stays
    `queued`, and its deadline takes it: an unlock is an event that must die young.
    """
    lock = await world.lock(lock_id)
    if lock is None or not world.bus.is_open:
        return 0
    async with world.transactions.steps() as steps:
        ready = await steps.dispatch(lock_id, world.clock.now())
    return sum(world.send(lock, _wire(one)) for one in ready)


def _wire(one: Dispatched) -> WireCommand:
    return WireCommand(
        command_id=one.command_id.bytes,
        kind=CommandKind.UNLOCK,
        body=ActBody(one.wish, one.credential),
        counter=one.counter,
        not_after=whole_seconds(one.not_after),
    )
