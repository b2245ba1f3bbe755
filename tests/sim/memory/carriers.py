"""Gateways: identity, sightings, and what they may carry to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from lockserver.domain.firmware import FirmwareImage
from lockserver.domain.gateway import LIFE, Gateway, GatewayCredential, Sighting
from lockserver.domain.lock import BrokerIdentity, Lock
from tests.sim.memory.rows import Connection, Rows, by, read, values
from tests.sim.memory.schema import Row
from tests.sim.memory.transaction import UPDATE, Transaction


class Gateways(Rows[Gateway]):
    """Gateways, their identity and what they hear."""

    table = "gateways"
    record = Gateway

    async def keep_secret(self, gateway_id: UUID, broker_secret_hash: bytes) -> None:
        """Write what only issuer and bridge may read."""
        await self.change("keep_secret", gateway_id, broker_secret_hash=broker_secret_hash)

    async def for_broker(self, gateway_id: UUID) -> BrokerIdentity | None:
        """Return what is needed to judge a connection at the broker."""
        async with self.statement() as work:
            row = work.row(self.table, gateway_id)
            return None if row is None else read(BrokerIdentity, row)

    async def of_house(self, house_id: UUID) -> Sequence[Gateway]:
        """Return a house's gateways in service, by name."""
        return await self.find(order=by("name", "id"), house_id=house_id, state="active")

    async def active(self) -> Sequence[Gateway]:
        """Return every gateway in service."""
        return await self.find(state="active")

    async def retire(self, gateway_id: UUID) -> bool:
        """Take it out of service; tell whether it was in it."""
        async with self.statement("retire") as work:
            retired = await work.update(
                self.table, gateway_id, {"state": "retired"}, lambda row: row["state"] == "active"
            )
            return retired is not None

    async def says(self, gateway_id: UUID, boot: int, free: int, at: datetime) -> None:
        """Note a gateway's hello."""
        await self.change("says", gateway_id, boot=boot, free=free, last_seen_at=at)

    async def saw(self, sightings: Sequence[Sighting]) -> None:
        """Note what gateways hear; an older word never covers a newer."""
        if not sightings:
            return
        if len({(one.gateway_id, one.lock_id) for one in sightings}) < len(sightings):
            raise ValueError("one statement does not write one row twice")
        async with self.statement("saw") as work:
            for one in sorted(sightings, key=lambda one: (one.gateway_id, one.lock_id)):
                await work.upsert("gateway_sights", asdict(one), _is_older_than(one.seen_at))

    async def sightings(self, house_id: UUID) -> Sequence[Sighting]:
        """Return what a house's gateways in service heard last."""
        async with self.statement() as work:
            rows = [
                row
                for gateway in work.rows(self.table, house_id=house_id, state="active")
                for row in work.rows("gateway_sights", gateway_id=gateway["id"])
            ]
            return [read(Sighting, row) for row in by("gateway_id", "lock_id")(rows)]


def _is_older_than(at: datetime) -> Callable[[Row], bool]:
    return lambda row: row["seen_at"] < at


