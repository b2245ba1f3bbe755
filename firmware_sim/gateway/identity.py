"""Who a gateway is: keys of its own making, and what the site gave it when its owner named it."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.limits import NONCE
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.sealed import Box, box_info, unseal
from lockserver.protocol.topics import gateway_down, gateway_up, lock_name

if TYPE_CHECKING:
    from pathlib import Path

    from lockserver.protocol.curve import Random

METHOD_PATH = "POST /v1/houses/gateways"


@dataclass(frozen=True, slots=True, repr=False)
class GatewayIdentity:
    """A gateway that a house's owner has named."""

    gateway_id: bytes
    signing: ec.EllipticCurvePrivateKey
    certificate: bytes
    broker_secret: bytes
    site_root: bytes
    key_set: bytes

    @property
    def signer(self) -> EcdsaSigner:
        """Its signing key."""
        return EcdsaSigner(self.signing)


@dataclass(slots=True, repr=False)
class GatewayKeys:
    """A gateway out of its box: two keys, and nobody's."""

    signing: ec.EllipticCurvePrivateKey
    ecdh: ec.EllipticCurvePrivateKey
    given: dict[str, str] = field(default_factory=dict)
    boots: int = 0

    @classmethod
    def make(cls, random: Random = secrets.token_bytes) -> GatewayKeys:
        """Make the keys."""
        return cls(private_key(random), private_key(random))

    def offer(self, house_id: bytes, now: int, random: Random = secrets.token_bytes) -> dict[str, bytes]:
        """What its owner's phone carries to the server: keys, and their proof for this house only."""
        sign_pub, ecdh_pub = public_bytes(self.signing), public_bytes(self.ecdh)
        request = PhoneRequest(house_id, METHOD_PATH, hash_body(sign_pub + ecdh_pub), now, random(NONCE))
        proof = sign_request(request, EcdsaSigner(self.signing))
        return {"sign_pub": sign_pub, "ecdh_pub": ecdh_pub, "proof": proof}

    def adopt(self, given: dict[str, str]) -> GatewayIdentity:
        """Take what the server answered: base64url texts as in its JSON. RemoteError: the box is not for us."""
        self.given = given
        gateway_id = bytes.fromhex(given["gateway_id"].replace("-", ""))
        info = box_info(Box.BROKER, gateway_id)
        return GatewayIdentity(
            gateway_id=gateway_id,
            signing=self.signing,
            certificate=_octets(given["certificate"]),
            broker_secret=unseal(self.ecdh, _octets(given["broker_secret"]), info),
            site_root=_octets(given["site_root"]),
            key_set=_octets(given["key_set"]),
        )

    @property
    def identity(self) -> GatewayIdentity | None:
        """Who it is, once named."""
        return self.adopt(self.given) if self.given else None

    def save(self, file: Path) -> None:
        """Write it all (mode 0600)."""
        data = {
            "signing": _pem(self.signing),
            "ecdh": _pem(self.ecdh),
            "given": self.given,
            "boots": self.boots,
        }
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "wb") as out:
            out.write(json.dumps(data, indent=1).encode())

    @classmethod
    def load(cls, file: Path) -> GatewayKeys:
        """Read what `save` wrote."""
        data: dict[str, Any] = json.loads(file.read_text())
        return cls(_key(data["signing"]), _key(data["ecdh"]), data["given"], data["boots"])


def broker_name(identity: GatewayIdentity) -> str:
    """Its client id and user name."""
    return lock_name(identity.gateway_id)


def broker_topics(identity: GatewayIdentity) -> tuple[str, str]:
    """(down, up)."""
    return gateway_down(identity.gateway_id), gateway_up(identity.gateway_id)


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - our own file
    return key
