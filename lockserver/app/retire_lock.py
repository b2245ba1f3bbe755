"""A lock has said, signed, that it is nobody's any more: take its word, and let its name go."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lockserver.app.ports import UnitOfWork
from lockserver.domain.lock import JournalLine
from lockserver.protocol.journal import What

RETIRED: Final = int(What.RETIRED)


def retires(lines: Sequence[JournalLine]) -> bool:
    """Tell whether the lock says here that it forgets its door."""
    return any(line.what == RETIRED for line in lines)


async def retire_locks(work: UnitOfWork, lines: Sequence[JournalLine], now: datetime) -> None:
    """Retire the locks that wrote so: by their owner's order, or by ten seconds on a vacant room's button."""
    for lock_id in sorted({line.lock_id for line in lines if line.what == RETIRED}):
        if await work.locks.retire(lock_id):
            await work.audit.write("role:bridge", "lock_retired", f"lock:{lock_id}", at=now.isoformat())
            await work.notify("lock_state", lock_id.hex)
