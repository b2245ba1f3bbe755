"""Sign a lease: one transaction writes it, its keys and its duties, or nothing (L-23)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from lockserver.app.keep_house import own_door
from lockserver.app.log_in import find_or_make_holder
from lockserver.app.ports import PhoneIndex, Random, UnitOfWork
from lockserver.app.spend_owners_wish import Wished, spend_owners_wish
from lockserver.domain import statutes
from lockserver.domain.canonical import b64url
from lockserver.domain.duties import Duty
from lockserver.domain.errors import ConflictError, LeaseOrderError, RoomTakenError, WindowInvalidError
from lockserver.domain.grant import Capability, Grant
from lockserver.domain.grant_errors import LandlordOccupantError
from lockserver.domain.house import Door, House
from lockserver.domain.ids import new_secret, uuid7
from lockserver.domain.phone_number import mask, normalise
from lockserver.domain.tenancy import KeyPolicy, Occupant, Tenancy, check_occupants, next_epoch
from lockserver.domain.times import Window, whole_seconds
from lockserver.protocol.wish import Arg, WishOperation

TENANT_CAPABILITIES = int(Capability.UNLOCK | Capability.LOCK | Capability.READ_JOURNAL)
GATE_CAPABILITIES = int(Capability.UNLOCK)
FROM, UNTIL = "from", "until"
"""Arguments of the landlord's wish, in Unix seconds: the lease's window."""


@dataclass(frozen=True, slots=True, repr=False)
class NewOccupant:
    """Somebody who will live there, by telephone number; a minor names his guardian's."""

    phone: str
    is_minor: bool = False
    guardian_phone: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Lease:
    """What a landlord signs, with his phone's signature."""

    door_id: UUID
    window: Window
    occupants: Sequence[NewOccupant]
    key_policy: KeyPolicy
    wished: Wished


@dataclass(frozen=True, slots=True, repr=False)
class Invite:
    """A link for one tenant; its token is kept only as a hash."""

    holder_id: UUID
    phone_mask: str
    token: str


@dataclass(frozen=True, slots=True)
class Signed:
    """The lease with all that it made."""

    tenancy: Tenancy
    duties: Sequence[Duty]
    invites: Sequence[Invite]


def invite_hash(token: str) -> bytes:
    """Return the hash under which an invite's token is kept."""
    return hashlib.sha256(b"lockserver invite\0" + token.encode()).digest()


async def sign_tenancy(
    work: UnitOfWork,
    index: PhoneIndex,
    random: Random,
    now: datetime,
    landlord_id: UUID,
    lease: Lease,
) -> Signed:
    """Write tenancy, occupants, one arrival duty each, grants, the room's next epoch, invites.

    Raises NotFoundError, NotARoomError, WindowInvalidError, RoomFullError, GuardianMissingError,
    RoomTakenError, LeaseOrderError, LandlordOccupantError, PhoneUnknownError, Wish…Error.
    """
    house, door = await own_door(work, landlord_id, lease.door_id)
    upper = lease.window.upper
    if upper is None or upper <= now:
        raise WindowInvalidError
    # The issuer holds the lease against these two later: the rest names people by their numbers.
    lasts: dict[str, Arg] = {FROM: whole_seconds(lease.window.lower), UNTIL: whole_seconds(upper)}
    signed = WishOperation.SIGN_TENANCY
    taken = await spend_owners_wish(work, now, landlord_id, lease.wished, signed, door.id, lasts)
    tenancy = Tenancy(
        id=uuid7(now, random(10)),
        door_id=door.id,
        lower=lease.window.lower,
        upper=upper,
        epoch=next_epoch(door),
        state="signed",
        signed_by=landlord_id,
        key_policy=lease.key_policy,
        wish_id=UUID(bytes=taken.wish.wish_id),
    )
    occupants, invites = await _occupants(work, index, random, now, tenancy, lease)
    check_occupants(door, occupants)
    if landlord_id in {one.holder_id for one in occupants}:
        # He would hold a tenant's key to a room that others live in.
        raise LandlordOccupantError(field="tenants")
    try:
        await work.tenancies.add(tenancy)
    except ConflictError:
        raise RoomTakenError from None
    await _last_in_time(work, house.id, tenancy)
    await work.doors.save(replace(door, epoch=tenancy.epoch))
    duties = [await _move_in(work, random, now, house, door, tenancy, one) for one in occupants]
    await work.audit.write(
        f"holder:{landlord_id}",
        "sign_tenancy",
        f"tenancy:{tenancy.id}",
        door=str(door.id),
        epoch=tenancy.epoch,
        occupants=len(occupants),
    )
    return Signed(tenancy, duties, invites)


async def _last_in_time(work: UnitOfWork, house_id: UUID, new: Tenancy) -> None:
    """Refuse a lease for a gap before a signed one: its higher epoch would kill that one's keys (L-45)."""
    for other in await work.tenancies.of_house(house_id):
        if other.door_id == new.door_id and other.state == "signed" and other.lower > new.lower:
            raise LeaseOrderError(begins=other.lower.isoformat())


async def _occupants(
    work: UnitOfWork,
    index: PhoneIndex,
    random: Random,
    now: datetime,
    tenancy: Tenancy,
    lease: Lease,
) -> tuple[list[Occupant], list[Invite]]:
    holders: dict[str, UUID] = {}
    numbers = [normalise(one.phone) for one in lease.occupants]
    for number in numbers:
        holder = await find_or_make_holder(work, index, random, now, number)
        holders[number] = holder.id
    occupants, invites = [], []
    for number, one in zip(numbers, lease.occupants, strict=True):
        guardian = normalise(one.guardian_phone) if one.guardian_phone else ""
        token = b64url(new_secret(random))
        invites.append(Invite(holders[number], mask(number), token))
        occupants.append(
            Occupant(
                tenancy_id=tenancy.id,
                holder_id=holders[number],
                is_minor=one.is_minor,
                guardian_holder_id=holders.get(guardian) if one.is_minor else None,
                invite_hash=invite_hash(token),
            )
        )
    return occupants, invites


async def _move_in(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    house: House,
    room: Door,
    tenancy: Tenancy,
    occupant: Occupant,
) -> Duty:
    """Write one occupant, what the law asks of him, and his rights at the room and the gates."""
    await work.tenancies.add_occupant(occupant)
    clock = statutes.arrival(tenancy.lower)
    duty = Duty(
        id=uuid7(now, random(10)),
        tenancy_id=tenancy.id,
        holder_id=occupant.holder_id,
        kind="arrival",
        requirement="required",
        rule_id=clock.rule_id,
        rule_version=clock.rule_version,
        due_at=clock.due_at,
        provisional=clock.provisional,
    )
    await work.duties.add(duty)
    for door in (room, *await work.doors.gates(house.id)):
        own = door.id == room.id
        await work.grants.add(
            Grant(
                id=uuid7(now, random(10)),
                holder_id=occupant.holder_id,
                door_id=door.id,
                class_="tenant",
                capabilities=TENANT_CAPABILITIES if own else GATE_CAPABILITIES,
                lower=tenancy.lower,
                upper=tenancy.upper,
                tenancy_id=tenancy.id,
                epoch=tenancy.epoch if own else None,
            )
        )
    return duty
