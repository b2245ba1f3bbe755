r"""Parcels: what travels on the connection after M4, both ways, numbered and encrypted.

``05 || number (2 bytes, big-endian, from 0) || AEAD([kind, bytes])``.  Keys: Expand(PRK, "LK1 5\0" ||
th5, 28) phone -> lock, "LK1 6\0" lock -> phone, th5 = H(th4 || ct4); nonce = IV xor number; AAD = th5 ||
first three bytes.  The content is itself sealed end to end (a command for the lock, a report for the
server), so that the phone carries what it can neither read nor forge.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.curve import IV, TAG, aead_open, aead_seal, key_and_iv
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.fields import as_choice, as_list, as_octets
from lockserver.protocol.limits import MAX_MESSAGE, MAX_PARCELS

PARCEL: Final = 0x05
_HEAD: Final = 3
MAX_CONTENT: Final = MAX_MESSAGE - _HEAD - TAG - 5
"""Bytes of a parcel's content: the message less head, tag and CBOR frame."""

KeyIv = tuple[bytes, bytes]


class ParcelKind(IntEnum):
    """What a parcel holds.  Append-only."""

    COMMAND = 1  # a sealed command for the lock
    REPORT = 2  # a sealed report for the server


@dataclass(frozen=True, slots=True)
class Parcel:
    """Kind and content, sealed end to end."""

    kind: ParcelKind
    content: bytes


def channel_keys(prk: bytes, transcript: bytes) -> tuple[KeyIv, KeyIv]:
    """(phone -> lock, lock -> phone)."""
    return key_and_iv(prk, b"LK1 5\0", transcript), key_and_iv(prk, b"LK1 6\0", transcript)


def _nonce(iv: bytes, number: int) -> bytes:
    return (int.from_bytes(iv, "big") ^ number).to_bytes(IV, "big")


class Channel:
    """One end of the connection after M4."""

    def __init__(self, *, send: KeyIv, receive: KeyIv, transcript: bytes) -> None:
        self._send = send
        self._receive = receive
        self._transcript = transcript
        self._sent = 0
        self._received = 0
        self._dead = False

    def pack(self, parcel: Parcel) -> bytes:
        """The next parcel's message.  LocalError: content too long, or too many parcels."""
        if len(parcel.content) > MAX_CONTENT or self._sent >= MAX_PARCELS:
            raise LocalError("a parcel too long, or one too many")
        head = bytes([PARCEL]) + self._sent.to_bytes(2, "big")
        key, iv = self._send
        plaintext = encode([int(parcel.kind), parcel.content])
        box = aead_seal(key, _nonce(iv, self._sent), plaintext, self._transcript + head)
        self._sent += 1
        return head + box

    def unpack(self, message: bytes) -> Parcel:
        """The parcel of a message: the next one and no other.  Dead after its first RemoteError."""
        if self._dead:
            raise RemoteError(Denial.WRONG_STATE, "the channel was refused")
        try:
            parcel = self._unpack(message)
        except RemoteError:
            self._dead = True
            raise
        self._received += 1
        return parcel

    def _unpack(self, message: bytes) -> Parcel:
        if len(message) > MAX_MESSAGE or self._received >= MAX_PARCELS:
            raise RemoteError(Denial.TOO_LARGE, "a parcel too long, or one too many")
        head = bytes([PARCEL]) + self._received.to_bytes(2, "big")
        if message[:_HEAD] != head:
            raise RemoteError(Denial.BAD_FORMAT, f"not parcel {self._received}")
        key, iv = self._receive
        nonce = _nonce(iv, self._received)
        plaintext = aead_open(key, nonce, message[_HEAD:], self._transcript + head)
        kind, content = as_list(decode(plaintext), "parcel", length=2)
        return Parcel(as_choice(kind, ParcelKind, "parcel kind"), as_octets(content, None, "content"))
