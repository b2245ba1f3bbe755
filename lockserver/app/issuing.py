"""What role issuer works with. It signs only for grants, wishes and enrolments that it checks itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lockserver.app.ports import Clock, FieldCipher, Random, Signer, Transactions


@dataclass(frozen=True, slots=True)
class FactoryIdentity:
    """What a manufacturer's certificate says of a lock."""

    serial: str
    public: bytes
    fingerprint: bytes


class DeviceCertificates(Protocol):
    """X.509: whom the manufacturer vouches for, and the site's own device authority."""

    def factory_identity(self, certificate: bytes, at: datetime) -> FactoryIdentity:
        """Check a factory certificate (DER) up to the manufacturer's CA.

        Raises ClaimRefusedError.
        """
        ...

    def issue(self, name: str, public: bytes, at: datetime) -> bytes:
        """Return an operational certificate (DER) for a lock's own key; `name` is its common name."""
        ...


@dataclass(frozen=True, slots=True)
class Issuing:
    """The issuer's ports."""

    transactions: Transactions
    clock: Clock
    random: Random
    signer: Signer
    certificates: DeviceCertificates
    seeds: FieldCipher
