"""Locks, their documents and status; site keys; credentials, wishes, commands, journals."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field

from lockserver.db.tables.columns import (
    POINT_BYTES,
    Row,
    at,
    at_or_none,
    blob,
    blob_or_none,
    born,
    json_or_none,
    kept,
    key,
    length,
    one_of,
    ref,
    ref_or_none,
    rule,
)


class LockRow(Row, table=True):
    """A lock at a door: its own public keys, certificate, broker secret (hashed), counter."""

    __tablename__: ClassVar[str] = "locks"
    __table_args__ = (
        one_of("state", "enrolling", "active", "releasing", "retired"),
        length("sign_pub", POINT_BYTES),
        length("ecdh_pub", POINT_BYTES),
        rule("shard", "shard ~ '^[0-3][0-9a-f]$'"),
        rule("command_counter", "command_counter >= 0"),
        Index(
            "locks_door_id_active_key",
            "door_id",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
        Index(
            "locks_serial_active_key",
            "serial",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
    )
    id: UUID = key()
    door_id: UUID = ref("doors.id", index=True)
    serial: str
    sign_pub: bytes = blob()
    ecdh_pub: bytes = blob()
    factory_fingerprint: bytes = blob()
    certificate: bytes | None = blob_or_none()
    shard: str
    state: str
    broker_secret_hash: bytes | None = blob_or_none()
    seed_sealed: bytes | None = blob_or_none()
    command_counter: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    enrolled_at: datetime | None = at_or_none()
    created_at: datetime = born()


class SiteKeyRow(Row, table=True):
    """A public half of the site's, and on the root's row the root-signed key set."""

    __tablename__: ClassVar[str] = "site_keys"
    __table_args__ = (
        one_of(
            "kind",
            "root",
            "issuer",
            "command",
            "report",
            "verify",
            "relay",
            "device_ca",
            "checkpoint",
            "province",
            "pins",
        ),
        one_of("state", "current", "retired"),
        rule("key_set", "(kind = 'root') = (key_set IS NOT NULL)"),
        rule("number", "(key_set IS NULL) = (key_set_number IS NULL)"),
        UniqueConstraint("kind", "kid"),
        Index(
            "site_keys_kind_current_key",
            "kind",
            unique=True,
            postgresql_where=text("state = 'current'"),
        ),
    )
    id: UUID = key()
    kind: str
    kid: bytes = blob()
    public: bytes = blob()
    state: str
    key_set: bytes | None = blob_or_none()
    key_set_number: int | None = None
    created_at: datetime = born()


class CredentialRow(Row, table=True):
    """An e-key as it was signed; its id is the `cti`."""

    __tablename__: ClassVar[str] = "credentials"
    __table_args__ = (
        rule("window", "not_before < expires_at"),
        rule("uses", "uses = 1"),
        Index(
            "credentials_one_time_key",
            "grant_id",
            unique=True,
            postgresql_where=text("uses IS NOT NULL"),
        ),
    )
    id: UUID = key()
    grant_id: UUID = ref("grants.id", index=True)
    phone_id: UUID = ref("phones.id", index=True)
    lock_id: UUID = ref("locks.id", index=True)
    not_before: datetime = at()
    expires_at: datetime = at()
    issued_at: datetime = at()
    epoch: int | None = None
    capabilities: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    schedule: dict[str, object] | None = json_or_none()
    uses: int | None = None
    raw: bytes = blob()
    revoked_at: datetime | None = at_or_none()
    revoked_in: int | None = None
    created_at: datetime = born()


class LockDocumentRow(Row, table=True):
    """What the lock should hold: numbered, signed, sent again until it reports the number, or refuses it often."""

    __tablename__: ClassVar[str] = "lock_documents"
    __table_args__ = (
        one_of("kind", "revocation", "state", "keys", "release"),
        rule("number", "number >= 0"),
    )
    lock_id: UUID = ref("locks.id", primary_key=True)
    kind: str = key()
    number: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    raw: bytes = blob()
    refused: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    denial: str | None = None
    created_at: datetime = born()


class LockStatusRow(Row, table=True):
    """What the lock last said of itself; NULL is "never said"."""

    __tablename__: ClassVar[str] = "lock_status"
    __table_args__ = (
        one_of("bolt", "locked", "unlocked", "unknown"),
        one_of("door", "closed", "open", "unknown"),
    )
    lock_id: UUID = ref("locks.id", primary_key=True)
    connected: bool = False
    last_seen_at: datetime | None = at_or_none()
    boot: int | None = Field(default=None, sa_type=BigInteger)
    seq: int | None = Field(default=None, sa_type=BigInteger)
    bolt: str = Field(default="unknown", sa_column_kwargs={"server_default": "unknown"})
    clock_offset: int | None = None
    clock_attested: bool | None = None
    state_number: int | None = Field(default=None, sa_type=BigInteger)
    revocation_number: int | None = Field(default=None, sa_type=BigInteger)
    keys_number: int | None = Field(default=None, sa_type=BigInteger)
    epoch: int | None = None
    journal_number: int | None = Field(default=None, sa_type=BigInteger)
    journal_hash: bytes | None = blob_or_none()
    counter: int | None = Field(default=None, sa_type=BigInteger)
    battery: int | None = None
    battery_at: datetime | None = at_or_none()
    battery_read_at: datetime | None = at_or_none()
    battery_since: datetime | None = at_or_none()
    door: str = Field(default="unknown", sa_column_kwargs={"server_default": "unknown"})
    tampered: bool | None = None
    jams: int | None = Field(default=None, sa_type=BigInteger)
    firmware: int | None = Field(default=None, sa_type=BigInteger)
    firmware_version: str | None = None
    firmware_refused: int | None = Field(default=None, sa_type=BigInteger)
    firmware_denial: str | None = None
    carried_by: UUID | None = ref_or_none("gateways.id")
    carried_at: datetime | None = at_or_none()
    occupied: bool | None = None
    bolt_at: datetime | None = at_or_none()
    inventory_at: datetime | None = at_or_none()


class WishRow(Row, table=True):
    """A holder's signed wish, once used; its id can never be used again."""

    __tablename__: ClassVar[str] = "wishes"
    __table_args__ = (
        Index(
            "wishes_target_idx",
            "target",
            postgresql_where=text("operation NOT IN ('unlock', 'lock', 'hold_open')"),
        ),
    )
    id: UUID = key()
    holder_id: UUID = ref("holders.id", index=True)
    phone_id: UUID = ref("phones.id")
    operation: str
    target: UUID
    not_after: datetime = at()
    raw: bytes = blob()
    created_at: datetime = kept()


