"""What people may know of a lock: how it stands, and the part of its journal that is theirs to read.

Nobody reads another resident's movements (L-51): the landlord sees faults, his own entries and his
staff's; a resident sees his own and those of non-residents: that a former tenant's key was tried is
among them. A guest is no resident: who lives in a room reads who of its guests came to its own door. At a
gate a guest's entry would tell of the room that he goes to, so only who named him reads it there. A guest
reads his own. Numbers are left out of what is shown, since counting them counts somebody's comings and
goings; whether anything is missing is said in one word.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from lockserver.app.name_places import ID_OCTETS, Place, place_owners
from lockserver.app.ports import UnitOfWork
from lockserver.domain.errors import NotFoundError
from lockserver.domain.health import bolt_of
from lockserver.domain.lock import Bolt, JournalLine, KeyOwner, Lock, LockStatus
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import How, What

SHOWN = 200
"""Newest entries looked through for one answer."""
FAULTS = frozenset(
    {
        What.BOOTED,
        What.CLOCK_SET,
        What.CLOCK_LOST,
        What.KEYS_APPLIED,
        What.REVOCATION_APPLIED,
        What.STATE_APPLIED,
        What.ENROLLED,
        What.TAMPERED,
        What.RETIRED,
        What.FIRMWARE_APPLIED,
        What.BATTERY_LOW,
    }
)
"""What a lock does by itself and says nothing of who came or went."""
BROUGHT = frozenset({What.CLOCK_SET, What.KEYS_APPLIED, What.REVOCATION_APPLIED, What.STATE_APPLIED})
"""Of these, what a phone brought stands at the minute in which its holder stood at the door."""
FORMER_KEY = Denial.EPOCH_LOW
"""The one denial that only a past tenancy's key can earn; an expired or revoked one may be a co-tenant's."""


@dataclass(frozen=True, slots=True)
class Known:
    """A lock with what it last said. `private`: somebody lives behind it, and the reader does not."""

    lock: Lock
    status: LockStatus
    private: bool = False

    @property
    def bolt(self) -> Bolt | None:
        """How the bolt stood last; None where that is not the reader's to know (L-51)."""
        return None if self.private else self.status.bolt


@dataclass(frozen=True, slots=True)
class Eyes:
    """Who reads: `homes` are the tenancies of the room behind this door that he lives in."""

    reader: UUID
    homes: frozenset[UUID]
    guest: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry as this reader may see it: his own, a non-resident's, or the lock's own doing."""

    line: JournalLine
    whose: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The readable part; `complete`: every number up to the last is kept."""

    entries: Sequence[Shown]
    complete: bool


async def know_lock(work: UnitOfWork, reader: UUID, lock_id: UUID, now: datetime) -> Known:
    """Return a lock to its landlord, his staff, or who holds a living grant at its door."""
    lock = await work.locks.get(lock_id)
    if lock is None:
        raise NotFoundError
    lives = bool(await work.grants.living(reader, lock.door_id, now))
    if not lives and not await _runs(work, reader, lock):
        raise NotFoundError
    said = await work.lock_states.get(lock_id)
    status = replace(said, bolt=bolt_of(said, None, now).value)  # as long as it can be known (L-50)
    home = await work.tenancies.living_in(lock.door_id, now)
    if home is None or any(one.holder_id == reader for one in await work.tenancies.occupants(home.id)):
        return Known(lock, status)
    return Known(lock, replace(status, last_seen_at=_to_the_hour(status.last_seen_at)), private=True)


async def read_journal(work: UnitOfWork, reader: UUID, lock_id: UUID, now: datetime) -> Journal:
    """Return what this reader may see, newest first. Raises NotFoundError."""
    known = await know_lock(work, reader, lock_id, now)
    living = await work.grants.living(reader, known.lock.door_id, now)
    lived = [grant for grant in living if grant.class_ == "tenant" and grant.epoch is not None]
    home_since = min((grant.lower for grant in lived), default=None)
    guest = bool(living) and all(grant.class_ == "guest" for grant in living)
    eyes = Eyes(reader, frozenset(one.tenancy_id for one in lived if one.tenancy_id is not None), guest)
    lines = await work.journals.newest(lock_id, SHOWN)
    named = [UUID(bytes=line.subject) for line in lines if line.subject and len(line.subject) == ID_OCTETS]
    owners = await work.credentials.owners(named)
    places = await place_owners(work, lock_id, lines)
    shown = [
        Shown(_blurred(line) if known.private else line, whose)
        for line in lines
        if (whose := _whose(line, owners, places, eyes) or _former(line, home_since)) is not None
    ]
    return Journal(shown, await work.journals.is_complete(lock_id))


def _to_the_hour(at: datetime | None) -> datetime | None:
    """A lock speaks when its door is used: to the second, `last seen` would be a list of comings and goings."""
    return at.replace(minute=0, second=0, microsecond=0) if at else None


def _blurred(line: JournalLine) -> JournalLine:
    """An offline lock's entries come with the phone of who stood before it: when, is his affair."""
    return replace(line, received_at=_to_the_hour(line.received_at) or line.received_at)


async def _runs(work: UnitOfWork, reader: UUID, lock: Lock) -> bool:
    """Tell whether the reader owns the house, or is its staff."""
    door = await work.doors.one(lock.door_id)
    house = await work.houses.one(door.house_id)
    return house.owner_holder_id == reader or await work.houses.is_staff(house.id, reader)


def _whose(
    line: JournalLine, owners: dict[UUID, KeyOwner], places: dict[Place, KeyOwner], eyes: Eyes
) -> str | None:
    """Return whose entry it is to this reader, or None where it is not his to see."""
    if line.subject is None:
        by_hand = line.how == How.HANDLE or (line.how == How.BLE and line.what in BROUGHT)
        return "lock" if line.what in FAULTS and not by_hand and not eyes.guest else None
    if len(line.subject) == ID_OCTETS:
        owner = owners.get(UUID(bytes=line.subject))
    else:
        owner = places.get((line.how, line.subject, line.number))
    if owner is None:
        return None
    if owner.holder_id == eyes.reader:
        return "mine"
    if owner.class_ == "guest":
        # A grant of a tenancy that the reader lives in: `lived` holds only those of this very room.
        return "guest" if owner.named_by == eyes.reader or owner.tenancy_id in eyes.homes else None
    return owner.class_ if owner.class_ in ("owner", "staff") and not eyes.guest else None


def _former(line: JournalLine, home_since: datetime | None) -> str | None:
    """Who lives in a room is told that a dead key was tried at his door since he moved in, not whose."""
    if home_since is None or line.at is None or line.at < home_since:
        return None
    return "former" if line.denial == FORMER_KEY else None
