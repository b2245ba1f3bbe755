"""Let a guest in, or make somebody staff with keys: one wish, one phone, one or several doors of a house.

The grantor's own grant at each door bounds what he gives: its window, its verbs, its hours. Guests of a room
are named by an adult who lives there, and by nobody else; at a gate by owner and staff too. Staff are
named by the owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from lockserver.app.found_grant import MOST, may_name
from lockserver.app.keep_house import KEY
from lockserver.app.ports import Random, UnitOfWork
from lockserver.app.sign_for_grant import check_signs
from lockserver.app.spend_owners_wish import Wished, spend_covering_wish
from lockserver.app.tell import tell
from lockserver.domain.account import Phone
from lockserver.domain.canonical import dumps
from lockserver.domain.errors import (
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PhoneUnknownError,
    WindowWideError,
)
from lockserver.domain.grant import Grant, Reach, verbs_of
from lockserver.domain.grant_errors import (
    CapabilityWideError,
    RoomsGuestsError,
    ScheduleWideError,
)
from lockserver.domain.house import Door
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import WishTerms
from lockserver.domain.terms import Terms, check_ahead, read_terms
from lockserver.domain.times import Window
from lockserver.protocol.wish import WishOperation


@dataclass(frozen=True, slots=True)
class Place:
    """One door of what is given, and the grantor's grant there, held, under which it hangs."""

    door: Door
    parent: Grant


async def give_grants(
    work: UnitOfWork, random: Random, now: datetime, giver_id: UUID, wished: Wished
) -> Sequence[Grant]:
    """Write one grant a door, all of them or none; they share a `bundle_id`.

    Raises NotFoundError, NotAllowedError, RoomsGuestsError, InvalidInputError, WindowInvalidError,
    WindowPastError, WindowWideError, ScheduleInvalidError, ScheduleZoneError, ScheduleWideError,
    CapabilityWideError, PhoneUnknownError, Wish…Error.
    """
    terms = read_terms(wished.body)
    places = await _places(work, now, giver_id, terms)
    guest = terms.class_ == "guest"
    operation = WishOperation.NAME_GUEST if guest else WishOperation.NAME_STAFF
    target = terms.door_ids[0] if guest else places[0].door.house_id
    taken = await spend_covering_wish(work, now, giver_id, wished, operation, target, {KEY: terms.key})
    for place in places:
        await check_signs(work, place.parent, taken.phone)
    check_ahead(terms.reach.window, now)
    for place in places:
        check_inside(terms.reach, place.parent.reach, MOST[terms.class_], place.door)
    phone = await _phone_of(work, terms.key, giver_id)
    wish_id = UUID(bytes=taken.wish.wish_id)
    await work.wishes.keep_terms(WishTerms(wish_id, dumps(wished.body), wished.salt))
    if terms.class_ == "staff":
        await work.houses.add_staff(places[0].door.house_id, phone.holder_id, wish_id)
    bundle = uuid7(now, random(10))
    given = [await _give(work, random, now, place, terms, (phone, wish_id, bundle)) for place in places]
    detail = {"doors": [str(place.door.id) for place in places], "class": terms.class_}
    await tell(work, random, now, [phone.holder_id], "grant_given", bundle, detail)
    return given


async def _places(work: UnitOfWork, now: datetime, giver_id: UUID, terms: Terms) -> list[Place]:
    """Return each door with the grant that bounds what is given there; a stranger finds no door."""
    mine = [one for one in await work.grants.of_holder(giver_id, now) if one.door_id in terms.door_ids]
    if {one.door_id for one in mine} != set(terms.door_ids):
        raise NotFoundError
    doors = [await work.doors.one(door_id) for door_id in terms.door_ids]
    if len({door.house_id for door in doors}) != 1:
        raise InvalidInputError(field="door_ids", problem="several_houses")
    homes = {one.tenancy_id for one in mine if one.class_ == "tenant" and one.epoch is not None}
    places = []
    for door in doors:
        at_door = [one for one in mine if one.door_id == door.id]
        able = [one for one in at_door if await may_name(work, one, terms.class_, door)]
        if not able:
            _refuse(at_door, door, terms)
        # Of several: the one of the same lease as the room's, then the one that reaches as far.
        able.sort(key=lambda one: (one.tenancy_id not in homes, not terms.reach.lies_in(one.reach)))
        places.append(Place(door, await work.grants.lock(able[0].id)))
    for place in places:
        if place.parent.state != "active":  # it was frozen while we looked
            raise NotFoundError
    return places


def _refuse(at_door: Sequence[Grant], door: Door, terms: Terms) -> NoReturn:
    if (
        terms.class_ == "guest"
        and door.kind == "room"
        and any(one.class_ in {"owner", "staff"} for one in at_door)
    ):
        raise RoomsGuestsError(field="door_ids", door_id=str(door.id))
    raise NotAllowedError


def check_inside(reach: Reach, bound: Reach, most: int, door: Door) -> None:
    """Refuse what reaches outside the grantor's own; the refusal names the member and the bound.

    Raises WindowWideError, CapabilityWideError, ScheduleWideError.
    """
    where = str(door.id)
    if not reach.window.lies_in(bound.window):
        raise WindowWideError(field="window", door_id=where, **_bounds(bound.window))
    over = reach.capabilities & ~(bound.capabilities & most)
    if over:
        has = verbs_of(bound.capabilities & most)
        raise CapabilityWideError(field="capabilities", door_id=where, over=verbs_of(over), one_of=has)
    if not Reach(reach.window, reach.capabilities, reach.schedule).lies_in(bound):
        weekly = None if bound.schedule is None else bound.schedule.get("weekly")
        raise ScheduleWideError(field="schedule", door_id=where, within=weekly)


def _bounds(window: Window) -> dict[str, Any]:
    upper = None if window.upper is None else window.upper.isoformat()
    return {"from": window.lower.isoformat(), "until": upper}


async def _phone_of(work: UnitOfWork, key: bytes, giver_id: UUID) -> Phone:
    """Return the phone that the grantor named; it was brought in by its own holder before."""
    phone = await work.phones.by_key(key)
    if phone is None or phone.state == "revoked":
        raise PhoneUnknownError(field="guest_key")
    if phone.holder_id == giver_id:
        raise InvalidInputError(field="guest_key", problem="own_phone")
    return phone


async def _give(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    place: Place,
    terms: Terms,
    whom: tuple[Phone, UUID, UUID],
) -> Grant:
    phone, wish_id, bundle = whom
    parent = place.parent
    grant = Grant(
        id=uuid7(now, random(10)),
        holder_id=phone.holder_id,
        door_id=place.door.id,
        class_=terms.class_,
        capabilities=terms.reach.capabilities,
        lower=terms.reach.window.lower,
        upper=terms.reach.window.upper,
        schedule=terms.reach.schedule,
        tenancy_id=parent.tenancy_id,
        epoch=parent.epoch,
        wish_id=wish_id,
        parent_id=parent.id,
        bundle_id=bundle,
        uses=terms.uses,
        guest_key=terms.key,
    )
    await work.grants.add(grant)
    await work.audit.write(
        f"holder:{parent.holder_id}", f"name_{terms.class_}", f"grant:{grant.id}", door=str(place.door.id)
    )
    return grant
