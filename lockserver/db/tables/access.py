"""What stands beside grants: the terms of a wish, entries to occupied rooms, notices."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from lockserver.db.tables.columns import (
    Row,
    at,
    at_or_none,
    blob,
    born,
    json,
    key,
    length,
    one_of,
    ref,
    ref_or_none,
    rule,
)


class WishTermsRow(Row, table=True):
    """What a wish over a body covered, so that it can be held against the wish again.

    Only of bodies that hold no telephone number: with the salt one could try them all.
    """

    __tablename__: ClassVar[str] = "wish_terms"
    __table_args__ = (length("salt", 16),)
    wish_id: UUID = ref("wishes.id", primary_key=True)
    body: bytes = blob()
    salt: bytes = blob()
    created_at: datetime = born()


class EntryRow(Row, table=True):
    """A time in which owner or staff may enter an occupied room: by consent, or in an emergency."""

    __tablename__: ClassVar[str] = "entries"
    __table_args__ = (
        one_of("kind", "consent", "emergency"),
        one_of("class", "owner", "staff", "both"),
        rule("window", "lower < upper"),
        rule("reason", "(kind = 'emergency') = (reason IS NOT NULL)"),
        Index("entries_open_idx", "lock_id", "upper", postgresql_where=text("ended_at IS NULL")),
    )
    id: UUID = key()
    lock_id: UUID = ref("locks.id")
    door_id: UUID = ref("doors.id")
    tenancy_id: UUID = ref("tenancies.id", index=True)
    kind: str
    class_: str = Field(sa_column_kwargs={"name": "class", "key": "class_"})
    holder_id: UUID | None = ref_or_none("holders.id")
    given_by: UUID = ref("holders.id")
    wish_id: UUID = Field(foreign_key="wishes.id", unique=True)
    reason: str | None = None
    lower: datetime = at()
    upper: datetime = at()
    ended_at: datetime | None = at_or_none()
    created_at: datetime = born()


class NoticeRow(Row, table=True):
    """Something that a person was told; `detail` holds no field of any person."""

    __tablename__: ClassVar[str] = "notices"
    __table_args__ = (
        one_of(
            "kind",
            "entry_consent",
            "entry_emergency",
            "entry_ended",
            "grant_given",
            "grant_frozen",
            "grant_unfrozen",
            "grant_revoked",
            "grant_edited",
            "access_at_risk",
            "card_refused",
            "lock_released",
        ),
    )
    id: UUID = key()
    holder_id: UUID = ref("holders.id", index=True)
    kind: str
    about: UUID = Field(index=True)
    detail: dict[str, object] = json()
    at: datetime = at()
    seen_at: datetime | None = at_or_none()
    created_at: datetime = born()
