"""A landlord's houses: create one, add doors, name staff; what is not his does not exist for him."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from lockserver.app.log_in import find_or_make_holder
from lockserver.app.ports import PhoneIndex, Random, UnitOfWork
from lockserver.app.spend_owners_wish import Wished, spend_owners_wish
from lockserver.domain.errors import InvalidInputError, NotFoundError
from lockserver.domain.grant import Capability, Grant
from lockserver.domain.house import Door, House
from lockserver.domain.ids import uuid7
from lockserver.protocol.wish import Arg, WishOperation

OWNER_CAPABILITIES = int(
    Capability.UNLOCK
    | Capability.HOLD_OPEN
    | Capability.LOCK
    | Capability.READ_JOURNAL
    | Capability.ADMINISTER
)


KEY = "key"
"""Argument of a wish that names somebody: SHA-256 of the signing key of his one phone."""


@dataclass(frozen=True, slots=True)
class NewDoor:
    """A gate has no capacity; a room says how many may live in it."""

    kind: Literal["gate", "room"]
    name: str
    capacity: int | None


@dataclass(frozen=True, slots=True, repr=False)
class NewStaff:
    """Whom a landlord names, by telephone number, with his phone's signature.

    `key`: SHA-256 of his phone's signing key, where the landlord has seen that phone: it then counts as his.
    """

    phone: str
    wished: Wished
    key: bytes | None = None


async def own_house(work: UnitOfWork, holder_id: UUID, house_id: UUID) -> House:
    """Return a landlord's own house; raises NotFoundError for another's as for none."""
    house = await work.houses.get(house_id)
    if house is None or house.owner_holder_id != holder_id:
        raise NotFoundError
    return house


async def own_door(work: UnitOfWork, holder_id: UUID, door_id: UUID) -> tuple[House, Door]:
    """Return a door of a landlord's own house, held until the end; raises NotFoundError."""
    seen = await work.doors.get(door_id)
    if seen is None:
        raise NotFoundError
    house = await own_house(work, holder_id, seen.house_id)
    return house, await work.doors.lock(door_id)


async def create_house(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    owner_id: UUID,
    name: str,
    address_id: str,
    station_code: str,
) -> House:
    """Create a house of this holder's."""
    house = House(uuid7(now, random(10)), owner_id, name, address_id, station_code)
    await work.houses.add(house)
    await work.audit.write(f"holder:{owner_id}", "create_house", f"house:{house.id}")
    return house


async def add_door(
    work: UnitOfWork, random: Random, now: datetime, owner_id: UUID, house_id: UUID, new: NewDoor
) -> Door:
    """Add a door and the owner's own grant for it. Raises NotFoundError, InvalidInputError."""
    house = await own_house(work, owner_id, house_id)
    if (new.kind == "room") != (new.capacity is not None):
        raise InvalidInputError(field="capacity")
    door = Door(
        id=uuid7(now, random(10)),
        house_id=house.id,
        kind=new.kind,
        name=new.name,
        capacity=new.capacity,
        epoch=0 if new.kind == "room" else None,
    )
    await work.doors.add(door)
    await work.grants.add(
        Grant(
            id=uuid7(now, random(10)),
            holder_id=owner_id,
            door_id=door.id,
            class_="owner",
            capabilities=OWNER_CAPABILITIES,
            lower=now,
            upper=None,
        )
    )
    await work.audit.write(f"holder:{owner_id}", "add_door", f"door:{door.id}", kind=new.kind)
    return door


async def name_staff(
    work: UnitOfWork,
    index: PhoneIndex,
    random: Random,
    now: datetime,
    owner_id: UUID,
    house_id: UUID,
    new: NewStaff,
) -> UUID:
    """Make the holder behind a number staff of a house; he may check identities there.

    It conveys no key: a staff key is a grant of its own. Raises NotFoundError, PhoneUnknownError,
    Wish…Error.
    """
    house = await own_house(work, owner_id, house_id)
    named: dict[str, Arg] = {} if new.key is None else {KEY: new.key}
    taken = await spend_owners_wish(
        work, now, owner_id, new.wished, WishOperation.NAME_STAFF, house.id, named
    )
    holder = await find_or_make_holder(work, index, random, now, new.phone)
    wish_id = None if new.key is None else UUID(bytes=taken.wish.wish_id)
    await work.houses.add_staff(house.id, holder.id, wish_id)
    await work.audit.write(f"holder:{owner_id}", "name_staff", f"house:{house.id}", holder=str(holder.id))
    return holder.id
