"""What the lock knows of the time, and how well.

Two oscillators: the battery-backed clock chip (`Moment.chip`, seconds, survives a power cut, may be
lost) and the processor's timer (`Moment.mono`, milliseconds since boot). Neither is trusted alone:

- The time is chip + offset, never below the *floor*, which is persisted, comes only from what the
  issuer has signed, and never falls.
- A clock is *lost* when the chip says so, or when it stands well before the floor or before a time
  at which the lock already acted.
- A clock is *attested* after a time statement that was bound to the lock's own nonce came back within
  `TIME_ROUND_TRIP` seconds; it stays so while the bound on its error, which grows with age, is small
  and while chip and timer agree. A slow chip is found by the timer, and the other way about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lockserver.protocol.limits import TIME_ROUND_TRIP

#: Parts per million that either oscillator may be wrong and still count as sound: a bad 32 kHz
#: crystal at minus 20 degrees is at 200 (2 s a day are 23).
DRIFT_PPM: Final = 500
#: Seconds of error up to which a clock counts as attested. With `DRIFT_PPM` that is 50 minutes of
#: age after a quick statement.
ATTESTED_BOUND: Final = 2.0
#: Seconds that chip and timer may disagree since the attestation.
DISAGREEMENT: Final = 1.5
#: Age in seconds at which a connected lock asks again, before attestation lapses.
ATTEST_AGAIN: Final = 1200
#: Seconds that a clock may stand before the floor or the last act and still be a slow clock rather
#: than a lost one: ten minutes of drift (X5), and half as much again. It is then set to the floor,
#: which is always in the past, so a slow clock never gets ahead by this.
SLOW: Final = 900
#: What an unattested but not lost clock is taken to be wrong by, at least (journal only).
UNATTESTED: Final = 60


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened, as the lock's two oscillators say."""

    mono: int
    """Milliseconds of the processor's timer since boot."""
    chip: int | None
    """Seconds of the clock chip since its own start, or None if it lost its battery."""


@dataclass(slots=True)
class Rtc:
    """The clock's state. `offset`, `floor` and `seen` are persisted by the lock."""

    offset: int | None = None
    """Add to the chip's seconds: Unix time. None: never set."""
    floor: int = 0
    """Latest time that the issuer has signed, Unix seconds."""
    seen: int = 0
    """Latest time at which this lock acted, by its own clock."""
    _attested: Moment | None = None
    _bound: float = 0.0

    def lost(self, at: Moment) -> bool:
        """Whether no time can be told."""
        if at.chip is None or self.offset is None:
            return True
        return at.chip + self.offset < max(self.floor, self.seen) - SLOW

    def now(self, at: Moment) -> int | None:
        """Unix seconds, or None if the clock is lost."""
        if at.chip is None or self.offset is None or self.lost(at):
            return None
        return max(at.chip + self.offset, self.floor)

    def best(self, at: Moment) -> int:
        """Unix seconds for the record, the floor if the clock is lost."""
        now = self.now(at)
        return self.floor if now is None else now

    def age(self, at: Moment) -> float | None:
        """Seconds since the attestation, by the oscillator that counted more; None if there was none."""
        if self._attested is None or self._attested.chip is None or at.chip is None:
            return None
        by_timer = (at.mono - self._attested.mono) / 1000
        by_chip = at.chip - self._attested.chip
        if abs(by_timer - by_chip) > DISAGREEMENT + max(by_timer, 0) * DRIFT_PPM / 1e6:
            return None
        return max(by_timer, by_chip)

    def bound(self, at: Moment) -> float | None:
        """Seconds by which an attested clock may be wrong; None if it is not attested."""
        age = self.age(at)
        if age is None or self.lost(at):
            return None
        bound = self._bound + age * DRIFT_PPM / 1e6
        return bound if bound <= ATTESTED_BOUND else None

    def uncertainty(self, at: Moment) -> int:
        """Whole seconds for the journal, rounded up."""
        bound = self.bound(at)
        return UNATTESTED if bound is None else int(bound) + 1

    def ratchet(self, at: Moment, signed_at: int) -> bool:
        """Raise the floor to a time the issuer has signed, and a slow clock with it. Whether it rose."""
        if signed_at <= self.floor:
            return False
        now = self.now(at)
        self.floor = signed_at
        if now is not None and at.chip is not None and now < signed_at <= now + SLOW:
            self.offset = signed_at - at.chip
        return True

    def attest(self, at: Moment, now: int, round_trip_ms: int) -> bool:
        """Take `now` from a statement bound to our nonce, asked for `round_trip_ms` ago.

        The truth lies between `now` and that much later. A clock that already stands there is left,
        and one that stands beyond is set to the nearer end: whoever holds a statement back for ten
        minutes would else turn a fast clock back by all of them, and a key that has ended would open
        again. Whether it now counts as attested is returned: that needs the round trip within
        `TIME_ROUND_TRIP` by our own timer.
        """
        mine = self.now(at)
        self.floor = max(self.floor, now)
        quick = 0 <= round_trip_ms <= TIME_ROUND_TRIP * 1000
        latest = now + max(0, round_trip_ms) // 1000
        if not quick and mine is not None and now <= mine <= latest:
            return False
        if not quick and mine is not None and mine > latest:
            now = latest
        if at.chip is not None:
            self.offset = now - at.chip
        self.seen = now
        self._attested = at if quick and at.chip is not None else None
        self._bound = round_trip_ms / 1000
        return self._attested is not None
