"""Accounts, sessions, holders, phones."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from lockserver.db.tables.columns import (
    HASH_BYTES,
    POINT_BYTES,
    Row,
    at,
    at_or_none,
    blob,
    born,
    key,
    length,
    one_of,
    ref,
    ref_or_none,
    rule,
)


class AccountRow(Row, table=True):
    """A phone number that somebody logs in with; the number itself is not here."""

    __tablename__: ClassVar[str] = "accounts"
    __table_args__ = (length("phone_index", HASH_BYTES),)
    id: UUID = key()
    phone_index: bytes = blob(unique=True)
    phone_mask: str
    created_at: datetime = born()


class LoginCodeRow(Row, table=True):
    """A one-time code that was sent; its hash."""

    __tablename__: ClassVar[str] = "login_codes"
    __table_args__ = (rule("attempts", "attempts >= 0"),)
    id: UUID = key()
    phone_index: bytes = blob(index=True)
    code_hash: bytes = blob()
    expires_at: datetime = at()
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    used_at: datetime | None = at_or_none()
    created_at: datetime = born()


class SessionRow(Row, table=True):
    """A login: hashes of its two tokens, never the tokens."""

    __tablename__: ClassVar[str] = "sessions"
    __table_args__ = (length("access_hash", HASH_BYTES), length("refresh_hash", HASH_BYTES))
    id: UUID = key()
    account_id: UUID = ref("accounts.id", index=True)
    access_hash: bytes = blob(unique=True)
    access_expires_at: datetime = at()
    refresh_hash: bytes = blob(unique=True)
    refresh_expires_at: datetime = at()
    revoked_at: datetime | None = at_or_none()
    created_at: datetime = born()


class HolderRow(Row, table=True):
    """A natural person who may hold credentials; a minor has no account of his own."""

    __tablename__: ClassVar[str] = "holders"
    __table_args__ = (length("subject", 16),)
    id: UUID = key()
    account_id: UUID | None = Field(default=None, foreign_key="accounts.id", unique=True, nullable=True)
    subject: bytes = blob(unique=True)
    created_at: datetime = born()


class PhoneRow(Row, table=True):
    """A phone's two public keys; `pending` until button, face, staff or a grantor prove whose it is."""

    __tablename__: ClassVar[str] = "phones"
    __table_args__ = (
        one_of("state", "pending", "active", "revoked"),
        one_of("proved_by", "button", "face", "staff", "grantor"),
        rule("proved", "(state <> 'active') OR (proved_by IS NOT NULL)"),
        rule("revoked", "(state = 'revoked') = (revoked_at IS NOT NULL)"),
        length("sign_pub", POINT_BYTES),
        length("ecdh_pub", POINT_BYTES),
        Index("phones_holder_id_active_idx", "holder_id", postgresql_where=text("state = 'active'")),
        Index("phones_key_idx", text("sha256(sign_pub)"), unique=True),
    )
    id: UUID = key()
    holder_id: UUID = ref("holders.id", index=True)
    sign_pub: bytes = blob(unique=True)
    ecdh_pub: bytes = blob()
    session_id: UUID | None = ref_or_none("sessions.id")
    state: str
    proved_by: str | None = None
    revoked_at: datetime | None = at_or_none()
    created_at: datetime = born()
