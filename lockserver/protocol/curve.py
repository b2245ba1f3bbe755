"""P-256, SHA-256, HKDF and AES-128-GCM as the wire uses them.

Public keys are 65-byte uncompressed points (SEC 1, 2.3.3), checked to lie on the curve whenever they
are read.  Signatures are raw r || s, 64 bytes, ES256; signing is deterministic (RFC 6979) so that
vectors regenerate and seeds replay.  A signature is never an identity: ECDSA lets anyone turn
(r, s) into (r, n - s).
"""

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256 as _sha256
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockserver.protocol.errors import Denial, RemoteError

Random = Callable[[int], bytes]
"""A source of n random bytes: an argument, never a global."""

POINT: Final = 65
SIGNATURE: Final = 64
KID: Final = 8
KEY: Final = 16
IV: Final = 12
TAG: Final = 16

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ECDSA: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_UNCOMPRESSED: Final = 4


class Signer(Protocol):
    """Whoever can sign: a key in memory, a file of a role, a module of hardware."""

    @property
    def kid(self) -> bytes:
        """First 8 bytes of SHA-256 of ``public``."""

    @property
    def public(self) -> bytes:
        """65-byte uncompressed point."""

    def sign(self, message: bytes) -> bytes:
        """64-byte raw ES256 signature of ``message`` (hashed inside)."""


class EcdsaSigner:
    """A P-256 private key in memory."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._private = private_key
        self.public = public_bytes(private_key)
        self.kid = key_id(self.public)

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """The key itself, for whoever needs it in another form (TLS)."""
        return self._private

    def sign(self, message: bytes) -> bytes:
        """64-byte raw ES256 signature, deterministic."""
        r, s = decode_dss_signature(self._private.sign(message, _ECDSA))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def sha256(*parts: bytes) -> bytes:
    """SHA-256 over the parts in order."""
    digest = _sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def private_key(random: Random) -> ec.EllipticCurvePrivateKey:
    """A key from 48 random bytes, reduced (FIPS 186-5, A.2.1: extra random bits)."""
    scalar = int.from_bytes(random(48), "big") % (_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def public_bytes(key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> bytes:
    """65-byte uncompressed point of a key."""
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def key_id(public: bytes) -> bytes:
    """First 8 bytes of SHA-256 of the point: names a key among a handful, and is no proof."""
    return sha256(public)[:KID]


def keys_by_id(publics: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """Keys by their ids, as ``cose.verify1`` takes them."""
    return {key_id(public): public for public in publics}


@lru_cache(maxsize=4096)  # a lock sees the same issuer and holders again and again
def parse_public(public: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a 65-byte uncompressed point; RemoteError if it is none or not on the curve."""
    if type(public) is not bytes or len(public) != POINT or public[0] != _UNCOMPRESSED:
        raise RemoteError(Denial.BAD_POINT, "no uncompressed point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    except ValueError:
        raise RemoteError(Denial.BAD_POINT, "not on the curve") from None


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` (raw, 64 bytes) is the key's over ``message``.  RemoteError: bad point."""
    key = parse_public(public)
    if len(signature) != SIGNATURE:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), message, _ECDSA)
    except InvalidSignature:
        return False
    return True


def ecdh(private: ec.EllipticCurvePrivateKey, public: bytes) -> bytes:
    """32-byte x coordinate of the shared point.  RemoteError: bad point."""
    return private.exchange(ec.ECDH(), parse_public(public))


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104)."""
    mac = HMAC(key, hashes.SHA256())
    mac.update(message)
    return mac.finalize()


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869, 2.2)."""
    return hmac_sha256(salt, secret)


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869, 2.3)."""
    return HKDFExpand(hashes.SHA256(), length, info).derive(prk)


def key_and_iv(prk: bytes, label: bytes, transcript: bytes) -> tuple[bytes, bytes]:
    """The 16-byte key and 12-byte IV for one AEAD: Expand(PRK, label || transcript, 28)."""
    material = hkdf_expand(prk, label + transcript, KEY + IV)
    return material[:KEY], material[KEY:]


def aead_seal(key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """AES-128-GCM; the 16-byte tag stands last."""
    return AESGCM(key).encrypt(iv, plaintext, aad)


def aead_open(key: bytes, iv: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    """The plaintext, or RemoteError if the tag is wrong or missing."""
    try:
        return AESGCM(key).decrypt(iv, ciphertext, aad)
    except (InvalidTag, ValueError):
        raise RemoteError(Denial.BAD_BOX, "does not open") from None
