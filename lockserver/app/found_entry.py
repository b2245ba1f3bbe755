"""Whether an entry to an occupied room stands on a wish that allows it (L-52): the issuer looks again.

A row alone lets nobody in. A consent is signed by an adult who lives there, by his phone of that lease; an
emergency by the owner's, with its reason and its end; and everybody who lives there was told of it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_for_grant import kept_wish
from lockserver.domain.account import Phone
from lockserver.domain.entry import (
    CLASSES,
    CONSENT_MOST,
    EMERGENCIES_A_DAY,
    EMERGENCY_MOST,
    REASON_LEAST,
    Entry,
)
from lockserver.domain.house import Door
from lockserver.domain.tenancy import Occupant, Tenancy
from lockserver.domain.times import from_seconds, whole_seconds
from lockserver.protocol.wish import Wish, WishOperation

DAY = timedelta(days=1)


async def living_entries(work: UnitOfWork, door: Door, now: datetime) -> list[Entry]:
    """Return the entries of a room that live now and stand on what they say."""
    lock = await work.locks.at_door(door.id)
    home = await work.tenancies.living_in(door.id, now)
    if lock is None or home is None:
        return []
    found = [one for one in await work.entries.of_lock(lock.id, now) if one.lives(now)]
    return [one for one in found if await _stands(work, one, door, home)]


async def _stands(work: UnitOfWork, entry: Entry, door: Door, home: Tenancy) -> bool:
    """Tell whether a kept wish says what the row says, and everybody was told."""
    spent = await work.wishes.get(entry.wish_id)
    kept = None if spent is None else await kept_wish(work, spent)
    if kept is None or (entry.door_id, entry.tenancy_id) != (door.id, home.id):
        return False
    wish, phone = kept
    if wish.target_id != entry.lock_id.bytes or phone.holder_id != entry.given_by:
        return False
    people = await work.tenancies.occupants(home.id)
    told = set(await work.notices.told(entry.id))
    if not {one.holder_id for one in people} - {entry.given_by} <= told:
        return False
    if entry.kind == "consent":
        who = None if entry.holder_id is None else (await work.holders.one(entry.holder_id)).subject
        return says_consent(wish, entry, who) and await consents(work, phone, home, people)
    house = await work.houses.one(door.house_id)
    owns = phone.holder_id == house.owner_holder_id and phone.proved_by == "button"
    often = await work.entries.emergencies(door.id, entry.lower - DAY)
    return owns and says_emergency(wish, entry) and often <= EMERGENCIES_A_DAY


async def consents(work: UnitOfWork, phone: Phone, home: Tenancy, people: Sequence[Occupant]) -> bool:
    """Tell whether this phone speaks for an adult who lives there."""
    if phone.holder_id not in {one.holder_id for one in people if not one.is_minor}:
        return False
    verdict = await work.verdicts.newest(home.id, phone.holder_id, phone.id)
    return verdict is not None and verdict.outcome == "approved"


def says_consent(wish: Wish, entry: Entry, subject: bytes | None) -> bool:
    """Tell whether the wish allows at least this window, to these people (or one), for a stated time."""
    args = dict(wish.args)
    since, until, class_, who = (args.pop(name, None) for name in ("from", "until", "class", "who"))
    if wish.operation is not WishOperation.CONSENT_ENTRY or args or type(since) is not int:
        return False
    if type(until) is not int or type(class_) is not int or CLASSES.get(class_) != entry.class_:
        return False
    if who != subject:
        return False
    inside = since <= whole_seconds(entry.lower) and whole_seconds(entry.upper) <= until
    return inside and timedelta(seconds=until - since) <= CONSENT_MOST


def says_emergency(wish: Wish, entry: Entry) -> bool:
    """Tell whether the wish gives this reason and ends then, not long after it was signed."""
    if wish.operation is not WishOperation.EMERGENCY_ENTRY or set(wish.args) != {"reason", "until"}:
        return False
    reason, until = wish.args["reason"], wish.args["until"]
    if type(reason) is not str or type(until) is not int or len(reason.strip()) < REASON_LEAST:
        return False
    soon = from_seconds(until) <= from_seconds(wish.not_after) + EMERGENCY_MOST
    return reason == entry.reason and whole_seconds(entry.upper) <= until and soon and entry.class_ == "both"
