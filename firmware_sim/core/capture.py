"""Reading in a card or finger for its holder: for a minute the next one is not judged but reported.

Nothing opens by what was captured until signed access state names it. The wait is forgotten at a power
cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lockserver.protocol.limits import CAPTURE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lockserver.protocol.reports import Report


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked (credential id), and where else than to the broker he wants to hear of it."""

    cti: bytes
    reply: Callable[[Report], None] | None
    until: int


@dataclass(slots=True)
class Capture:
    """One lock's wait for a card or finger. Times in milliseconds since boot."""

    unheard: Report | None = None
    """What was read in last while nobody was there to hear of it."""
    _asked: Asked | None = None

    @property
    def deadline(self) -> int | None:
        """When the wait is over."""
        return None if self._asked is None else self._asked.until

    def begin(self, cti: bytes, reply: Callable[[Report], None] | None, mono: int) -> None:
        """Wait from now on; whoever asked before waits no longer."""
        self._asked = Asked(cti, reply, mono + CAPTURE_SECONDS * 1000)

    def take(self, mono: int) -> Asked | None:
        """Who asked for the card or finger that is there now, once; None: it is to be judged."""
        asked, self._asked = self._asked, None
        return asked if asked is not None and mono < asked.until else None

    def tick(self, mono: int) -> None:
        """The wait may be over."""
        if self._asked is not None and mono >= self._asked.until:
            self._asked = None
