"""How a lock is: for its landlord, his staff, and who holds a grant at its door."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.app.read_lock import know_lock
from lockserver.app.settle_slots import refusing
from lockserver.domain.health import (
    FROZEN_OPENINGS,
    Battery,
    Connection,
    Said,
    battery_of,
    bolt_of,
    connection_of,
)
from lockserver.domain.lock import Bolt, DoorPosition, LockDocument, LockStatus
from lockserver.protocol.journal import What

_BOLTS: Final[dict[int, Bolt]] = {
    int(What.UNLOCKED): "unlocked",
    int(What.HELD_OPEN): "unlocked",
    int(What.LOCKED): "locked",
    int(What.JAMMED): "unknown",
    int(What.TORN): "unknown",
}
"""What an entry says of the bolt after it."""


@dataclass(frozen=True, slots=True)
class Health:
    """A lock's state with ages. `bolt` and `door` None: not this reader's to know (L-51)."""

    status: LockStatus
    connection: Connection
    bolt: Said | None
    door: DoorPosition | None
    battery: Battery
    refused: list[LockDocument]
    findings: int
    unconfirmed: int


async def read_health(work: UnitOfWork, reader: UUID, lock_id: UUID, now: datetime) -> Health:
    """Return how the lock is; raises NotFoundError."""
    known = await know_lock(work, reader, lock_id, now)
    status = known.status
    newest = await work.journals.newest_among(lock_id, list(_BOLTS))
    moved = None if newest is None else Said(_BOLTS[newest.what], newest.received_at)
    openings = 0
    if status.battery_since is not None:
        whats = [int(What.UNLOCKED), int(What.HELD_OPEN)]
        openings = await work.journals.count_since(lock_id, whats, status.battery_since, FROZEN_OPENINGS + 1)
    slots = await work.slots.held(lock_id)
    return Health(
        status=status,
        connection=connection_of(status),
        bolt=None if known.private else bolt_of(status, moved, now),
        door=None if known.private else _door(status),
        battery=battery_of(status, openings, now),
        refused=refusing(await work.lock_documents.all_latest(lock_id), status),
        findings=len(await work.findings.open_of(lock_id)),
        unconfirmed=sum(slot.unconfirmed(now) is not None for slot in slots),
    )


def _door(status: LockStatus) -> DoorPosition:
    """The leaf moves by hand at any time: it is known only while the lock would tell."""
    return status.door if status.connected else "unknown"
