"""PINs, cards and fingers at locks, PINs that were read out, what a lock's inventory brought to light."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field

from lockserver.db.tables.columns import (
    HASH_BYTES,
    Row,
    at,
    at_or_none,
    blob,
    blob_or_none,
    born,
    json,
    key,
    length,
    one_of,
    ref,
    ref_or_none,
    rule,
)


class SlotRow(Row, table=True):
    """A place in a lock's keypad or reader. Only the lock's own report makes it `set`, or `unset` again."""

    __tablename__: ClassVar[str] = "slots"
    __table_args__ = (
        one_of("kind", "pin", "card", "finger"),
        one_of("purpose", "own", "guest", "backup"),
        one_of("class", "owner", "staff", "tenant", "guest"),
        one_of("state", "unset", "setting", "set", "removing"),
        one_of("why", "wish", "replaced", "frozen", "ended", "expired"),
        rule("number", "number BETWEEN 1 AND 255"),
        rule("window", "lower < upper"),
        length("verifier", 16),
        rule("digits", "digits_sealed IS NULL OR purpose = 'backup'"),
        rule("held", "purpose = 'backup' OR (holder_id IS NOT NULL AND grant_id IS NOT NULL)"),
        rule("wanted", "state NOT IN ('setting', 'removing') OR wanted_version IS NOT NULL"),
        rule("going", "(state IN ('removing', 'unset')) = (why IS NOT NULL)"),
        Index(
            "slots_one_a_place_key",
            "lock_id",
            "kind",
            "number",
            unique=True,
            postgresql_where=text("state <> 'unset'"),
        ),
    )
    id: UUID = key()
    lock_id: UUID = ref("locks.id", index=True)
    number: int
    kind: str
    purpose: str
    class_: str = Field(sa_column_kwargs={"name": "class", "key": "class_"})
    holder_id: UUID | None = ref_or_none("holders.id", index=True)
    grant_id: UUID | None = ref_or_none("grants.id", index=True)
    given_by: UUID | None = ref_or_none("holders.id")
    wish_id: UUID | None = ref_or_none("wishes.id")
    label: str = Field(default="", sa_column_kwargs={"server_default": ""})
    epoch: int | None = None
    lower: datetime = at()
    upper: datetime = at()
    state: str
    why: str | None = None
    wanted_version: int | None = Field(default=None, sa_type=BigInteger)
    asked_at: datetime = at()
    settled_at: datetime | None = at_or_none()
    verifier: bytes = blob()
    digits_sealed: bytes | None = blob_or_none()
    created_at: datetime = born()


class OfflinePinRow(Row, table=True):
    """An algorithmic PIN that was read out: what its digits follow from, and never the digits."""

    __tablename__: ClassVar[str] = "offline_pins"
    __table_args__ = (
        rule("code", "code BETWEEN 0 AND 8"),
        rule("n", "n BETWEEN 0 AND 1"),
        rule("window", "lower < upper"),
        UniqueConstraint("lock_id", "epoch", "code", "start_hour", "n"),
    )
    id: UUID = key()
    lock_id: UUID = ref("locks.id")
    holder_id: UUID = ref("holders.id", index=True)
    grant_id: UUID = ref("grants.id", index=True)
    wish_id: UUID = Field(foreign_key="wishes.id", unique=True)
    epoch: int
    code: int
    start_hour: int = Field(sa_type=BigInteger)
    n: int
    lower: datetime = at()
    upper: datetime = at()
    created_at: datetime = born()


class CaptureRow(Row, table=True):
    """A lock's signed word that it read a card or finger for somebody; the issuer judges it once."""

    __tablename__: ClassVar[str] = "captures"
    __table_args__ = (
        one_of("state", "new", "taken", "refused"),
        rule("code", "(state = 'refused') = (code IS NOT NULL)"),
        rule("slot", "(state = 'taken') = (slot_id IS NOT NULL)"),
        length("digest", HASH_BYTES),
        Index("captures_new_idx", "lock_id", postgresql_where=text("state = 'new'")),
    )
    id: UUID = key()
    lock_id: UUID = ref("locks.id")
    digest: bytes = blob(unique=True)
    report: bytes = blob()
    state: str
    code: str | None = None
    slot_id: UUID | None = ref_or_none("slots.id")
    created_at: datetime = born()


class FindingRow(Row, table=True):
    """What a lock holds otherwise than the server believes. It is shown, and never repaired in silence."""

    __tablename__: ClassVar[str] = "findings"
    __table_args__ = (
        one_of(
            "kind",
            "unknown_credential",
            "missing_credential",
            "altered_credential",
            "epoch",
            "version",
            "activation",
            "card_taken",
        ),
        Index(
            "findings_open_key",
            "lock_id",
            "kind",
            "mark",
            unique=True,
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )
    id: UUID = key()
    lock_id: UUID = ref("locks.id")
    kind: str
    mark: str
    detail: dict[str, object] = json()
    found_at: datetime = at()
    seen_again_at: datetime = at()
    cleared_at: datetime | None = at_or_none()
    created_at: datetime = born()
