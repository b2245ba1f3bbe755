"""Nonces for time statements: fresh for a question, long-lived for a phone that must walk for the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lockserver.protocol.limits import NONCE, TIME_NONCE_SECONDS

if TYPE_CHECKING:
    from lockserver.protocol.curve import Random

#: Milliseconds after which M2 shows a fresh nonce, so that a shown one is good for at least the rest.
_RENEW: Final = TIME_NONCE_SECONDS * 1000 // 2
#: Nonces remembered: two shown in M2, and questions to the server.
_MOST: Final = 8


@dataclass(slots=True)
class TimeNonces:
    """Which nonces are ours, and since when (milliseconds since boot). Forgotten at a power cut."""

    random: Random
    _issued: dict[bytes, int] = field(default_factory=dict)
    _shown: bytes | None = None

    def current(self, mono: int) -> bytes:
        """The nonce that M2 and hello show."""
        if self._shown is None or mono - self._issued.get(self._shown, -_RENEW) >= _RENEW:
            self._shown = self.fresh(mono)
        return self._shown

    def fresh(self, mono: int) -> bytes:
        """A nonce for one question."""
        nonce = self.random(NONCE)
        while len(self._issued) >= _MOST:
            del self._issued[next(iter(self._issued))]
        self._issued[nonce] = mono
        return nonce

    def redeem(self, nonce: bytes, mono: int) -> int | None:
        """Milliseconds since `nonce` was issued, once; None if it is not ours, or too old."""
        issued = self._issued.pop(nonce, None)
        if issued is None or mono - issued > TIME_NONCE_SECONDS * 1000:
            return None
        return mono - issued
