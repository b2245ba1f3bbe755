"""Who lives behind a door now, and the turnover epoch that its lock should have.

`doors.epoch` already counts leases that are signed for later: telling the lock of those would kill the present
tenant's key before his time.
"""

from dataclasses import dataclass
from datetime import datetime

from lockserver.app.ports import UnitOfWork
from lockserver.domain.house import Door
from lockserver.domain.tenancy import Tenancy


@dataclass(frozen=True, slots=True)
class Presence:
    """`epoch` None: a gate. `home`: the tenancy that lives there."""

    epoch: int | None
    home: Tenancy | None

    @property
    def occupied(self) -> bool:
        """Whether somebody lives there."""
        return self.home is not None


async def find_presence(work: UnitOfWork, door: Door, now: datetime) -> Presence:
    """Return the door's epoch at this instant, and the tenancy that lives there."""
    if door.kind == "gate":
        return Presence(None, None)
    begun = [
        tenancy
        for tenancy in await work.tenancies.of_house(door.house_id)
        if tenancy.door_id == door.id and tenancy.lower <= now
    ]
    epoch = max((tenancy.epoch for tenancy in begun), default=0)
    return Presence(epoch, next((tenancy for tenancy in begun if tenancy.lives(now)), None))
