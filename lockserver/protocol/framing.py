"""Messages over a byte stream of small writes (BLE attribute values).

Each message is ``length (2 bytes, big-endian) || message``; fragments are cut anywhere.  ATT keeps
order and loses nothing within a connection, so no fragment needs a number, and it does not matter how
the bytes are split: whole == byte by byte.
"""

from typing import Final

from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.limits import MAX_MESSAGE

HEADER: Final = 2
ATT_OVERHEAD: Final = 3
"""Bytes of an ATT write or notification header within the MTU."""

SMALLEST_MTU: Final = 23
"""Bluetooth Core, Vol 3, Part F, 3.2.8."""

MAX_ATTRIBUTE: Final = 512
"""Longest attribute value, same part, 3.2.9: a fragment is never longer."""


class Fragmenter:
    """Cuts messages into attribute values for a connection of one MTU (bytes)."""

    def __init__(self, mtu: int) -> None:
        if mtu < SMALLEST_MTU:
            raise LocalError(f"an MTU is at least {SMALLEST_MTU}")
        self._size = min(mtu - ATT_OVERHEAD, MAX_ATTRIBUTE)

    def split(self, message: bytes) -> list[bytes]:
        """The fragments of one message of 1 to MAX_MESSAGE bytes."""
        if not 1 <= len(message) <= MAX_MESSAGE:
            raise LocalError(f"a message has 1 to {MAX_MESSAGE} bytes")
        stream = len(message).to_bytes(HEADER, "big") + message
        return [stream[at : at + self._size] for at in range(0, len(stream), self._size)]


class Reassembler:
    """Gathers messages from fragments.  Holds at most one message; dead after its first RemoteError."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._dead = False

    @property
    def pending(self) -> int:
        """Bytes held of a message that is not complete."""
        return len(self._buffer)

    def push(self, fragment: bytes) -> list[bytes]:
        """The messages that ``fragment`` completes, in order.  RemoteError: TOO_LARGE, BAD_FORMAT."""
        if self._dead:
            raise RemoteError(Denial.WRONG_STATE, "the stream was refused")
        self._buffer += fragment
        messages = []
        while len(self._buffer) >= HEADER:
            length = int.from_bytes(self._buffer[:HEADER], "big")
            if not 1 <= length <= self._limit:
                self._dead = True
                self._buffer.clear()
                code = Denial.TOO_LARGE if length else Denial.BAD_FORMAT
                raise RemoteError(code, f"a message of {length} bytes, limit {self._limit}")
            if len(self._buffer) < HEADER + length:
                break
            messages.append(bytes(self._buffer[HEADER : HEADER + length]))
            del self._buffer[: HEADER + length]
        return messages