class GatewayCredentials(Rows[GatewayCredential]):
    """What gateways may carry to."""

    table = "gateway_credentials"
    record = GatewayCredential

    async def living(self, gateway_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return its newest living credential for each lock in service, unless revoked."""
        async with self.statement() as work:
            rows = [
                row
                for row in work.rows(self.table, gateway_id=gateway_id, revoked_at=None)
                if row["expires_at"] > at
                and (lock := work.row("locks", row["lock_id"])) is not None
                and lock["state"] in ("active", "releasing")
            ]
            newest = {row["lock_id"]: row for row in by("id")(rows)}
            return [self.read(row) for row in by("lock_id")(newest.values())]

    async def wanting(self, at: datetime, limit: int = 20) -> Sequence[UUID]:
        """Return gateways in service that lack a credential for a lock of their house, or hold a half-aged one."""

        def good(row: Row, lock: Row) -> bool:
            return bool(row["lock_id"] == lock["id"] and row["expires_at"] > at + LIFE / 2)

        async with self.statement() as work:
            found = []
            for gateway in work.rows("gateways", state="active"):
                held = work.rows(self.table, gateway_id=gateway["id"], revoked_at=None)
                if any(not any(good(row, lock) for row in held) for lock in _locks_of(work, gateway)):
                    found.append(gateway["id"])
            return found[:limit]

    async def locks_of(self, gateway_id: UUID) -> Sequence[Lock]:
        """Return the locks in service of its house."""
        async with self.statement() as work:
            gateway = work.row("gateways", gateway_id)
            return [] if gateway is None else [read(Lock, row) for row in _locks_of(work, gateway)]

    async def stale(self, lock_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return and hold living credentials of removed gateways that no list names."""
        async with self.statement() as work:
            rows = by("id")(row for row in work.rows(self.table, lock_id=lock_id) if _stale(work, row, at))
            held = await work.held_rows(self.table, rows, lambda row: _stale(work, row, at), UPDATE)
            return [self.read(row) for row in held]

    async def revoked(self, lock_id: UUID, at: datetime) -> Sequence[GatewayCredential]:
        """Return revoked credentials that would live otherwise: what the list must name."""
        return await self.find(
            lambda row: row["revoked_at"] is not None and row["expires_at"] > at,
            by("id"),
            lock_id=lock_id,
        )

    async def revoke(self, ids: Sequence[UUID], at: datetime, number: int) -> None:
        """Note that the list of this number names them."""
        async with self.statement("revoke") as work:
            for cti in ids:
                await work.update(self.table, cti, {"revoked_at": at, "revoked_in": number})

    async def oldest_usable(self, lock_id: UUID, at: datetime) -> datetime | None:
        """Return when the oldest credential was issued that lives and is not revoked."""
        usable = await self.find(lambda row: row["expires_at"] > at, lock_id=lock_id, revoked_at=None)
        return min((one.issued_at for one in usable), default=None)

    async def with_stale(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks that would still let a removed gateway carry."""
        async with self.statement() as work:
            stale = {row["lock_id"] for row in work.rows(self.table) if _stale(work, row, at)}
            return [row["id"] for row in work.rows("locks", state="active") if row["id"] in stale][:limit]


class Firmware:
    """Firmware images; the bytes are read a piece at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def add(self, image: FirmwareImage, data: bytes) -> None:
        """Keep an image; raises ConflictError where this model has this counter."""
        row = values(image) | {"image": data}
        del row["size"]
        async with self.connection.statement("firmware_images.add") as work:
            await work.insert("firmware_images", row)

    async def all(self) -> Sequence[FirmwareImage]:
        """Return every image, newest first, without its bytes."""
        async with self.connection.statement() as work:
            found = sorted(work.rows("firmware_images"), key=lambda row: (row["model"], -row["counter"]))
            return [_image(row) for row in found]

    async def newest(self, serial: str) -> FirmwareImage | None:
        """Return the image of the highest counter that is for the lock of this serial number."""
        async with self.connection.statement() as work:
            fits = [row for row in work.rows("firmware_images") if serial.startswith(row["serials"])]
            newest = max(fits, key=lambda row: int(row["counter"]), default=None)
            return None if newest is None else _image(newest)

    async def part(self, image_id: UUID, offset: int, length: int) -> bytes:
        """Return at most `length` bytes of an image from `offset` on."""
        async with self.connection.statement() as work:
            row = work.row("firmware_images", image_id)
            return b"" if row is None else bytes(row["image"][offset : offset + length])


def _image(row: Row) -> FirmwareImage:
    return read(FirmwareImage, {**row, "size": len(row["image"])})


def _locks_of(work: Transaction, gateway: Row) -> list[Row]:
    """The locks in service of a gateway's house."""
    doors = [door["id"] for door in work.rows("doors", house_id=gateway["house_id"])]
    return by("id")(row for door in doors for row in work.rows("locks", door_id=door, state="active"))


def _stale(work: Transaction, row: Row, at: datetime) -> bool:
    if row["expires_at"] <= at or row["revoked_in"] is not None:
        return False
    gateway = work.row("gateways", row["gateway_id"])
    return gateway is not None and (row["revoked_at"] is not None or gateway["state"] != "active")
