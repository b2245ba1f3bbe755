"""What all rooms stand on: requests between roles, idempotency, the audit log."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, text
from sqlmodel import Field

from lockserver.db.tables.columns import (
    HASH_BYTES,
    Row,
    Xid8,
    at,
    at_or_none,
    blob,
    blob_or_none,
    born,
    json,
    json_or_none,
    key,
    length,
    one_of,
    rule,
)


class RequestRow(Row, table=True):
    """One role asks another; body and response are blanked once the answer is taken."""

    __tablename__: ClassVar[str] = "requests"
    __table_args__ = (
        one_of("to_role", "issuer", "verify", "bridge", "relay", "jobs"),
        one_of("state", "new", "done", "failed"),
        rule("failed", "(state = 'failed') = (error_code IS NOT NULL)"),
        rule("done", "(state <> 'new') = (done_at IS NOT NULL)"),
        Index("requests_new_idx", "to_role", "id", postgresql_where=text("state = 'new'")),
    )
    id: UUID = key()
    asked_by: str = Field(sa_column_kwargs={"server_default": text("CURRENT_USER")})
    to_role: str
    kind: str
    body: bytes | None = blob_or_none()
    state: str = Field(default="new", sa_column_kwargs={"server_default": "new"})
    response: bytes | None = blob_or_none()
    error_code: str | None = None
    error_detail: dict[str, object] | None = json_or_none()
    expires_at: datetime = at()
    done_at: datetime | None = at_or_none()
    created_at: datetime = born()


class IdempotencyRow(Row, table=True):
    """The first answer to an Idempotency-Key, to be given again word for word."""

    __tablename__: ClassVar[str] = "idempotency"
    __table_args__ = (
        one_of("state", "running", "done"),
        length("body_hash", HASH_BYTES),
        rule("answer", "(state = 'done') = (status IS NOT NULL)"),
    )
    caller: str = key()
    key: str = key()
    route: str
    body_hash: bytes = blob()
    state: str = Field(default="running", sa_column_kwargs={"server_default": "running"})
    status: int | None = None
    headers: dict[str, str] | None = json_or_none()
    response: bytes | None = blob_or_none()
    created_at: datetime = born()


class AuditRow(Row, table=True):
    """What was done by whom: only ever inserted; the trigger refuses everything else."""

    __tablename__: ClassVar[str] = "audit_log"
    id: int = Field(sa_type=BigInteger, primary_key=True, sa_column_args=(Identity(always=True),))
    at: datetime = born()
    actor: str
    verb: str
    object_: str = Field(sa_column_kwargs={"name": "object", "key": "object_"})
    detail: dict[str, object] = json()
    txid: int = Field(
        sa_type=Xid8,
        nullable=False,
        sa_column_kwargs={"server_default": text("pg_current_xact_id()")},
    )


class AuditCheckpointRow(Row, table=True):
    """A signed head over all audit rows of transactions below `below_txid`, since the last one.

    Rows are taken by transaction, not by id: an id is drawn before its transaction commits, so a
    head up to an id could miss a row that appears later; below the xmin horizon nothing appears.
    """

    __tablename__: ClassVar[str] = "audit_checkpoints"
    __table_args__ = (length("root_hash", HASH_BYTES), length("prev_hash", HASH_BYTES))
    number: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    below_txid: int = Field(sa_type=BigInteger)
    count: int = Field(sa_type=BigInteger)
    root_hash: bytes = blob()
    prev_hash: bytes = blob()
    signature: bytes = blob()
    kid: bytes = blob()
    created_at: datetime = born()
