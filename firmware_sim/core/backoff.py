"""The price of failed handshakes, paid by whoever fails.

A stranger and a holder look alike until M3 has verified, so nobody is kept from trying; it is the
*refusal* that is held back, and with it the stranger's connection. The count survives power loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lockserver.protocol.codec import decode, encode

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash

#: Failures without a price: a phone with an old key, a bad link.
FREE: Final = 5
#: Longest delay of a refusal in milliseconds: long enough to bound guessing, and nothing is guessable.
MOST_MS: Final = 60_000
#: Milliseconds without a failure after which the count starts anew.
FORGET_MS: Final = 600_000

_KEY: Final = "failures"


@dataclass(slots=True)
class BackOff:
    """Failed handshakes of one lock."""

    flash: Flash
    failures: int = field(init=False)
    _last: int = 0

    def __post_init__(self) -> None:
        raw = self.flash.get(_KEY)
        value = 0 if raw is None else decode(raw)
        self.failures = value if isinstance(value, int) else 0

    def failed(self, mono: int) -> int:
        """Count a failure at `mono` (milliseconds since boot); how long to hold the refusal back."""
        if mono - self._last > FORGET_MS:
            self.failures = 0
        self._last = mono
        self.failures += 1
        # written at powers of two: a flood wears no flash, and a power cut halves the count at worst
        if self.failures & (self.failures - 1) == 0:
            self.flash.put({_KEY: encode(self.failures)})
        over = self.failures - FREE
        return 0 if over <= 0 else min(1000 << min(over - 1, 6), MOST_MS)
