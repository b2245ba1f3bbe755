"""The lock's journal: numbered, hash-chained entries that prove their own completeness."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lockserver.protocol.codec import encode
from lockserver.protocol.cose import Kind
from lockserver.protocol.curve import sha256
from lockserver.protocol.errors import Denial
from lockserver.protocol.fields import HASH, as_choice, as_list, as_octets, as_uint, bad
from lockserver.protocol.limits import ID, MAX_BATCH, MAX_NUMBER, MAX_TIME
from lockserver.protocol.pin import subject_pin
from lockserver.protocol.slots import MAX_SLOT

GENESIS: Final = bytes(HASH)
"""Previous hash of entry 1."""


class What(IntEnum):
    """What happened.  Append-only."""

    UNLOCKED = 1
    LOCKED = 2
    HELD_OPEN = 3
    DENIED = 4
    BOOTED = 5
    TORN = 6  # power was cut within an act: whether the bolt moved is unknown
    CLOCK_SET = 7
    CLOCK_LOST = 8
    KEYS_APPLIED = 9
    REVOCATION_APPLIED = 10
    STATE_APPLIED = 11
    EPOCH_RAISED = 12
    ENROLLED = 13
    DOOR_OPENED = 14
    DOOR_CLOSED = 15
    TAMPERED = 16
    JAMMED = 17
    RETIRED = 18
    FIRMWARE_APPLIED = 19
    BATTERY_LOW = 20
    CAPTURED = 21  # a card or finger was read in to be enrolled
    CLEARED = 22  # a clear code forgot the offline PINs in use
    LOCKOUT = 23  # the keypad, or a reader, rests
    DOOR_HELD = 24  # open for too long
    FIRMWARE_REFUSED = 25


class How(IntEnum):
    """By which way.  Append-only."""

    SELF = 0  # the lock's own doing: boot, auto-lock
    BLE = 1
    REMOTE = 2
    PIN = 3
    CARD = 4
    HANDLE = 5  # inside handle
    CYLINDER = 6
    BUTTON = 7
    FINGER = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    ``subject``: credential id (16 bytes), a PIN's, card's or finger's slot (int up to 255), an offline
    PIN (``pin.offline_subject``, int above 255), or None.  ``at``: the lock's time in Unix seconds, None
    while its clock is lost; ``uncertainty`` in seconds.  ``count``: how many alike (coalesced denials), at
    least 1.
    """

    number: int
    prev_hash: bytes
    what: What
    how: How
    subject: bytes | int | None = None
    denial: Denial | None = None
    at: int | None = None
    uncertainty: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Head:
    """Number and hash of the last entry; ``Head()`` before the first."""

    number: int = 0
    hash: bytes = GENESIS


class FlawKind(IntEnum):
    """How a batch fails to continue what is known."""

    GAP = 1  # numbers are missing before this entry
    FORK = 2  # the number continues, the hash does not: another history
    REPEAT = 3  # a number already known; harmless if its hash is the known one


@dataclass(frozen=True, slots=True)
class Flaw:
    """One flaw, at entry ``number``; for a gap, ``missing`` entries before it."""

    kind: FlawKind
    number: int
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """What ``verify_chain`` found: entries that continue, the head after them, and every flaw."""

    accepted: tuple[Entry, ...]
    head: Head
    flaws: tuple[Flaw, ...]


def entry_row(entry: Entry) -> list[object]:
    """The entry as an array of nine, as it is hashed and sent."""
    return [
        entry.number,
        entry.prev_hash,
        int(entry.what),
        int(entry.how),
        entry.subject,
        None if entry.denial is None else int(entry.denial),
        entry.at,
        entry.uncertainty,
        entry.count,
    ]


def read_entry(value: object) -> Entry:
    """The reverse of ``entry_row``.  RemoteError: BAD_FORMAT."""
    number, prev, what, how, subject, denial, at, uncertainty, count = as_list(value, "entry", length=9)
    entry = Entry(
        number=as_uint(number, MAX_NUMBER, "number"),
        prev_hash=as_octets(prev, HASH, "previous hash"),
        what=as_choice(what, What, "what"),
        how=as_choice(how, How, "how"),
        subject=_read_subject(subject),
        denial=None if denial is None else as_choice(denial, Denial, "denial"),
        at=None if at is None else as_uint(at, MAX_TIME, "at"),
        uncertainty=None if uncertainty is None else as_uint(uncertainty, MAX_NUMBER, "uncertainty"),
        count=as_uint(count, MAX_NUMBER, "count"),
    )
    if entry.number < 1 or entry.count < 1:
        raise bad("numbers and counts start at 1")
    return entry


def _read_subject(value: object) -> bytes | int | None:
    if value is None:
        return None
    if type(value) is int:
        number = as_uint(value, MAX_NUMBER, "subject")
        if number > MAX_SLOT:
            subject_pin(number)
        return number
    return as_octets(value, ID, "subject")


def read_entries(value: object) -> tuple[Entry, ...]:
    """A batch of at most MAX_BATCH entries."""
    return tuple(read_entry(row) for row in as_list(value, "entries", most=MAX_BATCH))


def entry_hash(entry: Entry) -> bytes:
    """SHA-256 of ``"LK1-JRNL" || encoding of the entry``."""
    return sha256(Kind.JRNL.value.encode("ascii"), encode(entry_row(entry)))


def head_after(entry: Entry) -> Head:
    """The head once ``entry`` is the last."""
    return Head(entry.number, entry_hash(entry))


def verify_chain(prev: Head, entries: Iterable[Entry]) -> Chain:
    """Hold ``entries`` against the known head ``prev``.

    A repeat is skipped and named, unless it contradicts the head, which is a fork.  A gap is named, and
    the chain goes on from the entry after it: gaps are shown as gaps.  A fork ends the reading, since
    nothing after it can be trusted to belong to this lock's one history.
    """
    head = prev
    accepted: list[Entry] = []
    flaws: list[Flaw] = []
    seen = {prev.number: prev.hash}
    for entry in entries:
        if entry.number <= head.number:
            known = seen.get(entry.number)
            if known is not None and known != entry_hash(entry):
                flaws.append(Flaw(FlawKind.FORK, entry.number))
                break
            flaws.append(Flaw(FlawKind.REPEAT, entry.number))
            continue
        if entry.number > head.number + 1:
            missing = entry.number - head.number - 1
            flaws.append(Flaw(FlawKind.GAP, entry.number, missing))
        elif entry.prev_hash != head.hash:
            flaws.append(Flaw(FlawKind.FORK, entry.number))
            break
        accepted.append(entry)
        head = head_after(entry)
        seen[head.number] = head.hash
    return Chain(tuple(accepted), head, tuple(flaws))
