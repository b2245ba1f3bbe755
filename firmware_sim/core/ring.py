"""The journal in flash: numbered, hash-chained, freed only when the server has acknowledged.

Three promises (door-protocol, "Journal"; law L-53):
- openings have slots that denials cannot take;
- denials alike are counted, not repeated: the first is written at once, the others of the same kind
  wait and are written as one entry with their count;
- a full ring never refuses a rightful entry: the oldest word of the leaf's sensor goes first, then the
  oldest unreported denial, then the oldest entry, and the gap in the numbers shows it.

An entry, once written, is never changed: its hash may already be known outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.journal import (
    Entry,
    Head,
    How,
    What,
    entry_row,
    head_after,
    read_entry,
)
from lockserver.protocol.limits import MAX_BATCH

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash
    from lockserver.protocol.errors import Denial

#: Unacknowledged entries. At 84 bytes each this is a third of a flash bank.
SLOTS: Final = 640
#: Slots that only entries other than denials may take: a month offline at 17 openings a day.
RESERVED: Final = 512
#: Seconds for which denials alike are only counted.
COALESCE: Final = 60
#: Kinds of denial counted apart; a further kind loses its subject, then waits for a free place.
KINDS: Final = 16

#: What anybody at the door can cause as often as he likes: it goes into the places that are not reserved.
CHEAP: Final = frozenset({What.DENIED, What.LOCKOUT})
#: What a door says that swings in the wind: first to go when the ring is full.
LEAF: Final = frozenset({What.DOOR_OPENED, What.DOOR_CLOSED})

_HEAD: Final = "journal.head"
_ENTRY: Final = "journal."


@dataclass(slots=True)
class _Waiting:
    since: int
    count: int


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes two denials alike."""

    how: How
    denial: Denial
    subject: bytes | int | None


@dataclass(slots=True)
class Ring:
    """The journal of one lock. Times: Unix seconds by the lock, and whole seconds since boot."""

    flash: Flash
    head: Head = field(init=False)
    _entries: dict[int, Entry] = field(init=False)
    _waiting: dict[Kind, _Waiting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._entries = {}
        raw = self.flash.get(_HEAD)
        self.head = Head() if raw is None else _read_head(raw)
        for key in self.flash.names():
            if key.startswith(_ENTRY) and key != _HEAD:
                entry = read_entry(decode(self.flash.get(key) or b""))
                self._entries[entry.number] = entry
        self._entries = dict(sorted(self._entries.items()))

    @property
    def held(self) -> tuple[Entry, ...]:
        """All unacknowledged entries, in order."""
        return tuple(self._entries.values())

    def batch(self, after: int, most: int = MAX_BATCH) -> tuple[Entry, ...]:
        """Up to `most` unacknowledged entries with a number above `after`."""
        return tuple(e for n, e in self._entries.items() if n > after)[:most]

    def append(
        self,
        what: What,
        how: How,
        *,
        at: int | None,
        uncertainty: int | None,
        subject: bytes | int | None = None,
        beside: dict[str, bytes | None] | None = None,
    ) -> Entry:
        """Write an entry, and whatever is put `beside` it, in one record."""
        return self._write(what, how, at, uncertainty, subject, None, 1, beside or {})

    def rests(self, how: How, *, at: int | None, uncertainty: int | None) -> None:
        """Write that a keypad or reader rests after failures, if there is a place that is not reserved."""
        if self._room_for_denial():
            self.append(What.LOCKOUT, how, at=at, uncertainty=uncertainty)

    def deny(
        self, kind: Kind, *, at: int | None, uncertainty: int | None, uptime: int, count: int = 1
    ) -> Entry | None:
        """Write a denial, or count it if one alike was written less than `COALESCE` seconds ago.

        `count`: how many alike it stands for.
        """
        if kind not in self._waiting and len(self._waiting) >= KINDS:
            kind = Kind(kind.how, kind.denial, None)
        waiting = self._waiting.get(kind)
        if waiting is not None or len(self._waiting) >= KINDS or not self._room_for_denial():
            waiting = self._waiting.setdefault(kind, _Waiting(uptime, 0)) if waiting is None else waiting
            waiting.count += count
            return None
        self._waiting[kind] = _Waiting(uptime, 0)
        return self._write(What.DENIED, kind.how, at, uncertainty, kind.subject, kind.denial, count, {})

    def flush(self, *, at: int | None, uncertainty: int | None, uptime: int) -> None:
        """Write the counted denials whose time has come; call it every few seconds."""
        for kind, waiting in list(self._waiting.items()):
            if uptime - waiting.since < COALESCE:
                continue
            if waiting.count == 0:
                del self._waiting[kind]
            elif self._room_for_denial():
                self._waiting[kind] = _Waiting(uptime, 0)
                self._write(
                    What.DENIED,
                    kind.how,
                    at,
                    uncertainty,
                    kind.subject,
                    kind.denial,
                    waiting.count,
                    {},
                )

    def acknowledge(self, number: int) -> int:
        """Free the slots up to `number`. Returns how many were freed."""
        gone = [n for n in self._entries if n <= number]
        for start in range(0, len(gone), MAX_BATCH):
            part = gone[start : start + MAX_BATCH]
            self.flash.put({_key(n): None for n in part})
            for n in part:
                del self._entries[n]
        return len(gone)

    def _room_for_denial(self) -> bool:
        return sum(1 for e in self._entries.values() if e.what in CHEAP) < SLOTS - RESERVED

    def _write(
        self,
        what: What,
        how: How,
        at: int | None,
        uncertainty: int | None,
        subject: bytes | int | None,
        denial: Denial | None,
        count: int,
        beside: dict[str, bytes | None],
    ) -> Entry:
        entry = Entry(
            number=self.head.number + 1,
            prev_hash=self.head.hash,
            what=what,
            how=how,
            subject=subject,
            denial=denial,
            at=at,
            uncertainty=uncertainty,
            count=count,
        )
        head = head_after(entry)
        record: dict[str, bytes | None] = dict(beside)
        evicted = self._evict()
        if evicted is not None:
            record[_key(evicted)] = None
        record[_key(entry.number)] = encode(entry_row(entry))
        record[_HEAD] = encode([head.number, head.hash])
        self.flash.put(record)
        if evicted is not None:
            del self._entries[evicted]
        self._entries[entry.number] = entry
        self.head = head
        return entry

    def _evict(self) -> int | None:
        """The number that must go for a new entry, or None while there is room."""
        if len(self._entries) < SLOTS:
            return None
        for whats in (LEAF, CHEAP):
            found = next((n for n, e in self._entries.items() if e.what in whats), None)
            if found is not None:
                return found
        return next(iter(self._entries))


def _key(number: int) -> str:
    return f"{_ENTRY}{number:010d}"


def _read_head(raw: bytes) -> Head:
    value = decode(raw)
    if not isinstance(value, list):
        message = "the journal's head is broken"
        raise TypeError(message)
    number, digest = value
    return Head(int(number), bytes(digest))
