"""Gateways: identity, sightings, and what they may carry to."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.db.connection import driver
from lockserver.db.repositories.rows import Rows, refusals
from lockserver.db.tables import (
    DoorRow,
    FirmwareImageRow,
    GatewayCredentialRow,
    GatewayRow,
    GatewaySightRow,
    LockRow,
    table_of,
)
from lockserver.domain.firmware import FirmwareImage
from lockserver.domain.gateway import LIFE, Gateway, GatewayCredential, Sighting
from lockserver.domain.lock import BrokerIdentity, Lock

_gateways = table_of(GatewayRow)
_sights = table_of(GatewaySightRow)
_locks = table_of(LockRow)
_doors = table_of(DoorRow)
_images = table_of(FirmwareImageRow)

_SAW: Final = """
INSERT INTO gateway_sights (gateway_id, lock_id, rssi, seen_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::timestamptz[])
ON CONFLICT (gateway_id, lock_id) DO UPDATE SET rssi = excluded.rssi, seen_at = excluded.seen_at
 WHERE gateway_sights.seen_at < excluded.seen_at
"""


class Gateways(Rows[Gateway]):
    """Gateways, their identity and what they hear."""

    table = _gateways
    record = Gateway

    async def keep_secret(self, gateway_id: UUID, broker_secret_hash: bytes) -> None:
        """Write what only issuer and bridge may read."""
        statement = update(self.table).where(self.table.c.id == gateway_id)
        await self.run(statement.values(broker_secret_hash=broker_secret_hash))

    async def for_broker(self, gateway_id: UUID) -> BrokerIdentity | None:
        """Return what is needed to judge a connection at the broker."""
        names = [field.name for field in fields(BrokerIdentity)]
        statement = select(*(self.table.c[name] for name in names)).where(self.table.c.id == gateway_id)
        with refusals():
            row = (await self.connection.execute(statement)).first()
        return None if row is None else BrokerIdentity(*row)

    async def of_house(self, house_id: UUID) -> Sequence[Gateway]:
        """Return a house's gateways in service, by name."""
        table = self.table
        found = self.select().where(table.c.house_id == house_id, table.c.state == "active")
        return await self.all(found.order_by(table.c.name, table.c.id))

    async def active(self) -> Sequence[Gateway]:
        """Return every gateway in service."""
        return await self.all(self.select().where(self.table.c.state == "active"))

    async def retire(self, gateway_id: UUID) -> bool:
        """Take it out of service; tell whether it was in it."""
        table = self.table
        statement = update(table).where(table.c.id == gateway_id, table.c.state == "active")
        return await self.run(statement.values(state="retired")) == 1

    async def says(self, gateway_id: UUID, boot: int, free: int, at: datetime) -> None:
        """Note a gateway's hello."""
        statement = update(self.table).where(self.table.c.id == gateway_id)
        await self.run(statement.values(boot=boot, free=free, last_seen_at=at))

    async def saw(self, sightings: Sequence[Sighting]) -> None:
        """Note what gateways hear; an older word never covers a newer."""
        if not sightings:
            return
        raw = await driver(self.connection)
        ordered = sorted(sightings, key=lambda one: (one.gateway_id, one.lock_id))
        columns = [[getattr(one, field.name) for one in ordered] for field in fields(Sighting)]
        with refusals():
            await raw.execute(_SAW, columns)

    async def sightings(self, house_id: UUID) -> Sequence[Sighting]:
        """Return what a house's gateways in service heard last."""
        columns = [_sights.c[field.name] for field in fields(Sighting)]
        statement = (
            select(*columns)
            .join(self.table, self.table.c.id == _sights.c.gateway_id)
            .where(self.table.c.house_id == house_id, self.table.c.state == "active")
            .order_by(_sights.c.gateway_id, _sights.c.lock_id)
        )
        with refusals():
            return [Sighting(*row) for row in await self.connection.execute(statement)]


