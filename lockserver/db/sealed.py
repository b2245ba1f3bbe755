"""Field encryption: a value is sealed to its table, column and row, and opens nowhere else (L-32).

    0x01 || key name (4) || nonce (12) || AES-256-GCM(value, AAD = table, column, row)

The key name is the beginning of the key's hash: it says which of several key-encryption keys
(epochs) to use, so that keys can rotate while old values stay readable. Opening is an explicit
call, never a side effect of loading a row.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lockserver.domain.errors import CiphertextMovedError

if TYPE_CHECKING:
    from lockserver.app import ports

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_NAME: Final = 4
_NONCE: Final = 12
_HEAD: Final = 1 + _NAME + _NONCE


def key_name(key: bytes) -> bytes:
    """Return the four bytes by which a ciphertext names its key."""
    return hashlib.sha256(b"lockserver field key\0" + key).digest()[:_NAME]


def _place(table: str, column: str, row: bytes) -> bytes:
    """Return the additional data: each part with its length, so that no two places read alike."""
    parts = (b"lockserver field", table.encode(), column.encode(), row)
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


class SealedFields:
    """Seals under the first key, opens under any of them."""

    def __init__(self, *keys: bytes, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """Take one or more keys of 32 bytes, the current one first. Raises ValueError."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"field keys have {KEY_BYTES} bytes, and there is at least one")
        self._keys = {key_name(key): AESGCM(key) for key in keys}
        self._current = key_name(keys[0])
        self._random = random

    def seal(self, plaintext: bytes, *, table: str, column: str, row: bytes) -> bytes:
        """Return the ciphertext for this place."""
        nonce = self._random(_NONCE)
        sealed = self._keys[self._current].encrypt(nonce, plaintext, _place(table, column, row))
        return _VERSION + self._current + nonce + sealed

    def open(self, sealed: bytes, *, table: str, column: str, row: bytes) -> bytes:
        """Return the plaintext; raises CiphertextMovedError for any other place, key or byte."""
        name, nonce = sealed[1 : 1 + _NAME], sealed[1 + _NAME : _HEAD]
        key = self._keys.get(name)
        if sealed[:1] != _VERSION or key is None or len(nonce) != _NONCE:
            raise CiphertextMovedError
        try:
            return key.decrypt(nonce, sealed[_HEAD:], _place(table, column, row))
        except InvalidTag:
            raise CiphertextMovedError from None

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether this value is under the current key, or waits to be sealed anew."""
        return sealed[1 : 1 + _NAME] == self._current


if TYPE_CHECKING:

    def _holds(fields: SealedFields) -> ports.FieldCipher:
        return fields
