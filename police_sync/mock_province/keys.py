"""The province's own keys in its data folder, its signatures, and those of its clients."""

import base64
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from police_sync.mock_province import canonical

_ALGORITHM = ECDSA(SHA256(), deterministic_signing=True)  # the same document, the same receipt
_HALF = 32


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def point_of(public: EllipticCurvePublicKey) -> bytes:
    """The uncompressed point, 65 bytes."""
    return public.public_bytes(form.Encoding.X962, form.PublicFormat.UncompressedPoint)


def name_of(prefix: str, public: EllipticCurvePublicKey) -> str:
    """A key's id, derived from its point."""
    return prefix + hashlib.sha256(point_of(public)).hexdigest()[:16]


def load_client(pem: bytes) -> tuple[str, str]:
    """A client's public key in PEM as (key id, base64url point).

    Raises:
        ValueError: not a P-256 public key.

    """
    public = form.load_pem_public_key(pem)
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        raise ValueError("client key: a P-256 public key in PEM is needed")  # noqa: TRY004 - as documented
    return name_of("c-", public), _encode(point_of(public))


def signature_holds(point: str, signature: str, message: bytes) -> bool:
    """Whether the owner of `point` signed `message`."""
    try:
        padded = signature + "=" * (-len(signature) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        if len(raw) != 2 * _HALF:
            return False
        der = encode_dss_signature(int.from_bytes(raw[:_HALF]), int.from_bytes(raw[_HALF:]))
        encoded = base64.urlsafe_b64decode(point + "=")
        public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), encoded)
        public.verify(der, message, _ALGORITHM)
    except (ValueError, InvalidSignature):
        return False
    return True


def call_text(purpose: str, method: str, target: str, body: bytes, timestamp: str, nonce: str) -> bytes:
    """The bytes that a call or callback signs."""
    hashed = hashlib.sha256(body).hexdigest()
    return f"POLICE-1 {purpose}\n{method}\n{target}\n{hashed}\n{timestamp}\n{nonce}".encode()


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """One of the province's signing keys."""

    private: EllipticCurvePrivateKey
    key_id: str

    @classmethod
    def new(cls) -> "ReceiptKey":
        """A fresh key."""
        private = generate_private_key(SECP256R1())
        return cls(private, name_of("p-", private.public_key()))

    def raw_signature(self, message: bytes) -> str:
        """Base64url of r and s."""
        r, s = decode_dss_signature(self.private.sign(message, _ALGORITHM))
        return _encode(r.to_bytes(_HALF) + s.to_bytes(_HALF))

    def sign(self, document: dict[str, Any]) -> dict[str, Any]:
        """`document` (with its `type`) under this key; an older signature is replaced."""
        bare = {name: value for name, value in document.items() if name != "signature"}
        bare["key_id"] = self.key_id
        message = f"POLICE-1 {bare['type']}\n".encode() + canonical.dump(bare)
        return {**bare, "signature": self.raw_signature(message)}


@dataclass(frozen=True, slots=True)
class KeyRing:
    """What signs here: the key in force, and a retired one that must convince nobody."""

    current: ReceiptKey
    retired: ReceiptKey


def _stored_key(path: Path) -> ReceiptKey:
    if not path.exists():
        fresh = ReceiptKey.new()
        pem = fresh.private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        write_private(path, pem)
        return fresh
    private = form.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(private, EllipticCurvePrivateKey):
        raise TypeError(f"{path.name}: a P-256 private key is needed")
    return ReceiptKey(private, name_of("p-", private.public_key()))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def open_ring(folder: Path, now: datetime) -> KeyRing:
    """The keys in `folder`, made at the first start; publishes `province_keys.json` beside them."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    published = folder / "province_keys.json"
    ring = KeyRing(_stored_key(folder / "province_receipt.pem"), _stored_key(folder / "province_retired.pem"))
    if not published.exists():
        publish(published, ring, now)
    return ring


def publish(path: Path, ring: KeyRing, now: datetime) -> None:
    """Write the published form of `ring` (contract, `keys.schema.json`)."""

    def entry(key: ReceiptKey, start: datetime, end: datetime | None) -> dict[str, Any]:
        return {
            "key_id": key.key_id,
            "alg": "ES256",
            "public_key": _encode(point_of(key.private.public_key())),
            "from": stamp(start),
            "until": stamp(end) if end else None,
        }

    start, year = now - timedelta(days=1), timedelta(days=365)
    document = {"keys": [entry(ring.current, start, None), entry(ring.retired, start - year, start)]}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def control_token(folder: Path) -> str:
    """The control door's token, made at the first start."""
    path = folder / "control.token"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text(encoding="ascii").strip()


def stamp(at: datetime) -> str:
    """An instant in the contract's form."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
