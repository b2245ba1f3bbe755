"""Keys that seal and open: the wire's box (`lockserver.protocol.sealed`) behind the ports."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.domain.errors import SealBrokenError
from lockserver.protocol.curve import Random, parse_public, private_key, public_bytes
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.sealed import seal, unseal

if TYPE_CHECKING:
    from lockserver.app import ports


class OpeningKey:
    """A P-256 private key that opens boxes sealed to it."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.private = private
        self.public = public_bytes(private)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Return the plaintext; `aad` is the box's `info`. Raises SealBrokenError."""
        try:
            return unseal(self.private, sealed, aad)
        except RemoteError:
            raise SealBrokenError from None


class SealingKey:
    """Somebody's public point: seals to him and opens nothing."""

    def __init__(self, public: bytes, random: Random = secrets.token_bytes) -> None:
        parse_public(public)
        self.public = public
        self._random = random

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Return the box under a fresh ephemeral key; `aad` is its `info`."""
        return seal(self.public, plaintext, aad, private_key(self._random))


class KeyedIndex:
    """A blind index: HMAC-SHA-256 of a value under a key that lives outside the database."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def index(self, value: str) -> bytes:
        """Return the value's index, 32 bytes. The caller normalises the value first."""
        return hmac.new(self._key, value.encode(), hashlib.sha256).digest()


if TYPE_CHECKING:

    def _holds(
        opening: OpeningKey, sealing: SealingKey, index: KeyedIndex
    ) -> tuple[ports.Opener, ports.Sealer, ports.PhoneIndex]:
        return opening, sealing, index
