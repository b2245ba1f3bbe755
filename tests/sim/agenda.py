"""Virtual time: what happens next, and nothing happens between. No event loop, no clock of this machine."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

#: When every world begins, Unix seconds. Neither a Monday nor a full hour.
T0 = 1_800_000_000
_BEGIN = datetime.fromtimestamp(T0, tz=UTC)


@dataclass(order=True, slots=True)
class Entry:
    """One thing that will happen. Equal instants keep the order in which they were noted."""

    at: int
    order: int
    what: str = field(compare=False)
    do: Callable[[], None] = field(compare=False)
    dead: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """It will not happen."""
        self.dead = True


class Agenda:
    """Events by instant, in milliseconds since the world began."""

    def __init__(self) -> None:
        self.ms = 0
        self._heap: list[Entry] = []
        self._order = 0

    def at(self, ms: int, what: str, do: Callable[[], None]) -> Entry:
        """Note something for an instant; what lies in the past happens now."""
        self._order += 1
        entry = Entry(max(ms, self.ms), self._order, what, do)
        heapq.heappush(self._heap, entry)
        return entry

    def after(self, ms: int, what: str, do: Callable[[], None]) -> Entry:
        """Note something for `ms` milliseconds from now."""
        return self.at(self.ms + ms, what, do)

    def next(self, until: int | None = None) -> Entry | None:
        """Take the next event, and let its time be now; None where nothing happens before `until`."""
        while self._heap and (until is None or self._heap[0].at <= until):
            entry = heapq.heappop(self._heap)
            if not entry.dead:
                self.ms = max(self.ms, entry.at)
                return entry
        if until is not None:
            self.ms = max(self.ms, until)
        return None

    # ---- the same instant, as others count it

    @property
    def seconds(self) -> float:
        """Unix time, true, in seconds."""
        return T0 + self.ms / 1000

    @property
    def unix(self) -> int:
        """Unix time, true, in whole seconds."""
        return T0 + self.ms // 1000

    def now(self) -> datetime:
        """The instant as use cases see it: the port `Clock`."""
        return _BEGIN + timedelta(milliseconds=self.ms)


def instant(ms: int) -> datetime:
    """The UTC instant of a moment of the world."""
    return _BEGIN + timedelta(milliseconds=ms)


def clock_face(ms: int) -> str:
    """Day and time since the beginning, for a reader."""
    seconds, rest = divmod(ms, 1000)
    days, seconds = divmod(seconds, 86_400)
    return f"{days}d {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
