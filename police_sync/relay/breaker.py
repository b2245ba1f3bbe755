"""A circuit breaker: while the province is ill, one row at a time finds out whether it is well again.

Pure: time is an argument. Rows keep their own back-off; the breaker only saves the sick province,
and our attempts table, from a thousand rows that would each learn the same.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(slots=True)
class Breaker:
    """Closed until `threshold` troubles in a row; then open, doubling from `first_s` to `cap_s`."""

    threshold: int = 5
    first_s: float = 1.0
    cap_s: float = 60.0
    _troubles: int = 0
    _open_until: datetime | None = None

    def trouble(self, now: datetime) -> bool:
        """Count one more trouble; True when this opens (or reopens) the circuit."""
        self._troubles += 1
        beyond = self._troubles - self.threshold
        if beyond < 0:
            return False
        wait = min(self.cap_s, self.first_s * (1 << min(beyond, 30)))
        self._open_until = now + timedelta(seconds=wait)
        return True

    def well(self) -> bool:
        """The province answered as the contract says; True when this closes an open circuit."""
        was_open = self._open_until is not None
        self._troubles, self._open_until = 0, None
        return was_open

    def pause_s(self, now: datetime) -> float:
        """Seconds until a row may be tried; 0 when closed or half-open."""
        if self._open_until is None:
            return 0.0
        return max(0.0, (self._open_until - now).total_seconds())

    @property
    def half_open(self) -> bool:
        """Whether one row at a time may be tried."""
        return self._open_until is not None
