"""How a person stands to a lock, and whether the phone that signed may speak for him there.

A session asks, a phone wishes. The phone must be one that might hold a key cut from the very grant that the wish
stands on: who has somebody's telephone number can have a phone proved in a house of his own, and must not set a
PIN elsewhere with it (L-38).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lockserver.app.issue_credential import Withheld, may_hold
from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_for_grant import check_signs
from lockserver.app.spend_wish import Taken, spend_wish
from lockserver.domain.errors import GrantMissingError, KeyWithheldError, NotFoundError
from lockserver.domain.grant import Grant, GrantClass
from lockserver.domain.house import Door, House
from lockserver.domain.lock import Lock
from lockserver.domain.tenancy import Tenancy
from lockserver.protocol.wish import WishOperation


@dataclass(frozen=True, slots=True)
class Standing:
    """A holder before a lock. `grants`: his own at its door, active and not run out, tenant's first.

    `home`: the tenancy that lives behind the door now; `adult`: he is one of its adults.
    """

    holder_id: UUID
    lock: Lock
    door: Door
    house: House
    grants: Sequence[Grant]
    home: Tenancy | None
    adult: bool

    @property
    def owns(self) -> bool:
        """Whether the house is his."""
        return self.house.owner_holder_id == self.holder_id

    def grant(self, *classes: GrantClass) -> Grant:
        """Return his grant of the first of these classes that he has; raises GrantMissingError."""
        for class_ in classes:
            for grant in self.grants:
                if grant.class_ == class_:
                    return grant
        raise GrantMissingError


async def find_standing(work: UnitOfWork, holder_id: UUID, lock_id: UUID, now: datetime) -> Standing:
    """Return how he stands there; raises NotFoundError for who has nothing to do with the lock (L-35)."""
    lock = await work.locks.get(lock_id)
    if lock is None or lock.state != "active":
        raise NotFoundError
    door = await work.doors.one(lock.door_id)
    house = await work.houses.one(door.house_id)
    grants = [one for one in await work.grants.of_holder(holder_id, now) if one.door_id == door.id]
    if not grants and house.owner_holder_id != holder_id:
        raise NotFoundError
    home = await work.tenancies.living_in(door.id, now)
    return Standing(
        holder_id=holder_id,
        lock=lock,
        door=door,
        house=house,
        grants=sorted(grants, key=lambda one: (not one.lives(now), one.lower)),
        home=home,
        adult=home is not None and await _is_adult(work, home.id, holder_id),
    )


async def is_adult_tenant(work: UnitOfWork, grant: Grant) -> bool:
    """Tell whether a tenant's grant is that of one of the lease's adults."""
    return grant.tenancy_id is not None and await _is_adult(work, grant.tenancy_id, grant.holder_id)


async def _is_adult(work: UnitOfWork, tenancy_id: UUID, holder_id: UUID) -> bool:
    occupants = await work.tenancies.occupants(tenancy_id)
    return any(one.holder_id == holder_id and not one.is_minor for one in occupants)


async def spend_at_lock(
    work: UnitOfWork,
    standing: Standing,
    grant: Grant,
    raw: bytes,
    operation: WishOperation,
    now: datetime,
    target: UUID | None = None,
) -> Taken:
    """Use his wish, by a phone that may hold a key cut from this grant; `target`: else the lock.

    Raises Wish…Error, PhoneUnknownError, KeyWithheldError.
    """
    about = standing.lock.id if target is None else target
    taken = await spend_wish(work, now, standing.holder_id, raw, operation, about)
    await check_signs(work, grant, taken.phone)
    allowed = await may_hold(work, grant, standing.door, taken.phone, now)
    if isinstance(allowed, Withheld):
        raise KeyWithheldError(reason=allowed.reason)
    return taken
