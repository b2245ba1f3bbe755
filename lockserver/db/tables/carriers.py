"""Gateways, what they hear and what they may carry; firmware images."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field

from lockserver.db.tables.columns import (
    HASH_BYTES,
    POINT_BYTES,
    Row,
    at,
    at_or_none,
    blob,
    blob_or_none,
    born,
    key,
    length,
    one_of,
    ref,
    rule,
)


class GatewayRow(Row, table=True):
    """A BLE gateway in a house: its own keys, certificate, broker secret (hashed)."""

    __tablename__: ClassVar[str] = "gateways"
    __table_args__ = (
        one_of("state", "active", "retired"),
        length("sign_pub", POINT_BYTES),
        length("ecdh_pub", POINT_BYTES),
        length("broker_secret_hash", HASH_BYTES),
        rule("shard", "shard ~ '^[0-3][0-9a-f]$'"),
    )
    id: UUID = key()
    house_id: UUID = ref("houses.id", index=True)
    name: str
    sign_pub: bytes = blob(unique=True)
    ecdh_pub: bytes = blob()
    certificate: bytes | None = blob_or_none()
    broker_secret_hash: bytes | None = blob_or_none()
    shard: str
    state: str
    boot: int | None = Field(default=None, sa_type=BigInteger)
    free: int | None = None
    last_seen_at: datetime | None = at_or_none()
    created_at: datetime = born()


class GatewayCredentialRow(Row, table=True):
    """What lets a gateway hold a carrying session with one lock, and nothing else; its id is the `cti`."""

    __tablename__: ClassVar[str] = "gateway_credentials"
    __table_args__ = (rule("window", "not_before < expires_at"),)
    id: UUID = key()
    gateway_id: UUID = ref("gateways.id", index=True)
    lock_id: UUID = ref("locks.id", index=True)
    not_before: datetime = at()
    expires_at: datetime = at()
    issued_at: datetime = at()
    raw: bytes = blob()
    door: bytes = blob()
    revoked_at: datetime | None = at_or_none()
    revoked_in: int | None = None
    created_at: datetime = born()


class GatewaySightRow(Row, table=True):
    """How loud a gateway last heard a lock (dBm), and when."""

    __tablename__: ClassVar[str] = "gateway_sights"
    __table_args__ = (rule("rssi", "rssi BETWEEN -127 AND 20"),)
    gateway_id: UUID = ref("gateways.id", primary_key=True)
    lock_id: UUID = ref("locks.id", primary_key=True, index=True)
    rssi: int
    seen_at: datetime = at()


class FirmwareImageRow(Row, table=True):
    """A firmware image with the manufacturer's signed manifest; counters only rise at a lock."""

    __tablename__: ClassVar[str] = "firmware_images"
    __table_args__ = (
        rule("counter", "counter >= 0"),
        rule("size", "octet_length(image) BETWEEN 1 AND 1048576"),
        UniqueConstraint("model", "counter"),
    )
    id: UUID = key()
    model: str
    serials: str
    counter: int = Field(sa_type=BigInteger)
    version: str
    manifest: bytes = blob()
    image: bytes = blob()
    created_at: datetime = born()
