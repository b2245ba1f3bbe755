r"""PINs that work with no network: digits from the door seed, and the rules for those people choose.

An offline PIN is ``[epoch, code, start hour, n]``, where the code folds kind and duration together.  Its
digits are the first 8 bytes of ``HMAC-SHA-256(door seed, "LK1 opin\0" || encoding)``, big-endian, modulo
10^9.  The lock knows nothing of it beforehand: it searches every PIN that could be keyed now.  The first
use makes it an *activation*, which the lock remembers.  Pure.
"""

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from lockserver.protocol.claims import HolderClass
from lockserver.protocol.codec import encode
from lockserver.protocol.errors import LocalError
from lockserver.protocol.fields import as_choice, as_list, as_uint, bad
from lockserver.protocol.limits import (
    FIRST_USE,
    LOCKOUT_AFTER,
    LOCKOUT_PAUSES,
    MAX_ACTIVATIONS,
    MAX_HOUR,
    MAX_NUMBER,
    MAX_TIME,
    PIN_DIGITS,
    PIN_LEAST,
    PIN_TWINS,
    USED_PIN_KEPT,
)
from lockserver.protocol.slots import VERIFIER, SlotKind

__all__ = [
    "PIN_DIGITS",
    "Activation",
    "OfflinePin",
    "PinCode",
    "candidates",
    "pin_digits",
    "verifier",
    "weakness",
]

HOUR: Final = 3600
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
RECURRING: Final = 4 * HOUR
"""How long a recurring PIN works each time, from its start's time of day or of week."""

_LABEL: Final = b"LK1 opin\0"
_ROW: Final = b"\x84"
"""Head of an array of four."""

_RUN: Final = 5
_DATE: Final = 8
_VARIETY: Final = 4
_MONTHS: Final = 12
_DAYS: Final = 31


class PinCode(IntEnum):
    """Kind and duration of an offline PIN.  Append-only, at most 16 (``offline_subject``)."""

    ONE_TIME = 0  # guest: one opening
    HOURS_3 = 1  # guest, from the start for 3 hours
    DAY = 2
    DAYS_3 = 3
    WEEK = 4
    DAILY = 5  # guest: 4 hours from the start's time of day, for 7 days
    WEEKLY = 6  # guest: 4 hours from the start's time of week, for 84 days
    OWNER = 7  # owner: one opening; not at an occupied room
    CLEAR = 8  # opens nothing: the guests' offline PINs up to its own start hour are dead

    @property
    def life(self) -> int:
        """Seconds from its start to its end, which is no longer part of it."""
        return _LIVES[self]

    @property
    def one_time(self) -> bool:
        """Whether one opening uses it up."""
        return self in {PinCode.ONE_TIME, PinCode.OWNER}

    @property
    def holder_class(self) -> HolderClass:
        """Whose it is, for epochs and the occupied room."""
        return HolderClass.OWNER if self is PinCode.OWNER else HolderClass.GUEST


_LIVES: Final = {
    PinCode.ONE_TIME: DAY,
    PinCode.HOURS_3: 3 * HOUR,
    PinCode.DAY: DAY,
    PinCode.DAYS_3: 3 * DAY,
    PinCode.WEEK: WEEK,
    PinCode.DAILY: WEEK,
    PinCode.WEEKLY: 12 * WEEK,
    PinCode.OWNER: DAY,
    PinCode.CLEAR: DAY,
}
PERIODS: Final = {PinCode.DAILY: DAY, PinCode.WEEKLY: WEEK}
"""Seconds from one window of a recurring PIN to the next."""


class OfflinePin(NamedTuple):
    """What its digits are made of.  ``start_hour``: whole hours since 1970 (UTC); ``n``: 0 or 1."""

    epoch: int
    code: PinCode
    start_hour: int
    n: int = 0

    @property
    def start(self) -> int:
        """First second at which it works (Unix seconds)."""
        return self.start_hour * HOUR

    @property
    def until(self) -> int:
        """First second at which it works no more, in use or not."""
        return self.start + self.code.life

    @property
    def first_until(self) -> int:
        """First second at which it may no longer be used for the first time."""
        return min(self.start + FIRST_USE, self.until)

    def covers(self, now: int) -> bool:
        """Whether ``now`` (Unix seconds) lies in its life and, if it recurs, in one of its windows."""
        if not self.start <= now < self.until:
            return False
        period = PERIODS.get(self.code)
        return period is None or (now - self.start) % period < RECURRING

    def begins(self, now: int) -> bool:
        """Whether it may be used for the first time at ``now``."""
        return self.covers(now) and now < self.first_until


