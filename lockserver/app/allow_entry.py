"""Let owner or staff enter an occupied room for a while (L-52): by consent, or in a declared emergency.

Everybody who lives there is told in the same transaction. What was allowed lets no bolt move by itself: it
lets the issuer cut credentials with `entry`, which live no longer than it, and a day at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.found_entry import consents
from lockserver.app.ports import Random, UnitOfWork
from lockserver.app.spend_wish import Taken, spend_wish
from lockserver.app.tell import tell
from lockserver.domain.entry import (
    CLASSES,
    CONSENT_AHEAD,
    CONSENT_MOST,
    EMERGENCIES_A_DAY,
    EMERGENCY_MOST,
    REASON_LEAST,
    Entry,
    EntryClass,
    NoticeKind,
)
from lockserver.domain.errors import (
    InvalidInputError,
    NotFoundError,
    PhoneUnknownError,
    WishInvalidError,
)
from lockserver.domain.grant_errors import EntryInvalidError, EntryTooOftenError, RoomVacantError
from lockserver.domain.house import Door, House
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import Lock
from lockserver.domain.tenancy import Occupant, Tenancy
from lockserver.domain.times import from_seconds
from lockserver.protocol.cose import peek
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.limits import MAX_TIME
from lockserver.protocol.wish import MAX_WISH, Arg, WishOperation

_OPERATION = 3
KEPT = timedelta(days=30)
"""How long an entry that is over is shown to those who live there."""


@dataclass(frozen=True, slots=True)
class Home:
    """A room in which somebody lives: its lock, its lease, its people, its house."""

    lock: Lock
    door: Door
    house: House
    tenancy: Tenancy
    people: Sequence[Occupant]

    @property
    def adults(self) -> set[UUID]:
        """Who may consent."""
        return {one.holder_id for one in self.people if not one.is_minor}


@dataclass(frozen=True, slots=True)
class Said:
    """What a wish says: from when until when, for whom, in an emergency why."""

    lower: datetime
    upper: datetime
    class_: EntryClass
    holder_id: UUID | None = None
    reason: str | None = None


async def allow_entry(
    work: UnitOfWork, random: Random, now: datetime, caller_id: UUID, lock_id: UUID, wish: bytes
) -> Entry:
    """Record a consent (operation 11, by an adult who lives there) or an emergency (12, by the owner).

    Raises NotFoundError, RoomVacantError, EntryInvalidError, EntryTooOftenError, PhoneUnknownError,
    InvalidInputError, Wish…Error.
    """
    home = await _home(work, now, caller_id, lock_id)
    if _asks_for(wish) == WishOperation.CONSENT_ENTRY:
        entry = await _consent(work, random, now, caller_id, home, wish)
    else:
        entry = await _emergency(work, random, now, caller_id, home, wish)
    await work.entries.add(entry)
    others = {one.holder_id for one in home.people} - {caller_id}
    kind: NoticeKind = "entry_consent" if entry.kind == "consent" else "entry_emergency"
    detail = {
        "door": str(home.door.id),
        "class": entry.class_,
        "from": entry.lower.isoformat(),
        "until": entry.upper.isoformat(),
        "reason": entry.reason,
    }
    await tell(work, random, now, others, kind, entry.id, detail)
    await work.audit.write(
        f"holder:{caller_id}", kind, f"entry:{entry.id}", lock=str(lock_id), until=entry.upper.isoformat()
    )
    return entry


def _asks_for(wish: bytes) -> object:
    """Return the operation that a wish claims; who signed it is looked at when it is spent."""
    try:
        return peek(wish, limit=MAX_WISH).get(_OPERATION)
    except RemoteError:
        raise WishInvalidError from None


async def _home(work: UnitOfWork, now: datetime, caller_id: UUID, lock_id: UUID) -> Home:
    """Return who lives behind the lock, to them and to the owner; raises NotFoundError, RoomVacantError."""
    lock = await work.locks.get(lock_id)
    if lock is None or lock.state != "active":
        raise NotFoundError
    door = await work.doors.lock(lock.door_id)  # one declaration at a time: they are counted
    house = await work.houses.one(door.house_id)
    tenancy = await work.tenancies.living_in(door.id, now)
    people = [] if tenancy is None else await work.tenancies.occupants(tenancy.id)
    if caller_id not in {house.owner_holder_id, *(one.holder_id for one in people)}:
        raise NotFoundError
    if tenancy is None:
        raise RoomVacantError
    return Home(lock, door, house, tenancy, people)


async def _consent(
    work: UnitOfWork, random: Random, now: datetime, caller_id: UUID, home: Home, wish: bytes
) -> Entry:
    """Read who may come when; by the phone that passed identity for this very lease."""
    taken = await spend_wish(work, now, caller_id, wish, WishOperation.CONSENT_ENTRY, home.lock.id)
    if caller_id not in home.adults or not await consents(work, taken.phone, home.tenancy, home.people):
        raise PhoneUnknownError
    args = dict(taken.wish.args)
    lower, upper = _time(args.pop("from", None), "from"), _time(args.pop("until", None), "until")
    class_ = CLASSES.get(_number(args.pop("class", None), "class"))
    who = args.pop("who", None)
    if class_ is None:
        raise EntryInvalidError(field="class", one_of=sorted(CLASSES))
    if args:
        raise EntryInvalidError(field=min(args))
    if not lower < upper or upper <= now:
        raise EntryInvalidError(field="until", later_than=max(lower, now).isoformat())
    if upper - lower > CONSENT_MOST:
        raise EntryInvalidError(field="until", most_hours=int(CONSENT_MOST.total_seconds() // 3600))
    if lower - now > CONSENT_AHEAD:
        raise EntryInvalidError(field="from", most_days_ahead=CONSENT_AHEAD.days)
    holder_id = await _who(work, home, class_, who)
    return _entry(random, now, home, taken, Said(lower, upper, class_, holder_id))


async def _who(work: UnitOfWork, home: Home, class_: EntryClass, who: Arg | None) -> UUID | None:
    """Return the one person who may come, named by his pseudonym; None where all of the class may."""
    if who is None:
        return None
    holder = await work.holders.by_subject(who) if type(who) is bytes else None
    if holder is None:
        raise InvalidInputError(field="who")
    owner = home.house.owner_holder_id == holder.id
    works = owner if class_ == "owner" else await work.houses.is_staff(home.house.id, holder.id)
    if not works:
        raise InvalidInputError(field="who")
    return holder.id


async def _emergency(
    work: UnitOfWork, random: Random, now: datetime, caller_id: UUID, home: Home, wish: bytes
) -> Entry:
    """Read reason and end; by the owner's phone that a lock's button proved."""
    taken = await spend_wish(work, now, caller_id, wish, WishOperation.EMERGENCY_ENTRY, home.lock.id)
    if caller_id != home.house.owner_holder_id or taken.phone.proved_by != "button":
        raise PhoneUnknownError
    args = dict(taken.wish.args)
    reason, upper = args.pop("reason", None), _time(args.pop("until", None), "until")
    if type(reason) is not str or len(reason.strip()) < REASON_LEAST:
        raise EntryInvalidError(field="reason", least_characters=REASON_LEAST)
    if args:
        raise EntryInvalidError(field=min(args))
    if upper <= now or upper - now > EMERGENCY_MOST:
        most = int(EMERGENCY_MOST.total_seconds() // 3600)
        raise EntryInvalidError(field="until", later_than=now.isoformat(), most_hours=most)
    day = now - timedelta(days=1)
    if await work.entries.emergencies(home.door.id, day) >= EMERGENCIES_A_DAY:
        raise EntryTooOftenError(most_a_day=EMERGENCIES_A_DAY)
    return _entry(random, now, home, taken, Said(now, upper, "both", reason=reason))


def _entry(random: Random, now: datetime, home: Home, taken: Taken, said: Said) -> Entry:
    return Entry(
        id=uuid7(now, random(10)),
        lock_id=home.lock.id,
        door_id=home.door.id,
        tenancy_id=home.tenancy.id,
        kind="consent" if said.reason is None else "emergency",
        class_=said.class_,
        holder_id=said.holder_id,
        given_by=taken.phone.holder_id,
        wish_id=UUID(bytes=taken.wish.wish_id),
        reason=said.reason,
        lower=said.lower,
        upper=said.upper,
    )


def _number(said: Arg | None, field: str) -> int:
    if type(said) is not int:
        raise EntryInvalidError(field=field)
    return said


def _time(said: Arg | None, field: str) -> datetime:
    seconds = _number(said, field)
    if not 0 <= seconds < MAX_TIME:
        raise EntryInvalidError(field=field)
    try:
        return from_seconds(seconds)
    except (OverflowError, ValueError) as far:
        raise EntryInvalidError(field=field) from far


async def end_entry(
    work: UnitOfWork, random: Random, now: datetime, caller_id: UUID, entry_id: UUID, wish: bytes
) -> Entry:
    """End an entry early: a consent by any adult who lives there, an emergency by the owner (operation 7).

    Keys with `entry` go onto the lock's next list. Raises NotFoundError, GrantEndedError, PhoneUnknownError,
    Wish…Error.
    """
    entry, home = await _seen(work, now, caller_id, entry_id)
    if entry.kind == "consent" and caller_id not in home.adults:
        raise NotFoundError
    if entry.kind == "emergency" and caller_id != home.house.owner_holder_id:
        raise NotFoundError
    ended = entry.ended(now)
    taken = await spend_wish(work, now, caller_id, wish, WishOperation.REVOKE, entry_id)
    if entry.kind == "consent":
        proved = await consents(work, taken.phone, home.tenancy, home.people)
    else:
        proved = taken.phone.proved_by == "button"
    if not proved:
        raise PhoneUnknownError
    await work.entries.end(entry_id, now)
    await work.credentials.withdraw_entry(entry.lock_id, now)
    told = {one.holder_id for one in home.people} | {home.house.owner_holder_id}
    detail = {"door": str(home.door.id), "at": now.isoformat()}
    await tell(work, random, now, told - {caller_id}, "entry_ended", entry.id, detail)
    await work.audit.write(f"holder:{caller_id}", "end_entry", f"entry:{entry.id}")
    await work.notify("lock_state", entry.lock_id.hex)
    return ended


async def _seen(work: UnitOfWork, now: datetime, caller_id: UUID, entry_id: UUID) -> tuple[Entry, Home]:
    entry = await work.entries.get(entry_id)
    if entry is None:
        raise NotFoundError
    try:
        home = await _home(work, now, caller_id, entry.lock_id)
    except RoomVacantError:
        raise NotFoundError from None
    if entry.tenancy_id != home.tenancy.id:
        raise NotFoundError
    return await work.entries.lock(entry_id), home


async def read_entries(work: UnitOfWork, now: datetime, caller_id: UUID, lock_id: UUID) -> Sequence[Entry]:
    """Return who was let in when, to those who live there and to the owner; of this lease, newest first.

    Raises NotFoundError.
    """
    try:
        home = await _home(work, now, caller_id, lock_id)
    except RoomVacantError:
        return []
    found = await work.entries.of_lock(lock_id, now - KEPT)
    return [one for one in found if one.tenancy_id == home.tenancy.id]
