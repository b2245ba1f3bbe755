"""A case's own key: what verify keeps of a case is sealed under it, and dies with it.

The key lies wrapped in the case's row under the role's KEK, which is outside the database: setting the
column to NULL makes everything that was kept of the case unreadable, in backups too once the KEK's
epoch is over. Every box is bound to its case and its part (L-32).
"""

import hashlib
import hmac
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lockserver.app.ports import Random
from lockserver.domain.canonical import dumps
from lockserver.domain.case import Case
from lockserver.domain.errors import CiphertextMovedError
from lockserver.domain.identity import IdentityFields

_NONCE = 12
_KEY = 32


class CaseKey:
    """An opened case key."""

    def __init__(self, key: bytes, case_id: UUID) -> None:
        self._key = key
        self._case = case_id

    def seal(self, plaintext: bytes, part_id: UUID, random: Random) -> bytes:
        """Return the box of a part."""
        nonce = random(_NONCE)
        return nonce + AESGCM(self._key).encrypt(nonce, plaintext, self._bound(part_id))

    def open(self, sealed: bytes | None, part_id: UUID) -> bytes:
        """Return what a part kept; raises CiphertextMovedError."""
        return _open(self._key, sealed, self._bound(part_id))

    def digest(self, fields: IdentityFields) -> bytes:
        """Return the keyed digest of identity fields: equal for equal fields, and dead with the key."""
        return hmac.new(self._key, b"confirmed\0" + dumps(fields.as_dict()), hashlib.sha256).digest()

    def _bound(self, part_id: UUID) -> bytes:
        return b"case_parts.sealed\0" + self._case.bytes + part_id.bytes


def make_case_key(kek: bytes, case_id: UUID, random: Random) -> tuple[CaseKey, bytes]:
    """Return a fresh key, and it wrapped for the case's row."""
    key, nonce = random(_KEY), random(_NONCE)
    return CaseKey(key, case_id), nonce + AESGCM(kek).encrypt(nonce, key, _wrapping(case_id))


def open_case_key(kek: bytes, case: Case) -> CaseKey:
    """Return the case's key; raises CiphertextMovedError where it is destroyed or of another case."""
    return CaseKey(_open(kek, case.sealed_key, _wrapping(case.id)), case.id)


def _wrapping(case_id: UUID) -> bytes:
    return b"cases.sealed_key\0" + case_id.bytes


def _open(key: bytes, sealed: bytes | None, bound: bytes) -> bytes:
    if sealed is None:
        raise CiphertextMovedError
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
    except InvalidTag:
        raise CiphertextMovedError from None