@dataclass(frozen=True, slots=True)
class Activation:
    """An offline PIN in use, or a one-time one used up.  ``until``: when the lock forgets it."""

    pin: OfflinePin
    until: int


def activation(pin: OfflinePin) -> Activation:
    """What the first use of a PIN puts into flash."""
    return Activation(pin, pin.start + USED_PIN_KEPT if pin.code.one_time else pin.until)


def activation_rows(activations: Iterable[Activation]) -> list[list[object]]:
    """As they are reported: ``[[epoch, code, start hour, n, until], ...]``."""
    return [[a.pin.epoch, int(a.pin.code), a.pin.start_hour, a.pin.n, a.until] for a in activations]


def read_activations(value: object) -> tuple[Activation, ...]:
    """The reverse of ``activation_rows``.  RemoteError: BAD_FORMAT, TOO_LARGE."""
    rows = as_list(value, "activations", most=MAX_ACTIVATIONS)
    return tuple(_read_activation(row) for row in rows)


def _read_activation(row: object) -> Activation:
    epoch, code, start_hour, n, until = as_list(row, "activation", length=5)
    pin = OfflinePin(
        as_uint(epoch, MAX_NUMBER, "epoch"),
        as_choice(code, PinCode, "code"),
        as_uint(start_hour, MAX_HOUR, "start hour"),
        as_uint(n, PIN_TWINS - 1, "n"),
    )
    return Activation(pin, as_uint(until, MAX_TIME, "until"))


def offline_subject(pin: OfflinePin) -> int:
    """The journal's subject for an offline PIN: ``start hour * 256 + code * 16 + n``, above every slot."""
    return pin.start_hour << 8 | pin.code << 4 | pin.n


def subject_pin(subject: int) -> tuple[PinCode, int, int]:
    """(code, start hour, n) of such a subject.  RemoteError: BAD_FORMAT."""
    n = as_uint(subject & 15, PIN_TWINS - 1, "n")
    hour = as_uint(subject >> 8, MAX_HOUR, "start hour")
    if hour == 0:
        raise bad("a subject that is neither slot nor offline PIN")
    return as_choice(subject >> 4 & 15, PinCode, "code"), hour, n


# ---------------------------------------------------------------------------------- digits


def verifier(seed: bytes, kind: SlotKind, value: bytes) -> bytes:
    """A slot's verifier: 16 bytes of ``HMAC(seed, "LK1 " || kind || " " || value)``.

    ``value``: digits in ASCII, a card's UID as read, or a finger's template id (16 bytes).
    """
    return hmac.digest(seed, b"LK1 " + kind.value.encode("ascii") + b" " + value, "sha256")[:VERIFIER]


def pin_digits(seed: bytes, pin: OfflinePin) -> str:
    """The nine digits of an offline PIN at the door with this seed."""
    if not 0 <= pin.n < PIN_TWINS or not 0 <= pin.start_hour <= MAX_HOUR:
        raise LocalError("n is 0 or 1, and the start hour within its range")
    return f"{_number(_keyed(seed, pin.epoch), pin):0{PIN_DIGITS}d}"


def _number(of_epoch: hmac.HMAC, pin: OfflinePin) -> int:
    """The digits as a number; ``of_epoch`` is ``_keyed`` for the PIN's epoch."""
    mac = of_epoch.copy()
    mac.update(_tail(pin))
    return int.from_bytes(mac.digest()[:8], "big") % 10**PIN_DIGITS


def _keyed(seed: bytes, epoch: int) -> hmac.HMAC:
    """An HMAC that has read all that PINs of one epoch have in common: label, head of the row, epoch."""
    return hmac.new(seed, _LABEL + _ROW + encode(epoch), "sha256")


