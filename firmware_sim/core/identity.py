"""Who the lock is: what the factory burnt in, and what enrolment gave it.

The factory identity (serial, key, certificate, claim code) is in one-time-programmable memory and
survives everything. The operational identity is in flash; its private keys were made in the lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.curve import EcdsaSigner
from lockserver.protocol.enrolment import DoorKind

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash

#: What this simulator is a model of, as firmware manifests name it.
MODEL: Final = "LSIM-1"

_KEY: Final = "identity"


@dataclass(frozen=True, slots=True)
class FactoryIdentity:
    """Made by the manufacturer. `claim_code` is also printed as a QR on the box."""

    serial: str
    signer: EcdsaSigner
    certificate: bytes
    claim_code: bytes
    model: str = MODEL
    firmware_public: bytes | None = None
    """The manufacturer's key for firmware; None: a lock that cannot be updated."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Made at enrolment: the site's lock `lock_id`."""

    lock_id: bytes
    signing: ec.EllipticCurvePrivateKey
    ecdh: ec.EllipticCurvePrivateKey
    site_root: bytes
    certificate: bytes
    broker_secret: bytes
    door_seed: bytes
    door_kind: DoorKind

    @property
    def signer(self) -> EcdsaSigner:
        """The lock's operational signing key."""
        return EcdsaSigner(self.signing)

    @property
    def shared(self) -> bool:
        """Whether this is a gate or a corridor, without a turnover epoch."""
        return self.door_kind is DoorKind.SHARED

    def record(self) -> dict[str, bytes | None]:
        """As it is put into flash."""
        row = [
            self.lock_id,
            _scalar(self.signing),
            _scalar(self.ecdh),
            self.site_root,
            self.certificate,
            self.broker_secret,
            self.door_seed,
            int(self.door_kind),
        ]
        return {_KEY: encode(row)}


def load_identity(flash: Flash) -> Identity | None:
    """The operational identity in flash, or None before enrolment."""
    raw = flash.get(_KEY)
    if raw is None:
        return None
    row = decode(raw)
    if not isinstance(row, list):
        message = "the identity in flash is broken"
        raise TypeError(message)
    lock_id, signing, ecdh, root, certificate, secret, seed, kind = row
    return Identity(
        lock_id=lock_id,
        signing=_key(signing),
        ecdh=_key(ecdh),
        site_root=root,
        certificate=certificate,
        broker_secret=secret,
        door_seed=seed,
        door_kind=DoorKind(kind),
    )


def _scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32, "big")


def _key(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