class CommandRow(Row, table=True):
    """A command to a lock. Its steps are guarded by a trigger: never `done` without evidence."""

    __tablename__: ClassVar[str] = "commands"
    __table_args__ = (
        one_of("kind", "unlock", "lock", "hold_open"),
        one_of("state", "queued", "sent", "done", "refused", "expired", "unknown"),
        rule("evidence", "state <> 'done' OR evidence IS NOT NULL"),
        rule("code", "state <> 'refused' OR code IS NOT NULL"),
        rule(
            "settled",
            "(state IN ('done','refused','expired','unknown')) = (settled_at IS NOT NULL)",
        ),
        UniqueConstraint("lock_id", "counter"),
        Index(
            "commands_open_idx",
            "lock_id",
            "counter",
            postgresql_where=text("state IN ('queued','sent')"),
        ),
    )
    id: UUID = key()
    lock_id: UUID = ref("locks.id")
    holder_id: UUID = ref("holders.id")
    grant_id: UUID = ref("grants.id")
    credential_id: UUID | None = ref_or_none("credentials.id")
    wish_id: UUID = Field(foreign_key="wishes.id", unique=True)
    kind: str
    counter: int = Field(sa_type=BigInteger)
    state: str
    code: str | None = None
    not_after: datetime = at()
    sent_at: datetime | None = at_or_none()
    settled_at: datetime | None = at_or_none()
    evidence: bytes | None = blob_or_none()
    via: str | None = None
    fault: str | None = None
    created_at: datetime = born()


class JournalRow(Row, table=True):
    """One entry of a lock's hash-chained journal, as the lock wrote it."""

    __tablename__: ClassVar[str] = "journal"
    __table_args__ = (one_of("via", "mqtt", "phone", "gateway"), rule("number", "number >= 0"))
    lock_id: UUID = ref("locks.id", primary_key=True)
    number: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    what: int
    how: int
    subject: bytes | None = blob_or_none()
    denial: int | None = None
    at: datetime | None = at_or_none()
    uncertainty: int | None = Field(default=None, sa_type=BigInteger)
    count: int = 1
    prev_hash: bytes = blob()
    hash: bytes = blob()
    via: str
    received_at: datetime = born()
