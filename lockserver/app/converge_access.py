"""Make a lock hold what it should: send documents until it reports their numbers itself.

A revocation is a state that must converge. It is sent again with a growing, bounded pause, so that a
lock which refuses is not drained, and one that was away gets it at its next hello.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.app.settle_slots import held_numbers, refusing
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import Lock, LockDocument, LockStatus
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.commands import Command as WireCommand
from lockserver.protocol.commands import CommandKind, DocumentsBody, HelloBody

FIRST_PAUSE = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)
_KINDS = {
    "keys": DocumentKind.KEYS,
    "revocation": DocumentKind.REVOCATION,
    "state": DocumentKind.STATE,
    "release": DocumentKind.RELEASE,
}
_ORDER = ("keys", "revocation", "state", "release")


def pause(tries: int) -> timedelta:
    """Return how long to wait after the n-th try (from 1) before the next: doubling, bounded."""
    doublings: int = 2 ** min(tries - 1, 16)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


def missing(desired: Sequence[LockDocument], status: LockStatus) -> list[LockDocument]:
    """Return the documents of which the lock reported a lower number, or never spoke; none that it refuses."""
    held, refused = held_numbers(status), refusing(desired, status)
    held |= {"release": -1}  # it is obeyed or it is not: a lock that has forgotten its door reports no number
    wanted = [one for one in desired if one.number > held[one.kind] and one not in refused]
    return sorted(wanted, key=lambda one: _ORDER.index(one.kind))


async def converge_access(world: Bridging, lock_id: UUID) -> bool:
    """Send the lock what it lacks. True: something was sent, and its report is awaited."""
    lock = await world.lock(lock_id)
    if lock is None:
        return False
    async with world.transactions.begin() as work:
        desired = await work.lock_documents.all_latest(lock_id)
        status = await work.lock_states.get(lock_id)
    wanted = missing(desired, status)
    if not wanted:
        return False
    send_documents(world, lock, [SignedDocument(_KINDS[one.kind], one.raw) for one in wanted])
    return True


def send_documents(world: Bridging, lock: Lock, documents: Sequence[SignedDocument]) -> bool:
    """Hand signed documents to the lock: all at once over its own connection, one by one through a gateway."""
    now = world.clock.now()
    carried = isinstance(world.carrying.way(lock.id, now), UUID)
    parts = [(one,) for one in documents] if carried else [tuple(documents)]
    handed = [
        world.send(lock, WireCommand(command_id(world, now), CommandKind.DOCUMENTS, DocumentsBody(part)))
        for part in parts
    ]
    return all(handed)


def ask_hello(world: Bridging, lock: Lock) -> bool:
    """Ask a lock where it stands; after a start of ours it does not know that we were away."""
    return world.send(lock, hello_command(world))


def hello_command(world: Bridging) -> WireCommand:
    """Return a command that asks for a hello."""
    return WireCommand(command_id(world, world.clock.now()), CommandKind.SAY_HELLO, HelloBody())


def command_id(world: Bridging, now: datetime) -> bytes:
    """Return a fresh id for a command that nobody's wish stands behind."""
    return uuid7(now, world.random(10)).bytes
