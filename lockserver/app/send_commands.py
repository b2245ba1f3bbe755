"""Send a lock its queued commands: `sent` is written and committed before anything is published.

So a crash between the two leaves a command that may or may not have gone out, and that is what its
row says; it ends by the lock's word, never by our guess (L-17).
"""

from dataclasses import dataclass
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.domain.command import Command
from lockserver.domain.lock import Lock
from lockserver.domain.times import whole_seconds
from lockserver.protocol.commands import ActBody, CommandKind
from lockserver.protocol.commands import Command as WireCommand


@dataclass(frozen=True, slots=True)
class Sendable:
    """A command with the two signed things it carries."""

    command: Command
    wish: bytes
    credential: bytes


async def send_commands(world: Bridging, lock_id: UUID) -> int:
    """Publish the lock's queued commands; return how many went out.

    Past its deadline a command is `expired` instead. While no broker is there it stays `queued`, and
    its deadline takes it: an unlock is an event that must die young.
    """
    lock = await world.lock(lock_id)
    if lock is None or not world.bus.is_open:
        return 0
    ready = await _mark_sent(world, lock)
    return sum(world.send(lock, _wire(one)) for one in ready)


async def _mark_sent(world: Bridging, lock: Lock) -> list[Sendable]:
    now = world.clock.now()
    ready = []
    async with world.transactions.begin() as work:
        for command in await work.commands.queued(lock.id):
            if command.overdue(now) is not None:
                continue  # `settle_overdue` has a word for it
            wish = await work.wishes.get(command.wish_id)
            credential = await work.credentials.get(command.credential_id) if command.credential_id else None
            if wish is None or credential is None:
                continue
            sent = command.sent(now)
            await work.commands.save(sent)
            ready.append(Sendable(sent, wish.raw, credential.raw))
    return ready


def _wire(one: Sendable) -> WireCommand:
    return WireCommand(
        command_id=one.command.id.bytes,
        kind=CommandKind.UNLOCK,
        body=ActBody(one.wish, one.credential),
        counter=one.command.counter,
        not_after=whole_seconds(one.command.not_after),
    )
