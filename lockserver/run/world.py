"""The real world behind the ports: the system's clock and its randomness."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, which its owner keeps right (the doctor says how far off it is)."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC)


def system_random(count: int) -> bytes:
    """Unpredictable bytes from the operating system."""
    return secrets.token_bytes(count)
