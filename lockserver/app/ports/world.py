"""What a use case may know of the world: the time, chance, a way to send an SMS."""

from typing import Protocol

from lockserver.domain.ids import Random
from lockserver.domain.times import Clock

__all__ = ["Clock", "Random", "Sms"]


class Sms(Protocol):
    """Sends a one-time code to a telephone; the demo prints it."""

    async def send_code(self, phone: str, code: str) -> None:
        """Send `code` to `phone` (E.164 or 11 digits); both are forgotten afterwards."""
        ...
