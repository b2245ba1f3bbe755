"""The keys of the site, and a manufacturer: the same in every world, since no law hangs on their values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

from firmware_sim.core.identity import FactoryIdentity
from lockserver.domain.errors import ClaimRefusedError
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes, sha256
from lockserver.protocol.documents import KeySet, sign_key_set
from lockserver.protocol.limits import CLAIM_CODE
from tests.sim.agenda import T0
from tests.sim.chance import Chance
from tests.sim.firmware import maker

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric import ec

    from tests.sim.memory.store import MemoryStore

#: A factory certificate's and a device certificate's stand-in: certificates are the real brokers' matter.
CERTIFICATE = b"a certificate"


@dataclass(frozen=True, slots=True)
class SiteKeys:
    """One site's keys, in one hand."""

    root: EcdsaSigner
    issuer: EcdsaSigner
    command: EcdsaSigner
    report: ec.EllipticCurvePrivateKey
    others: dict[str, ec.EllipticCurvePrivateKey]
    key_set: bytes

    def lay(self, store: MemoryStore, dice: Chance) -> None:
        """Write the public halves where the roles look for them."""
        publics = {
            "root": self.root.public,
            "issuer": self.issuer.public,
            "command": self.command.public,
            "report": public_bytes(self.report),
            **{kind: public_bytes(key) for kind, key in self.others.items()},
        }
        for kind, public in publics.items():
            extra = {"key_set": self.key_set, "key_set_number": 1} if kind == "root" else {}
            store.plant(
                "site_keys",
                id=UUID(bytes=dice.bytes(16), version=4),
                kind=kind,
                kid=sha256(public)[:8],
                public=public,
                state="current",
                **extra,
            )


@cache
def site_keys() -> SiteKeys:
    """The keys of the site."""
    random = Chance("site").bytes
    root, issuer, command = (EcdsaSigner(private_key(random)) for _ in range(3))
    report = private_key(random)
    others = {kind: private_key(random) for kind in ("relay", "verify", "pins")}
    key_set = KeySet(1, (issuer.public,), (command.public,), public_bytes(report), T0)
    return SiteKeys(root, issuer, command, report, others, sign_key_set(key_set, root))


@cache
def burnt(number: int) -> FactoryIdentity:
    """The factory identity of the n-th lock that was ever made."""
    random = Chance("factory", number).bytes
    signer = EcdsaSigner(private_key(random))
    return FactoryIdentity(
        f"LSIM-2027-{number:010d}",
        signer,
        CERTIFICATE + b" %d" % number,
        random(CLAIM_CODE),
        firmware_public=maker().public,
    )


@dataclass(frozen=True, slots=True)
class Vouched:
    """What the manufacturer says of a lock."""

    serial: str
    public: bytes
    fingerprint: bytes


class Factories:
    """The port: the manufacturer that this site believes, who made `MADE` locks."""

    def verify(self, certificate: bytes, now: datetime) -> Vouched:
        """Find the lock that a certificate belongs to."""
        del now
        number = certificate.removeprefix(CERTIFICATE + b" ")
        if not number.isdigit():
            raise ClaimRefusedError
        made = burnt(int(number))
        return Vouched(made.serial, made.signer.public, sha256(certificate))


class Devices:
    """The port: the site's device authority."""

    def issue(self, lock_id: UUID, sign_public: bytes, now: datetime) -> bytes:
        """Certify a lock's operational key."""
        del now
        return CERTIFICATE + sha256(lock_id.bytes, sign_public)


class Seeds:
    """The port `FieldCipher` for door seeds: bound to its row by a name, for the world needs no secrecy here."""

    def seal(self, plaintext: bytes, *, table: str, column: str, row: bytes) -> bytes:
        """Bind to table, column and row."""
        return sha256(f"{table}.{column}".encode(), row) + plaintext

    def open(self, sealed: bytes, *, table: str, column: str, row: bytes) -> bytes:
        """Open what was sealed for here."""
        if sealed[:32] != sha256(f"{table}.{column}".encode(), row):
            raise ValueError("sealed for another place")
        return sealed[32:]
