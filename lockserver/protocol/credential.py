"""The credential ("e-key" in the interface): signed, holder-bound, time-limited, verified offline."""

from collections.abc import Mapping
from dataclasses import dataclass

from lockserver.protocol.claims import Claims, claims_map, life_allowed, life_limit, read_claims
from lockserver.protocol.cose import Kind, sign1, verify1
from lockserver.protocol.curve import Signer, parse_public
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.fields import writable

MAX_CREDENTIAL = 640
"""Bytes: all claims with a full schedule need about 380."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A verified credential: what it says, who signed it, and its bytes."""

    claims: Claims
    kid: bytes
    raw: bytes


def issue_credential(claims: Claims, signer: Signer) -> bytes:
    """Sign ``claims`` as LK1-EKEY.  LocalError: an empty window or a life beyond its class."""
    if not life_allowed(claims):
        raise LocalError(f"a credential of this class lives 1 to {life_limit(claims)} s")
    return sign1(Kind.EKEY, writable(claims_map(claims), _read), signer)


def read_credential(data: bytes, keys: Mapping[bytes, bytes]) -> Credential:
    """Verify a credential under the issuer ``keys`` (kid -> point).

    RemoteError: BAD_ISSUER for a key or signature that is not ours, UNKNOWN_CLAIM, LIFE_TOO_LONG,
    BAD_POINT, BAD_FORMAT, TOO_LARGE.  Says nothing of time, lock or revocation: ``access.decide`` does.
    """
    try:
        verified = verify1(Kind.EKEY, data, keys, limit=MAX_CREDENTIAL)
    except RemoteError as error:
        if error.code in {Denial.UNKNOWN_KEY, Denial.BAD_SIGNATURE}:
            raise RemoteError(Denial.BAD_ISSUER, error.detail) from error
        raise
    return Credential(_read(verified.payload), verified.kid, data)


def _read(payload: object) -> Claims:
    claims = read_claims(payload)
    parse_public(claims.holder_public)
    return claims
