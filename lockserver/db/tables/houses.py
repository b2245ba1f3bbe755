"""Houses, doors, tenancies, occupants, duties, grants."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlmodel import Field

from lockserver.db.tables.columns import (
    Row,
    at,
    at_or_none,
    blob_or_none,
    born,
    json_or_none,
    key,
    one_of,
    ref,
    ref_or_none,
    rule,
)


class HouseRow(Row, table=True):
    """A house, its standard address and its police station."""

    __tablename__: ClassVar[str] = "houses"
    id: UUID = key()
    owner_holder_id: UUID = ref("holders.id", index=True)
    name: str
    address_id: str
    station_code: str
    created_at: datetime = born()


class HouseStaffRow(Row, table=True):
    """Who works in a house."""

    __tablename__: ClassVar[str] = "house_staff"
    house_id: UUID = ref("houses.id", primary_key=True)
    holder_id: UUID = ref("holders.id", primary_key=True)
    wish_id: UUID | None = ref_or_none("wishes.id")
    created_at: datetime = born()


class DoorRow(Row, table=True):
    """A gate (shared, no turnover epoch) or a room (leased, counted)."""

    __tablename__: ClassVar[str] = "doors"
    __table_args__ = (
        one_of("kind", "gate", "room"),
        rule("epoch", "(kind = 'gate') = (epoch IS NULL) AND (epoch IS NULL OR epoch >= 0)"),
        rule("capacity", "(kind = 'gate') = (capacity IS NULL) AND capacity > 0"),
        rule("hold_open", "hold_open IS NULL OR kind = 'gate'"),
        rule("auto_lock", "auto_lock BETWEEN 0 AND 600"),
    )
    id: UUID = key()
    house_id: UUID = ref("houses.id", index=True)
    kind: str
    name: str
    capacity: int | None = None
    epoch: int | None = None
    hold_open: dict[str, object] | None = json_or_none()
    auto_lock: int | None = None
    created_at: datetime = born()


class TenancyRow(Row, table=True):
    """The lease of a room for a half-open window; one living tenancy a room at any instant.

    The exclusion constraint needs no btree_gist (the embedded PostgreSQL's wheel lacks it):
    `room_span` maps (room, window) to a range of numbers in which different rooms never meet.
    """

    __tablename__: ClassVar[str] = "tenancies"
    __table_args__ = (
        one_of("state", "signed", "ended"),
        one_of("key_policy", "on_submit", "on_receipt"),
        one_of("end_reason", "window", "early_tenant", "authority"),
        rule("window", "lower < upper"),
        rule(
            "ended",
            "(state = 'ended') = (ended_at IS NOT NULL) AND (state = 'ended') = (end_reason IS NOT NULL)",
        ),
        rule("early", "end_reason IS DISTINCT FROM 'early_tenant' OR ended_by IS NOT NULL"),
        rule("epoch", "epoch > 0"),
        ExcludeConstraint(
            (text("room_span(door_id, lower, upper)"), "&&"),
            using="gist",
            where=text("state = 'signed'"),
            name="tenancies_one_living_excl",
        ),
        UniqueConstraint("door_id", "epoch"),
    )
    id: UUID = key()
    door_id: UUID = ref("doors.id", index=True)
    lower: datetime = at()
    upper: datetime = at()
    epoch: int
    state: str
    signed_by: UUID = ref("holders.id")
    ended_at: datetime | None = at_or_none()
    ended_by: UUID | None = ref_or_none("holders.id")
    end_reason: str | None = None
    key_policy: str
    wish_id: UUID | None = Field(default=None, foreign_key="wishes.id", unique=True, nullable=True)
    created_at: datetime = born()


class OccupantRow(Row, table=True):
    """Who lives there; a minor names his guardian."""

    __tablename__: ClassVar[str] = "occupants"
    __table_args__ = (rule("guardian", "is_minor = (guardian_holder_id IS NOT NULL)"),)
    tenancy_id: UUID = ref("tenancies.id", primary_key=True)
    holder_id: UUID = Field(foreign_key="holders.id", primary_key=True, index=True)
    is_minor: bool = False
    guardian_holder_id: UUID | None = ref_or_none("holders.id")
    invite_hash: bytes | None = blob_or_none()
    invite_accepted_at: datetime | None = at_or_none()
    created_at: datetime = born()


class DutyRow(Row, table=True):
    """What the law asks for one occupant: by which rule, which version, until when."""

    __tablename__: ClassVar[str] = "duties"
    __table_args__ = (
        one_of("kind", "arrival", "departure"),
        one_of("requirement", "required", "exempt"),
        one_of("state", "open", "filed", "fulfilled"),
        rule("exempt", "(requirement = 'exempt') = (exempt_code IS NOT NULL)"),
        rule("fulfilled", "(state = 'fulfilled') = (fulfilled_at IS NOT NULL)"),
        UniqueConstraint("tenancy_id", "holder_id", "kind"),
    )
    id: UUID = key()
    tenancy_id: UUID = ref("tenancies.id")
    holder_id: UUID = ref("holders.id", index=True)
    kind: str
    requirement: str
    exempt_code: str | None = None
    rule_id: str
    rule_version: str
    due_at: datetime = at()
    provisional: bool = False
    state: str
    fulfilled_at: datetime | None = at_or_none()
    created_at: datetime = born()


class GrantRow(Row, table=True):
    """Server-side right: holder × door × capabilities × window.

    A guest's and a staff member's hang under a grant of who named them, and stand on his wish, which
    names the key of one phone. One wish makes one grant a door: a right for one opening is not given twice.
    """

    __tablename__: ClassVar[str] = "grants"
    __table_args__ = (
        one_of("class", "owner", "staff", "tenant", "guest"),
        one_of("state", "active", "frozen", "revoked"),
        rule("window", "upper IS NULL OR lower < upper"),
        rule("revoked", "(state = 'revoked') = (revoked_at IS NOT NULL)"),
        rule("tenant", "class <> 'tenant' OR (tenancy_id IS NOT NULL AND upper IS NOT NULL)"),
        rule("capabilities", "capabilities > 0"),
        rule("uses", "uses = 1"),
        rule("frozen", "(state = 'frozen') = (frozen_at IS NOT NULL AND frozen_by IS NOT NULL)"),
        rule("guest", "class <> 'guest' OR (parent_id IS NOT NULL AND wish_id IS NOT NULL)"),
        rule("named", "wish_id IS NULL OR octet_length(guest_key) = 32"),
        UniqueConstraint("wish_id", "door_id"),
        Index("grants_guest_key_idx", "guest_key", postgresql_where=text("guest_key IS NOT NULL")),
    )
    id: UUID = key()
    holder_id: UUID = ref("holders.id", index=True)
    door_id: UUID = ref("doors.id", index=True)
    class_: str = Field(sa_column_kwargs={"name": "class", "key": "class_"})
    capabilities: int
    lower: datetime = at()
    upper: datetime | None = at_or_none()
    schedule: dict[str, object] | None = json_or_none()
    state: str
    tenancy_id: UUID | None = ref_or_none("tenancies.id", index=True)
    epoch: int | None = None
    revoked_at: datetime | None = at_or_none()
    wish_id: UUID | None = ref_or_none("wishes.id")
    parent_id: UUID | None = ref_or_none("grants.id", index=True)
    bundle_id: UUID | None = None
    uses: int | None = None
    guest_key: bytes | None = blob_or_none()
    frozen_at: datetime | None = at_or_none()
    frozen_by: UUID | None = ref_or_none("holders.id")
    created_at: datetime = born()
