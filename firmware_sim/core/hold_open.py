"""Hold-open windows of a shared door, and what the lock remembers of standing open.

Nothing opens a door because a clock says so: in a window the *first rightful unlock* latches the bolt
open, and the end of the window puts it back. A clock that is lost latches nothing and ends a latch.
Windows are minutes of the week at a fixed offset, so no change of civil time moves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from lockserver.protocol.claims import WEEK, minute_of_week
from lockserver.protocol.codec import decode, encode

if TYPE_CHECKING:
    from firmware_sim.core.held import Record
    from lockserver.protocol.claims import Schedule

MINUTE: Final = 60
_KEY: Final = "hold"


def window_end(schedule: Schedule, now: int) -> int | None:
    """When the window that holds `now` ends, both in Unix seconds; None if none does.

    Windows that touch, across the end of the week too, are one. Where no end is within a week, it is put off.
    """
    if not schedule.covers(now):
        return None
    end = now - now % MINUTE
    while end - now < WEEK * MINUTE:
        minute = minute_of_week(end, schedule.offset)
        until = next((to for start, to in schedule.windows if start <= minute < to), None)
        if until is None:
            break
        end += (until - minute) * MINUTE
    return end


class Mode(IntEnum):
    """How a door stands open on purpose. The numbers stand in flash."""

    NONE = 0
    HELD = 1  # somebody asked for it, until somebody locks
    LATCHED = 2  # by a window, until that ends
    ENDED = 3  # somebody locked within a window: it latches no more


@dataclass(frozen=True, slots=True)
class Hold:
    """What is remembered over a power cut. `until`: Unix seconds, with LATCHED and ENDED."""

    mode: Mode = Mode.NONE
    until: int | None = None

    @property
    def open(self) -> bool:
        """Whether the bolt is to stay back."""
        return self.mode in {Mode.HELD, Mode.LATCHED}

    def record(self) -> Record:
        """As it is put into flash."""
        return {_KEY: None if self.mode is Mode.NONE else encode([int(self.mode), self.until])}


def load_hold(raw: bytes | None) -> Hold:
    """What survived a power cut; `raw` is the value of `HOLD`."""
    if raw is None:
        return Hold()
    row = decode(raw)
    if not isinstance(row, list):
        message = "the hold in flash is broken"
        raise TypeError(message)
    return Hold(Mode(row[0]), row[1])


HOLD: Final = _KEY
