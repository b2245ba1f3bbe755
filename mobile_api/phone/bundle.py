"""The phone's key bundle: its keys, what it pins, and what it needs at each door, in one file.

A real phone keeps its private keys in hardware and never sees them. This reference keeps them in a
file of mode 0600, so that a separate, offline process can open a door with them.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.curve import EcdsaSigner, Random, private_key, public_bytes
from mobile_api.phone.door import DoorKey
from mobile_api.phone.errors import NoKeyError

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {
    "release": DocumentKind.RELEASE,
    "key_set": DocumentKind.KEYS,
    "time": DocumentKind.TIME,
    "revocation_list": DocumentKind.REVOCATION,
    "access_state": DocumentKind.STATE,
}
"""In the order in which they go, should not all of them fit one message."""


@dataclass(slots=True)
class StoredDoor:
    """One door as the last sync gave it; every document is signed, the carrier is not trusted."""

    lock_id: bytes
    lock_public: bytes
    credential: bytes | None = None
    name: str = ""
    kind: str = ""
    withheld: str | None = None
    expires_at: str | None = None
    documents: dict[str, bytes] = field(default_factory=dict)
    nonce: bytes | None = None
    """The time nonce that the lock last showed."""


@dataclass(slots=True)
class Bundle:
    """All that a phone keeps."""

    signing: ec.EllipticCurvePrivateKey
    ecdh: ec.EllipticCurvePrivateKey
    phone_id: bytes | None = None
    site_root: bytes | None = None
    key_set: bytes | None = None
    doors: dict[bytes, StoredDoor] = field(default_factory=dict)
    reports: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(lock id, sealed report) carried out of locks, for the server."""

    @classmethod
    def fresh(cls, random: Random) -> Bundle:
        """A phone with new keys and nothing else."""
        return cls(private_key(random), private_key(random))

    @property
    def signer(self) -> EcdsaSigner:
        """The holder's signing key."""
        return EcdsaSigner(self.signing)

    @property
    def sign_public(self) -> bytes:
        """65-byte point of the signing key."""
        return public_bytes(self.signing)

    @property
    def ecdh_public(self) -> bytes:
        """65-byte point of the key that PINs and drafts are sealed to."""
        return public_bytes(self.ecdh)

    def door_key(self, lock_id: bytes) -> DoorKey:
        """What opens this door. Raises `NoKeyError`."""
        door = self.doors.get(lock_id)
        if door is None or door.credential is None:
            raise NoKeyError(lock_id.hex())
        carried = dict(door.documents)
        if self.key_set is not None:
            carried["key_set"] = self.key_set
        documents = tuple(
            SignedDocument(kind, carried[name]) for name, kind in _KINDS.items() if name in carried
        )
        return DoorKey(lock_id, door.lock_public, door.credential, documents)

    def save(self, path: Path) -> None:
        """Write the bundle, readable by its owner alone."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(path.name + ".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w") as out:
            json.dump(self._as_json(), out, indent=1)
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> Bundle:
        """Read a bundle. Raises `OSError`, `ValueError` or `KeyError`."""
        data = json.loads(path.read_text())
        bundle = cls(_key(data["signing"]), _key(data["ecdh"]))
        bundle.phone_id = _octets(data["phone_id"])
        bundle.site_root = _octets(data["site_root"])
        bundle.key_set = _octets(data["key_set"])
        for item in data["doors"]:
            door = _door(item)
            bundle.doors[door.lock_id] = door
        bundle.reports = [(unb64(lock), unb64(report)) for lock, report in data["reports"]]
        return bundle

    def _as_json(self) -> dict[str, Any]:
        return {
            "signing": _scalar(self.signing),
            "ecdh": _scalar(self.ecdh),
            "phone_id": _text(self.phone_id),
            "site_root": _text(self.site_root),
            "key_set": _text(self.key_set),
            "doors": [
                {
                    "lock_id": b64(door.lock_id),
                    "lock_public": b64(door.lock_public),
                    "credential": _text(door.credential),
                    "name": door.name,
                    "kind": door.kind,
                    "withheld": door.withheld,
                    "expires_at": door.expires_at,
                    "documents": {name: b64(raw) for name, raw in door.documents.items()},
                    "nonce": _text(door.nonce),
                }
                for door in self.doors.values()
            ],
            "reports": [[b64(lock), b64(report)] for lock, report in self.reports],
        }


def _door(item: dict[str, Any]) -> StoredDoor:
    return StoredDoor(
        lock_id=unb64(item["lock_id"]),
        lock_public=unb64(item["lock_public"]),
        credential=_octets(item["credential"]),
        name=item["name"],
        kind=item["kind"],
        withheld=item["withheld"],
        expires_at=item["expires_at"],
        documents={name: unb64(raw) for name, raw in item["documents"].items()},
        nonce=_octets(item["nonce"]),
    )


def b64(data: bytes) -> str:
    """base64url without padding (RFC 4648 section 5), as the API writes bytes."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64(data)


def _octets(text: str | None) -> bytes | None:
    return None if text is None else unb64(text)


def _scalar(key: ec.EllipticCurvePrivateKey) -> str:
    return b64(key.private_numbers().private_value.to_bytes(32, "big"))


def _key(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(unb64(text), "big"), ec.SECP256R1())
