r"""A box that only one key opens: ephemeral-static ECIES on P-256.

``ephemeral point (65) || AES-128-GCM ciphertext and tag``; PRK = Extract(H(ephemeral || recipient),
ECDH.x); key and IV = Expand(PRK, "LK1 box\0" || H(info), 28); AAD = info.  ``info`` names purpose and
subject, so that a box cannot be moved to another door, role or use.  A box authenticates nobody: what
is inside is signed, or comes over a channel that is.
"""

from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.protocol.curve import (
    POINT,
    TAG,
    aead_open,
    aead_seal,
    ecdh,
    hkdf_extract,
    key_and_iv,
    public_bytes,
    sha256,
)
from lockserver.protocol.errors import Denial, RemoteError

OVERHEAD: Final = POINT + TAG
"""Bytes that a box adds to its plaintext."""

_LABEL: Final = b"LK1 box\0"


class Box(StrEnum):
    """What a box is for.  Append-only."""

    COMMAND = "command"  # server -> lock; subject: lock id
    REPORT = "report"  # lock -> server; subject: lock id
    SEED = "seed"  # door seed, issuer -> lock; subject: lock id
    BROKER = "broker"  # broker secret, issuer -> lock; subject: lock id
    DRAFT = "draft"  # server -> phone; subject: case id
    PIN = "pin"  # issuer -> phone; subject: lock id
    UPLOAD = "upload"  # phone -> role verify; subject: case id
    RECORD = "record"  # api, verify -> role relay; subject: client number
    PIN_SET = "pin_set"  # phone -> issuer: digits of a custom PIN; subject: lock id


def box_info(box: Box, subject: bytes) -> bytes:
    """The ``info`` of a box: ``"LK1 box " || purpose || 0x00 || subject``."""
    return b"LK1 box " + box.value.encode("ascii") + b"\0" + subject


def seal(to_public: bytes, plaintext: bytes, info: bytes, ephemeral: ec.EllipticCurvePrivateKey) -> bytes:
    """Seal for the key ``to_public`` with a fresh ``ephemeral`` key, used once.  RemoteError: bad point."""
    point = public_bytes(ephemeral)
    prk = hkdf_extract(sha256(point, to_public), ecdh(ephemeral, to_public))
    key, iv = key_and_iv(prk, _LABEL, sha256(info))
    return point + aead_seal(key, iv, plaintext, info)


def unseal(private_key: ec.EllipticCurvePrivateKey, data: bytes, info: bytes) -> bytes:
    """The plaintext of a box for ``private_key`` and ``info``.  RemoteError: BAD_BOX, BAD_POINT."""
    if len(data) < OVERHEAD:
        raise RemoteError(Denial.BAD_BOX, "shorter than an empty box")
    point = bytes(data[:POINT])
    prk = hkdf_extract(sha256(point, public_bytes(private_key)), ecdh(private_key, point))
    key, iv = key_and_iv(prk, _LABEL, sha256(info))
    return aead_open(key, iv, data[POINT:], info)
