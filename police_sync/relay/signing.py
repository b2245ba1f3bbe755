"""Signatures of the contract: how we sign calls, and how signed bytes of the province verify.

ES256 only. SM2 would be another `RequestSigner` and another entry of `PinnedKey.alg`; nothing else
here knows the algorithm.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

_INTEGER = 32  # bytes of r and of s (P-256)
_ECDSA = ec.ECDSA(hashes.SHA256())


class RequestSigner(Protocol):
    """Our key at the province."""

    @property
    def key_id(self) -> str:
        """The id under which the province knows the public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Raw r and s, 64 bytes."""
        ...


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Undo `b64`.

    Raises:
        ValueError: not base64url.

    """
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from None


def key_id_of(prefix: str, public: ec.EllipticCurvePublicKey) -> str:
    """A key's id: prefix and the first 8 bytes of the SHA-256 of its point, in hex."""
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return prefix + hashlib.sha256(point).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Es256Signer:
    """An ES256 key held in this process."""

    key: ec.EllipticCurvePrivateKey
    key_id: str

    @classmethod
    def from_pem(cls, pem: bytes, key_id: str | None = None) -> "Es256Signer":
        """The signer of a P-256 private key in PEM; the id defaults to `c-` and the key's hash.

        Raises:
            ValueError: not a P-256 private key.

        """
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ValueError("province client key: a P-256 private key is needed")
        return cls(key, key_id or key_id_of("c-", key.public_key()))

    def sign(self, message: bytes) -> bytes:
        """Raw r and s."""
        r, s = utils.decode_dss_signature(self.key.sign(message, _ECDSA))
        return r.to_bytes(_INTEGER, "big") + s.to_bytes(_INTEGER, "big")


def verify_es256(public: ec.EllipticCurvePublicKey, signature: str, message: bytes) -> bool:
    """Whether `signature` (base64url of raw r and s) is `public`'s over `message`."""
    try:
        raw = unb64(signature)
        if len(raw) != 2 * _INTEGER:
            return False
        r, s = int.from_bytes(raw[:_INTEGER], "big"), int.from_bytes(raw[_INTEGER:], "big")
        public.verify(utils.encode_dss_signature(r, s), message, _ECDSA)
    except (ValueError, InvalidSignature):
        return False
    return True


def call_message(  # a call's signed bytes; `purpose` keeps a call from passing as a callback
    purpose: str, method: str, target: str, body: bytes, timestamp: str, nonce: str
) -> bytes:
    """What a call (`request`) or callback (`callback`) signs: see the contract's README."""
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join((f"POLICE-1 {purpose}", method, target, digest, timestamp, nonce)).encode()


def signed_headers(
    signer: RequestSigner, *, method: str, target: str, body: bytes, at_s: int, nonce: str
) -> dict[str, str]:
    """The four headers of a call. `at_s`: seconds since 1970 UTC; `nonce`: 32 hex characters."""
    timestamp = str(at_s)
    message = call_message("request", method, target, body, timestamp, nonce)
    return {
        "Police-Key-Id": signer.key_id,
        "Police-Timestamp": timestamp,
        "Police-Nonce": nonce,
        "Police-Signature": b64(signer.sign(message)),
    }