class GatewayCredentials(Rows[GatewayCredential]):
    """What gateways may carry to."""

    table = table_of(GatewayCredentialRow)
    record = GatewayCredential

    async def living(self, gateway_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return its newest living credential for each lock in service, unless revoked."""
        table = self.table
        return await self.all(
            self.select()
            .join(_locks, _locks.c.id == table.c.lock_id)
            .where(
                table.c.gateway_id == gateway_id,
                table.c.revoked_at.is_(None),
                table.c.expires_at > at,
                _locks.c.state.in_(("active", "releasing")),
            )
            .order_by(table.c.lock_id, table.c.id.desc())
            .ext(distinct_on(table.c.lock_id))
        )

    async def wanting(self, at: datetime, limit: int = 20) -> Sequence[UUID]:
        """Return gateways in service that lack a credential for a lock of their house, or hold a half-aged one."""
        table = self.table
        good = (
            select(table.c.id)
            .where(
                table.c.gateway_id == _gateways.c.id,
                table.c.lock_id == _locks.c.id,
                table.c.revoked_at.is_(None),
                table.c.expires_at > at + LIFE / 2,
            )
            .exists()
        )
        statement = (
            select(_gateways.c.id)
            .distinct()
            .join(_doors, _doors.c.house_id == _gateways.c.house_id)
            .join(_locks, and_(_locks.c.door_id == _doors.c.id, _locks.c.state == "active"))
            .where(_gateways.c.state == "active", ~good)
            .limit(limit)
        )
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]

    async def locks_of(self, gateway_id: UUID) -> Sequence[Lock]:
        """Return the locks in service of its house."""
        names = [field.name for field in fields(Lock)]
        statement = (
            select(*(_locks.c[name] for name in names))
            .join(_doors, _doors.c.id == _locks.c.door_id)
            .join(_gateways, _gateways.c.house_id == _doors.c.house_id)
            .where(_gateways.c.id == gateway_id, _locks.c.state == "active")
            .order_by(_locks.c.id)
        )
        with refusals():
            return [Lock(*row) for row in await self.connection.execute(statement)]

    def _stale(self, at: datetime) -> ColumnElement[bool]:
        table = self.table
        return and_(
            table.c.expires_at > at,
            table.c.revoked_in.is_(None),
            or_(table.c.revoked_at.is_not(None), _gateways.c.state != "active"),
        )

    async def stale(self, lock_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return and hold living credentials of removed gateways that no list names."""
        table = self.table
        return await self.all(
            self.select()
            .join(_gateways, _gateways.c.id == table.c.gateway_id)
            .where(table.c.lock_id == lock_id, self._stale(at))
            .order_by(table.c.id)
            .with_for_update(of=table)
        )

    async def revoked(self, lock_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return revoked credentials that would live otherwise: what the list must name."""
        table = self.table
        lives = (table.c.lock_id == lock_id, table.c.revoked_at.is_not(None), table.c.expires_at > at)
        return await self.all(self.select().where(*lives).order_by(table.c.id))

    async def revoke(self, ids: Sequence[UUID], at: datetime, number: int) -> None:
        """Note that the list of this number names them."""
        statement = update(self.table).where(self.table.c.id.in_(ids))
        await self.run(statement.values(revoked_at=at, revoked_in=number))

    async def oldest_usable(self, lock_id: UUID, at: datetime) -> datetime | None:
        """Return when the oldest credential was issued that lives and is not revoked."""
        table = self.table
        lives = (table.c.lock_id == lock_id, table.c.revoked_at.is_(None), table.c.expires_at > at)
        found: datetime | None = await self.scalar(select(func.min(table.c.issued_at)).where(*lives))
        return found

    async def with_stale(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks that would still let a removed gateway carry."""
        table = self.table
        statement = (
            select(table.c.lock_id)
            .distinct()
            .join(_gateways, _gateways.c.id == table.c.gateway_id)
            .join(_locks, and_(_locks.c.id == table.c.lock_id, _locks.c.state == "active"))
            .where(self._stale(at))
            .limit(limit)
        )
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]


class Firmware:
    """Firmware images; the bytes are read a piece at a time."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def add(self, image: FirmwareImage, data: bytes) -> None:
        """Keep an image; raises ConflictError where this model has this counter."""
        values = {field.name: getattr(image, field.name) for field in fields(image) if field.name != "size"}
        with refusals():
            await self.connection.execute(insert(_images).values(**values, image=data))

    async def all(self) -> Sequence[FirmwareImage]:
        """Return every image, newest first, without its bytes."""
        statement = self._select().order_by(_images.c.model, _images.c.counter.desc())
        with refusals():
            return [FirmwareImage(*row) for row in await self.connection.execute(statement)]

    async def newest(self, serial: str) -> FirmwareImage | None:
        """Return the image of the highest counter that is for the lock of this serial number."""
        fits = literal(serial).startswith(_images.c.serials, autoescape=False)
        statement = self._select().where(fits).order_by(_images.c.counter.desc()).limit(1)
        with refusals():
            row = (await self.connection.execute(statement)).first()
        return None if row is None else FirmwareImage(*row)

    async def part(self, image_id: UUID, offset: int, length: int) -> bytes:
        """Return at most `length` bytes of an image from `offset` on."""
        piece = func.substring(_images.c.image, offset + 1, length)
        with refusals():
            found = (await self.connection.execute(select(piece).where(_images.c.id == image_id))).scalar()
        return bytes(found or b"")

    @staticmethod
    def _select() -> Select[Any]:
        names = [field.name for field in fields(FirmwareImage) if field.name != "size"]
        return select(*(_images.c[name] for name in names), func.octet_length(_images.c.image))