def _tail(pin: OfflinePin) -> bytes:
    """The rest of the row."""
    return _SMALL[pin.code] + _hour(pin.start_hour) + _SMALL[pin.n]


_SMALL: Final = tuple(encode(number) for number in range(max(len(PinCode), PIN_TWINS)))
_hour = lru_cache(maxsize=64)(encode)
"""For an hour the same two dozen start hours come in every search."""


def candidates(epoch: int, owner_epoch: int, *, shared: bool, now: int) -> Iterator[OfflinePin]:
    """Every offline PIN that may be used for the first time at ``now``.

    Guests' and clear codes: of the room's epoch and the next (a shared door: epoch 0).  Owner's: of the
    owner's epoch and the next.
    """
    last = now // HOUR
    for code in PinCode:
        base = owner_epoch if code is PinCode.OWNER else epoch
        epochs = (0,) if shared and code is not PinCode.OWNER else (base, base + 1)
        for start_hour in (last - ago for ago in _FRESH[code] if ago <= last):
            for e in epochs:
                for n in range(PIN_TWINS):
                    yield OfflinePin(e, code, start_hour, n)


_FRESH: Final = {
    code: tuple(
        ago for ago in reversed(range(FIRST_USE // HOUR + 1)) if OfflinePin(0, code, 0).begins(ago * HOUR)
    )
    for code in PinCode
}
"""How many hours ago a PIN may have started to be used first now.  Every start, life and window is in
whole hours, so within one hour nothing changes."""


def search(seed: bytes, digits: str, pins: Iterable[OfflinePin]) -> tuple[OfflinePin, ...]:
    """Those of ``pins`` that have these digits.  All are computed, whether or not one fits."""
    keyed: dict[int, hmac.HMAC] = {}
    wanted = int(digits) if len(digits) == PIN_DIGITS and digits.isascii() and digits.isdecimal() else -1
    fits = []
    for pin in pins:
        if pin.epoch not in keyed:
            keyed[pin.epoch] = _keyed(seed, pin.epoch)
        if _number(keyed[pin.epoch], pin) == wanted:
            fits.append(pin)
    return tuple(fits)


def pause_after(failures: int) -> int:
    """Seconds for which a keypad or reader rests after its n-th failure in a row; 0 before the fifth."""
    if failures < LOCKOUT_AFTER:
        return 0
    return LOCKOUT_PAUSES[min(failures - LOCKOUT_AFTER, len(LOCKOUT_PAUSES) - 1)]


# ---------------------------------------------------------------------------------- rules

WEAKNESSES: Final = ("length", "same_digit", "run", "block", "date", "few_digits")
"""Why a custom PIN is refused, in the order in which they are looked for."""


def weakness(digits: str) -> str | None:
    """The first published rule (``WEAKNESSES``) that a custom PIN breaks, or None if it is good."""
    if not PIN_LEAST <= len(digits) <= PIN_DIGITS or not (digits.isascii() and digits.isdecimal()):
        return "length"
    if len(set(digits)) == 1:
        return "same_digit"
    if _runs(digits):
        return "run"
    if any(digits[p:] == digits[:-p] for p in range(2, len(digits) // 2 + 1)):
        return "block"
    if any(_is_date(digits[i : i + _DATE]) for i in range(len(digits) - _DATE + 1)):
        return "date"
    return "few_digits" if len(set(digits)) < _VARIETY else None


def _runs(digits: str) -> bool:
    """Whether five neighbours go up, or down, by one; 9 and 0 are neighbours."""
    steps = [(int(b) - int(a)) % 10 for a, b in pairwise(digits)]
    return any(set(steps[i : i + _RUN - 1]) in ({1}, {9}) for i in range(len(steps) - _RUN + 2))


def _is_date(digits: str) -> bool:
    """Whether eight digits read YYYYMMDD, 1900 to 2099; every month is taken to have 31 days."""
    century, month, day = int(digits[:2]), int(digits[4:6]), int(digits[6:])
    return century in {19, 20} and 1 <= month <= _MONTHS and 1 <= day <= _DAYS
