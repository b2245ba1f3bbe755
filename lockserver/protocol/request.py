"""A phone-signed request to the server: proves the phone's key, not only a session."""

from dataclasses import dataclass

from lockserver.protocol.cose import Kind, sign1, verify1
from lockserver.protocol.curve import Signer, keys_by_id, sha256
from lockserver.protocol.fields import HASH, Fields, writable
from lockserver.protocol.limits import NONCE

MAX_REQUEST = 512
"""Bytes: the longest path needs about 350."""


@dataclass(frozen=True, slots=True)
class PhoneRequest:
    """One request.

    ``method_path``: e.g. ``POST /v1/phone/sync``.  ``issued_at``: Unix seconds.  ``nonce``: 8 bytes,
    used once within REQUEST_SKEW by this phone.  ``body_hash``: SHA-256 of the request body's bytes.
    """

    phone_id: bytes
    method_path: str
    body_hash: bytes
    issued_at: int
    nonce: bytes


def hash_body(body: bytes) -> bytes:
    """SHA-256 of a request body (of nothing: the hash of the empty string)."""
    return sha256(body)


def sign_request(request: PhoneRequest, signer: Signer) -> bytes:
    """Sign as LK1-REQ, by the phone."""
    fields: dict[int, object] = {
        1: request.phone_id,
        2: request.method_path,
        3: request.body_hash,
        4: request.issued_at,
        5: request.nonce,
    }
    return sign1(Kind.REQ, writable(fields, _read), signer)


def read_request(data: bytes, phone_public: bytes) -> PhoneRequest:
    """Verify an LK1-REQ under the phone's key (65-byte point); freshness is the reader's to judge."""
    verified = verify1(Kind.REQ, data, keys_by_id((phone_public,)), limit=MAX_REQUEST)
    return _read(verified.payload)


def _read(payload: object) -> PhoneRequest:
    fields = Fields(payload, "request")
    request = PhoneRequest(
        phone_id=fields.id(1),
        method_path=fields.text(2),
        body_hash=fields.octets(3, HASH),
        issued_at=fields.time(4),
        nonce=fields.octets(5, NONCE),
    )
    fields.close()
    return request
