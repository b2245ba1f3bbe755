"""What role issuer works with. It signs only for grants, wishes and enrolments that it checks itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from lockserver.app.ports import Clock, FieldCipher, Opener, Random, Signer, Transactions


class FactoryProof(Protocol):
    """What a manufacturer's certificate says of a lock."""

    @property
    def serial(self) -> str: ...  # noqa: D102
    @property
    def public(self) -> bytes: ...  # noqa: D102
    @property
    def fingerprint(self) -> bytes: ...  # noqa: D102


class Factories(Protocol):
    """The manufacturers that this site believes."""

    def verify(self, certificate: bytes, now: datetime) -> FactoryProof:
        """Check a factory certificate (DER) up to a manufacturer's CA; raises ClaimRefusedError."""
        ...


class Devices(Protocol):
    """The site's own device authority."""

    def issue(self, lock_id: UUID, sign_public: bytes, now: datetime) -> bytes:
        """Return the lock's operational certificate (DER), common name = lock id in hex."""
        ...


@dataclass(frozen=True, slots=True)
class Issuing:
    """The issuer's ports. `seeds` opens door seeds at rest, `pins` what people's phones seal to the issuer."""

    transactions: Transactions
    clock: Clock
    random: Random
    signer: Signer
    factories: Factories
    devices: Devices
    seeds: FieldCipher
    pins: Opener
