"""Instants, windows and civil days.

Inside the server an instant is an aware datetime in UTC. A window is half-open, `[lower, upper)`:
the first instant belongs to it and the last does not, so that two leases that touch never overlap
and never leave a gap (L-40). Civil rules count days in Shanghai, which had daylight saving from
1986 to 1991; `tzdata` knows that, a fixed +08:00 does not.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol, Self
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Where a use case learns the time; virtual in simulation."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


def require_utc(at: datetime) -> datetime:
    """Return `at` in UTC; raises ValueError for a naive datetime."""
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError("an instant must carry its offset")
    return at.astimezone(UTC)


def whole_seconds(at: datetime) -> int:
    """Return the instant as the wire has it: whole seconds since 1970, rounded down."""
    return int(require_utc(at).timestamp() // 1)


_LAST: Final = whole_seconds(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


def from_seconds(seconds: int) -> datetime:
    """Return the instant of a wire time.

    The wire counts further than a calendar does: what lies beyond the year 9999 is told as its last second, so
    that nobody's far future breaks a reader.
    """
    return datetime.fromtimestamp(min(seconds, _LAST), tz=UTC)


def civil_date(at: datetime) -> date:
    """Return the calendar day that a clock on a wall in Shanghai shows."""
    return require_utc(at).astimezone(SHANGHAI).date()


def start_of_day(day: date) -> datetime:
    """Return the instant, in UTC, at which `day` begins in Shanghai."""
    return datetime.combine(day, time.min, tzinfo=SHANGHAI).astimezone(UTC)


def end_of_day(day: date) -> datetime:
    """Return the instant, in UTC, at which `day` is over: the start of the next."""
    return start_of_day(day + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span `[lower, upper)` of UTC instants; `upper` None never ends."""

    lower: datetime
    upper: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", require_utc(self.lower))
        if self.upper is not None:
            object.__setattr__(self, "upper", require_utc(self.upper))
            if self.upper <= self.lower:
                raise ValueError("a window ends after it begins")

    def holds(self, at: datetime) -> bool:
        """Tell whether the instant lies inside."""
        return self.lower <= at and (self.upper is None or at < self.upper)

    def overlaps(self, other: Self) -> bool:
        """Tell whether some instant lies in both."""
        return (other.upper is None or self.lower < other.upper) and (
            self.upper is None or other.lower < self.upper
        )

    def lies_in(self, other: Self) -> bool:
        """Tell whether no instant of this window lies outside the other."""
        if self.lower < other.lower:
            return False
        return other.upper is None or (self.upper is not None and self.upper <= other.upper)

    def cut(self, at: datetime) -> "Window | None":
        """Return the part before `at`, or None where nothing is left; never a longer window."""
        if at <= self.lower:
            return None
        if self.upper is not None and self.upper <= at:
            return self
        return Window(self.lower, at)
