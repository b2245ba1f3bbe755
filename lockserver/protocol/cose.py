"""COSE_Sign1 (RFC 9052), ES256, untagged, with the kind of the document in the external AAD.

``[protected, {}, payload, signature]`` with protected = ``{1: -7, 4: kid}`` and nothing unprotected.
The kind is never inside: a reader says which kind it expects, and a signature over another kind does
not verify.  So no document can be taken for another, whatever its payload looks like.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.curve import KID, SIGNATURE, EcdsaSigner, Signer, verify
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.fields import as_list, as_octets, bad
from lockserver.protocol.limits import MAX_MESSAGE

__all__ = ["EcdsaSigner", "Kind", "Signer", "Verified", "peek", "peek_kid", "sign1", "verify1"]

_ALG: Final = 1
_KID: Final = 4
_ES256: Final = -7


class Kind(StrEnum):
    """What is signed: the external AAD is this label in ASCII.  Append-only."""

    EKEY = "LK1-EKEY"  # credential, by the issuer
    DOOR = "LK1-DOOR"  # lock id and signing key for phones to pin, by the issuer
    RL = "LK1-RL"  # revocation list, by the issuer
    TIME = "LK1-TIME"  # time statement, by the issuer
    WISH = "LK1-WISH"  # a holder's wish, by his phone
    CMD = "LK1-CMD"  # command, by the site command key
    RPT = "LK1-RPT"  # report, by the lock
    STATE = "LK1-STATE"  # access state, by the issuer
    KEYS = "LK1-KEYS"  # key set, by the site root
    FW = "LK1-FW"  # manifest of a firmware image, by the manufacturer
    JRNL = "LK1-JRNL"  # journal entries: prefix of the entry hash, not signed one by one
    ENROL = "LK1-ENROL"  # enrolment of a lock, by the issuer
    OFFER = "LK1-OFFER"  # the lock's offer to be enrolled, by its factory key
    REQ = "LK1-REQ"  # a request to the server, by a phone
    RELEASE = "LK1-RELEASE"  # release of a lock from its site, by the issuer


@dataclass(frozen=True, slots=True)
class Verified:
    """A payload whose signature was verified, and the id of the key that signed it."""

    payload: dict[int | str, object]
    kid: bytes


@dataclass(frozen=True, slots=True)
class _Sign1:
    protected: bytes
    kid: bytes
    payload: bytes
    signature: bytes


def _to_be_signed(kind: Kind, protected: bytes, payload: bytes) -> bytes:
    """Sig_structure of RFC 9052, 4.4."""
    return encode(["Signature1", protected, kind.value.encode("ascii"), payload])


def sign1(kind: Kind, payload: Mapping[int, object], signer: Signer) -> bytes:
    """The signed document.  Its size is bounded by whoever reads it."""
    protected = encode({_ALG: _ES256, _KID: signer.kid})
    body = encode(payload)
    signature = signer.sign(_to_be_signed(kind, protected, body))
    if len(signature) != SIGNATURE:
        raise LocalError("a signer must answer 64 bytes r || s")
    return encode([protected, {}, body, signature])


def _split(data: bytes, limit: int) -> _Sign1:
    protected, unprotected, payload, signature = as_list(decode(data, limit=limit), "COSE_Sign1", length=4)
    if unprotected != {}:
        raise bad("unprotected headers")
    protected = as_octets(protected, None, "protected")
    header = decode(protected, limit=limit)
    if type(header) is not dict or set(header) != {_ALG, _KID} or header[_ALG] != _ES256:
        raise bad("protected headers are not {1: -7, 4: kid}")
    return _Sign1(
        protected,
        as_octets(header[_KID], KID, "kid"),
        as_octets(payload, None, "payload"),
        as_octets(signature, SIGNATURE, "signature"),
    )


def peek_kid(data: bytes, *, limit: int = MAX_MESSAGE) -> bytes:
    """The key id that the document claims, unverified: to find the key, and for nothing else."""
    return _split(data, limit).kid


def peek(data: bytes, *, limit: int = MAX_MESSAGE) -> dict[int | str, object]:
    """The payload, UNVERIFIED: only to find the key with which ``verify1`` is then called."""
    return _map(_split(data, limit).payload, limit)


def verify1(kind: Kind, data: bytes, keys: Mapping[bytes, bytes], *, limit: int = MAX_MESSAGE) -> Verified:
    """Verify ``data`` as a document of ``kind`` under one of ``keys`` (kid -> 65-byte point).

    RemoteError: UNKNOWN_KEY, BAD_SIGNATURE (also for a document of another kind), BAD_FORMAT, TOO_LARGE.
    """
    parts = _split(data, limit)
    public = keys.get(parts.kid)
    if public is None:
        raise RemoteError(Denial.UNKNOWN_KEY, f"{kind} by {parts.kid.hex()}")
    if not verify(public, parts.signature, _to_be_signed(kind, parts.protected, parts.payload)):
        raise RemoteError(Denial.BAD_SIGNATURE, kind)
    return Verified(_map(parts.payload, limit), parts.kid)


def _map(payload: bytes, limit: int) -> dict[int | str, object]:
    value = decode(payload, limit=limit)
    if type(value) is not dict:
        raise bad("a payload that is no map")
    return value
