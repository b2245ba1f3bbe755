"""The price of a wrong PIN, card or finger: a pause during which nothing is looked at.

After five failures five minutes, then after each further failure ten, twenty, forty, sixty, sixty …
The count is in flash, written before the refusal can be seen; after a loss of power the pause that was
on begins anew, whole. Only a day without a failure forgets it: a right PIN in between does not, so who
holds one PIN gains no guesses at another. Whoever comes by BLE or from afar never meets any of this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.limits import LOCKOUT_QUIET
from lockserver.protocol.pin import pause_after

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash


@dataclass(slots=True)
class Lockout:
    """Failures at one reader (`name`). Times in milliseconds since boot; `since` is when the lock booted."""

    flash: Flash
    name: str
    since: int
    _last: int = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.since

    @property
    def failures(self) -> int:
        """Failures that still count."""
        return self._row()[0]

    def left(self, mono: int) -> int:
        """Milliseconds until something is looked at again; 0 if there is no pause."""
        failures, paused = self._row()
        return max(0, self.since + 1000 * pause_after(failures) - mono) if paused else 0

    @property
    def deadline(self) -> int | None:
        """When the pause is over, or the count is forgotten."""
        failures, paused = self._row()
        if paused:
            return self.since + 1000 * pause_after(failures)
        return self._last + LOCKOUT_QUIET * 1000 if failures else None

    def failed(self, mono: int) -> int:
        """Count a failure and write it down; milliseconds of the pause that it starts."""
        failures = self.failures + 1
        pause = 1000 * pause_after(failures)
        self._last = self.since = mono
        self.flash.put({self._key: encode([failures, pause > 0])})
        return pause

    def tick(self, mono: int) -> bool:
        """Look at the timers. Whether a pause has ended."""
        failures, paused = self._row()
        ended = paused and self.left(mono) == 0
        if failures and mono - self._last >= LOCKOUT_QUIET * 1000:
            self.flash.put({self._key: None})
        elif ended:
            self.flash.put({self._key: encode([failures, False])})
        return ended

    @property
    def _key(self) -> str:
        return f"lockout.{self.name}"

    def _row(self) -> tuple[int, bool]:
        raw = self.flash.get(self._key)
        row = None if raw is None else decode(raw)
        if not isinstance(row, list):
            return 0, False
        failures, paused = row
        return int(failures), bool(paused)
