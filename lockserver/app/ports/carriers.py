"""Repositories about gateways and firmware as a use case sees them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from lockserver.app.ports.rows import Rows
from lockserver.domain.firmware import FirmwareImage
from lockserver.domain.gateway import Gateway, GatewayCredential, Sighting
from lockserver.domain.lock import BrokerIdentity, Lock


class Gateways(Rows[Gateway], Protocol):
    """Gateways, their identity and what they hear."""

    async def keep_secret(self, gateway_id: UUID, broker_secret_hash: bytes) -> None:
        """Write what only issuer and bridge may read."""
        ...

    async def for_broker(self, gateway_id: UUID) -> BrokerIdentity | None:
        """Return what is needed to judge a connection at the broker."""
        ...

    async def of_house(self, house_id: UUID) -> Sequence[Gateway]:
        """Return a house's gateways in service, by name."""
        ...

    async def active(self) -> Sequence[Gateway]:
        """Return every gateway in service."""
        ...

    async def retire(self, gateway_id: UUID) -> bool:
        """Take it out of service; tell whether it was in it."""
        ...

    async def says(self, gateway_id: UUID, boot: int, free: int, at: datetime) -> None:
        """Note a gateway's hello."""
        ...

    async def saw(self, sightings: Sequence[Sighting]) -> None:
        """Note what gateways hear; an older word never covers a newer."""
        ...

    async def sightings(self, house_id: UUID) -> Sequence[Sighting]:
        """Return what a house's gateways in service heard last."""
        ...


class GatewayCredentials(Rows[GatewayCredential], Protocol):
    """What gateways may carry to."""

    async def living(self, gateway_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return its newest living credential for each lock in service, unless revoked."""
        ...

    async def wanting(self, at: datetime, limit: int = 20) -> Sequence[UUID]:
        """Return gateways in service that lack a credential for a lock of their house, or hold a half-aged one."""
        ...

    async def locks_of(self, gateway_id: UUID) -> Sequence[Lock]:
        """Return the locks in service of its house."""
        ...

    async def stale(self, lock_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return and hold living credentials of removed gateways that no list names."""
        ...

    async def revoked(self, lock_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return revoked credentials that would live otherwise: what the list must name."""
        ...

    async def revoke(self, ids: Sequence[UUID], at: datetime, number: int) -> None:
        """Note that the list of this number names them."""
        ...

    async def oldest_usable(self, lock_id: UUID, at: datetime) -> datetime | None:
        """Return when the oldest credential was issued that lives and is not revoked."""
        ...

    async def with_stale(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks that would still let a removed gateway carry."""
        ...


class Firmware(Protocol):
    """Firmware images."""

    async def add(self, image: FirmwareImage, data: bytes) -> None:
        """Keep an image; raises ConflictError where this model has this counter."""
        ...

    async def all(self) -> Sequence[FirmwareImage]:
        """Return every image, newest first, without its bytes."""
        ...

    async def newest(self, serial: str) -> FirmwareImage | None:
        """Return the image of the highest counter that is for the lock of this serial number."""
        ...

    async def part(self, image_id: UUID, offset: int, length: int) -> bytes:
        """Return at most `length` bytes of an image from `offset` on."""
        ...
