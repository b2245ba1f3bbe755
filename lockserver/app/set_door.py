"""A door's standing settings: when a gate stands open, how soon a lock locks by itself.

They open a door to everybody, so they take the owner's signature; the issuer believes no row, and reads the
kept wish again before it signs them into an access state.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from lockserver.app.keep_house import own_door
from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_for_grant import kept_wish
from lockserver.app.spend_owners_wish import Wished, spend_owners_wish
from lockserver.domain.canonical import dumps, loads
from lockserver.domain.errors import DomainError, InvalidInputError, NotAllowedError
from lockserver.domain.house import Door
from lockserver.domain.lock import WishTerms
from lockserver.domain.schedule import read_schedule
from lockserver.protocol.limits import MAX_AUTO_LOCK
from lockserver.protocol.wish import OF, WishOperation, digest_of

OPERATION: Final = WishOperation.EDIT_GRANT
"""With a door as its target: what everybody may at a door, as a grant is what one person may."""

LEAST_AUTO_LOCK: Final = 5
"""Seconds in which somebody with bags opens a leaf: with less, a landlord would shut his tenant out (L-45)."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """`hold_open` as a grant's schedule; `auto_lock` in seconds, None for the lock's own habit."""

    hold_open: dict[str, object] | None = None
    auto_lock: int | None = None


async def set_door(work: UnitOfWork, now: datetime, owner_id: UUID, door_id: UUID, wished: Wished) -> Door:
    """Replace both settings by what the owner signed.

    Raises NotFoundError, NotAllowedError (a room is never held open by the calendar), InvalidInputError,
    ScheduleInvalidError, ScheduleZoneError, PhoneUnknownError, Wish…Error.
    """
    _, door = await own_door(work, owner_id, door_id)
    settings = _read(wished.body)
    if settings.hold_open is not None and door.kind != "gate":
        raise NotAllowedError
    taken = await spend_owners_wish(work, now, owner_id, wished, OPERATION, door_id)
    wish_id = UUID(bytes=taken.wish.wish_id)
    await work.wishes.keep_terms(WishTerms(wish_id, dumps(wished.body), wished.salt))
    changed = replace(door, hold_open=settings.hold_open, auto_lock=settings.auto_lock)
    await work.doors.save(changed)
    await work.audit.write(
        f"holder:{owner_id}",
        "set_door",
        f"door:{door_id}",
        hold_open=settings.hold_open is not None,
        auto_lock=settings.auto_lock,
    )
    return changed


async def founded_settings(work: UnitOfWork, door: Door) -> DoorSettings:
    """Return what the owner signed last for this door, where the row says no other thing; else nothing."""
    if door.hold_open is None and door.auto_lock is None:
        return DoorSettings()
    house = await work.houses.one(door.house_id)
    for spent in reversed(await work.wishes.about(door.id)):
        kept = await kept_wish(work, spent)
        terms = await work.wishes.terms(spent.id)
        if kept is None or terms is None or kept[0].operation is not OPERATION:
            continue
        wish, phone = kept
        if phone.holder_id != house.owner_holder_id or phone.proved_by != "button":
            continue
        if wish.args != {OF: digest_of(terms.salt, terms.body)}:
            continue
        try:
            signed = _read(loads(terms.body))
        except DomainError:
            continue
        return signed if signed == DoorSettings(door.hold_open, door.auto_lock) else DoorSettings()
    return DoorSettings()


def _read(body: dict[str, Any]) -> DoorSettings:
    """Read the signed body; raises InvalidInputError, ScheduleInvalidError, ScheduleZoneError."""
    said, seconds = body.get("hold_open"), body.get("auto_lock")
    if said is not None and not isinstance(said, dict):
        raise InvalidInputError(field="hold_open")
    if seconds is not None and (type(seconds) is not int or not 0 <= seconds <= MAX_AUTO_LOCK):
        raise InvalidInputError(field="auto_lock", most=MAX_AUTO_LOCK)
    if seconds is not None and 0 < seconds < LEAST_AUTO_LOCK:
        raise InvalidInputError(field="auto_lock", least=LEAST_AUTO_LOCK)
    return DoorSettings(None if said is None else read_schedule(said), seconds)
