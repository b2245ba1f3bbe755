"""Identity cases and verdicts, registrations, the outbox, receipts, the tenant's ledger."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field

from lockserver.db.tables.columns import (
    Row,
    at,
    at_or_none,
    blob,
    blob_or_none,
    born,
    json,
    json_or_none,
    key,
    one_of,
    ref,
    ref_or_none,
    rule,
    words,
)


class CaseRow(Row, table=True):
    """One identity capture; `sealed_key` NULL means that its key is destroyed."""

    __tablename__: ClassVar[str] = "cases"
    __table_args__ = (
        one_of("route", "face", "staff"),
        one_of("state", "open", "confirmed", "approved", "review", "declined", "submitted", "closed"),
        one_of("outcome", "approved", "review", "declined"),
        rule("destroyed", "(destroyed_at IS NULL) OR (sealed_key IS NULL)"),
    )
    id: UUID = key()
    duty_id: UUID = ref("duties.id", index=True)
    holder_id: UUID = ref("holders.id", index=True)
    phone_id: UUID = ref("phones.id")
    session_id: UUID = ref("sessions.id")
    route: str
    state: str
    consent_document_at: datetime | None = at_or_none()
    consent_face_at: datetime | None = at_or_none()
    consent_face_withdrawn_at: datetime | None = at_or_none()
    confirmed_digest: bytes | None = blob_or_none()
    outcome: str | None = None
    reasons: list[str] | None = json_or_none()
    repeat_step: str | None = None
    scores: dict[str, object] | None = json_or_none()
    draft: bytes | None = blob_or_none()
    sealed_key: bytes | None = blob_or_none()
    active_at: datetime = born()
    destroyed_at: datetime | None = at_or_none()
    destruction_receipt: bytes | None = blob_or_none()
    created_at: datetime = born()


class CasePartRow(Row, table=True):
    """One sealed upload of a case; sealed NULL once the case key is destroyed."""

    __tablename__: ClassVar[str] = "case_parts"
    __table_args__ = (
        one_of("kind", "front", "back", "selfie", "confirmation", "declaration", "staff_check"),
        one_of("state", "received", "read", "refused"),
    )
    id: UUID = key()
    case_id: UUID = ref("cases.id", index=True)
    kind: str
    sealed: bytes | None = blob_or_none()
    digest: bytes = blob()
    state: str
    code: str | None = None
    advice: str | None = None
    created_at: datetime = born()


class VerdictRow(Row, table=True):
    """What verify concluded; only verify writes it, and the issuer reads it."""

    __tablename__: ClassVar[str] = "verdicts"
    __table_args__ = (
        one_of("outcome", "approved", "review", "declined"),
        one_of("route", "face", "staff"),
    )
    id: UUID = key()
    case_id: UUID = ref("cases.id", index=True)
    holder_id: UUID = ref("holders.id", index=True)
    phone_id: UUID = ref("phones.id", index=True)
    outcome: str
    route: str
    reasons: list[str] = json()
    created_at: datetime = born()


class RegistrationRow(Row, table=True):
    """The record that fulfils a duty, and its state at the province."""

    __tablename__: ClassVar[str] = "registrations"
    __table_args__ = (
        one_of(
            "state",
            "submitted",
            "receipted",
            "accepted",
            "accepted_late",
            "returned",
            "manual_review",
            "departed",
            "withdrawn",
        ),
        rule("version", "version > 0"),
        rule("receipt", "(receipt_no IS NULL) = (receipted_at IS NULL)"),
        rule("poll", "(poll_at IS NULL) = (poll_version IS NULL)"),
        UniqueConstraint("duty_id"),
        Index("registrations_poll_idx", "poll_at", postgresql_where=text("poll_at IS NOT NULL")),
    )
    id: UUID = key()
    client_no: str = Field(unique=True)
    duty_id: UUID = ref("duties.id")
    tenancy_id: UUID = ref("tenancies.id", index=True)
    holder_id: UUID = ref("holders.id", index=True)
    number_mask: str
    number_index: bytes = blob(index=True)
    version: int
    state: str
    return_field: str | None = None
    return_code: str | None = None
    receipt_no: str | None = None
    voucher_no: str | None = None
    submitted_at: datetime = at()
    receipted_at: datetime | None = at_or_none()
    accepted_at: datetime | None = at_or_none()
    departed_at: datetime | None = at_or_none()
    verdict_seq: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    verdict_version: int | None = None
    verdict_settled: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    poll_version: int | None = None
    poll_at: datetime | None = at_or_none()
    polls: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = born()


class OutboxRow(Row, table=True):
    """Durable intent to deliver, sealed to the relay's key; the relay's port lies over it."""

    __tablename__: ClassVar[str] = "outbox"
    __table_args__ = (
        one_of("kind", "register", "change", "departure", "withdrawal"),
        one_of("state", "ready", "settled", "parked"),
        rule("lease", "(leased_by IS NULL) = (leased_until IS NULL)"),
        rule("park", "(state = 'parked') = (park_reason IS NOT NULL)"),
        UniqueConstraint("client_no", "seq"),
        Index("outbox_line_idx", "client_no", "seq", postgresql_where=text("state <> 'settled'")),
        Index("outbox_due_idx", "next_at", postgresql_where=text("state = 'ready'")),
    )
    id: UUID = key()
    registration_id: UUID = ref("registrations.id", index=True)
    client_no: str
    seq: int
    kind: str
    sealed: bytes = blob()
    body_digest: bytes = blob()
    state: str = Field(default="ready", sa_column_kwargs={"server_default": "ready"})
    fencing: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    leased_by: str | None = None
    leased_until: datetime | None = at_or_none()
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_at: datetime = born()
    ask_first: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    park_reason: str | None = None
    settled_at: datetime | None = at_or_none()
    created_at: datetime = born()


class AttemptRow(Row, table=True):
    """One try, written before anything leaves."""

    __tablename__: ClassVar[str] = "attempts"
    __table_args__ = (
        one_of("action", "deliver", "ask"),
        rule("finished", "(finished_at IS NULL) = (outcome IS NULL)"),
        UniqueConstraint("outbox_id", "n"),
    )
    id: UUID = key()
    outbox_id: UUID = ref("outbox.id")
    fencing: int = Field(sa_type=BigInteger)
    n: int
    action: str
    content_digest: str
    field_names: list[str] = words()
    started_at: datetime = at()
    finished_at: datetime | None = at_or_none()
    outcome: str | None = None
    detail: str | None = None
    created_at: datetime = born()


class ReceiptRow(Row, table=True):
    """The province's signed word, verbatim."""

    __tablename__: ClassVar[str] = "receipts"
    __table_args__ = (one_of("kind", "receipt", "voucher"), UniqueConstraint("kind", "no"))
    id: UUID = key()
    registration_id: UUID = ref("registrations.id", index=True)
    outbox_id: UUID = ref("outbox.id", index=True)
    version: int
    kind: str
    no: str
    raw: bytes = blob()
    key_id: str
    verified_at: datetime = at()
    created_at: datetime = born()


class LedgerRow(Row, table=True):
    """The tenant's own ledger: which fields went to whom, on what ground."""

    __tablename__: ClassVar[str] = "ledger"
    id: UUID = key()
    holder_id: UUID = ref("holders.id", index=True)
    at: datetime = born()
    to_whom: str
    ground: str
    registration_id: UUID | None = ref_or_none("registrations.id")
    field_names: list[str] = words()
    digests: dict[str, str] = json()
    created_at: datetime = born()
