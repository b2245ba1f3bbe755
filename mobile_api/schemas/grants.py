"""Grants that one person gives another, entries to occupied rooms, notices."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mobile_api.schemas.parts import Bytes, In, Instant, Out, Wish, WishedIn, octets

Key = Annotated[Bytes, Field(min_length=32, max_length=32)]
Verb = Literal["unlock", "hold_open", "lock", "read_journal", "administer"]
Verbs = Annotated[tuple[Verb, ...], Field(min_length=1, max_length=5)]
DOOR = "0198c0de-0000-7000-8000-000000000001"
WINDOW: JsonValue = {"from": "2026-12-01T06:00:00Z", "until": "2026-12-08T06:00:00Z"}
WEEKLY: JsonValue = [{"days": ["mon", "thu"], "from": "08:00", "until": "12:00"}]


class OpenWindow(BaseModel):
    """A half-open window `[from, until)`; `until` null: until it is taken back."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid", frozen=True)

    lower: Instant = Field(alias="from")
    upper: Instant | None = Field(alias="until")


class PartWindow(BaseModel):
    """The end, or the beginning, or both; what is left out stays as it is."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid", frozen=True)

    lower: Instant | None = Field(default=None, alias="from")
    upper: Instant | None = Field(default=None, alias="until")


class ScheduleLine(BaseModel):
    """Times of one or several days, `00:00` to `24:00`; over midnight is written as two lines."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid", frozen=True)

    days: Annotated[list[str], Field(max_length=7)]
    lower: Annotated[str, Field(alias="from", max_length=8)]
    upper: Annotated[str, Field(alias="until", max_length=8)]


class ScheduleBody(BaseModel):
    """Hours of the week in the house's zone; another zone is refused (`schedule_zone`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: Annotated[str, Field(max_length=64)]
    weekly: Annotated[list[ScheduleLine], Field(max_length=64)]


class GrantsIn(WishedIn):
    """Whom to let in where. `guest_key`: SHA-256 of his phone's signing key; he enrols that phone first.

    The wish: for a guest operation 14 (name guest), target the first door; for staff operation 13, target
    the house. Beside `of` it names `key` = `guest_key`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "door_ids": [DOOR],
                    "class": "guest",
                    "guest_key": octets(32),
                    "window": WINDOW,
                    "schedule": {"zone": "Asia/Shanghai", "weekly": WEEKLY},
                    "capabilities": ["unlock"],
                    "wish": octets(200),
                    "salt": octets(16),
                }
            ]
        }
    )

    door_ids: Annotated[list[UUID], Field(min_length=1, max_length=16)]
    class_: Literal["guest", "staff"] = Field(alias="class")
    guest_key: Key
    window: OpenWindow
    schedule: ScheduleBody | None = None
    capabilities: Verbs = ("unlock",)
    uses: Literal[1] | None = None


class GrantEditIn(WishedIn):
    """What to change; what is left out is kept. To reach further it takes `widen: true`.

    The wish: operation 19 (edit grant), target the grant.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"window": {"until": "2026-12-05T06:00:00Z"}, "wish": octets(200), "salt": octets(16)}
            ]
        }
    )

    window: PartWindow = PartWindow()
    schedule: ScheduleBody | None = None
    capabilities: Verbs | None = None
    widen: bool = False


class GrantOut(Out):
    """A right at one door. `role`: whether it is yours, or given by you or by whom you gave one.

    `held_up`: what it hangs under is frozen, and so it opens nothing meanwhile.
    """

    id: UUID
    door_id: UUID
    holder_id: UUID
    class_: Literal["owner", "staff", "tenant", "guest"] = Field(serialization_alias="class")
    role: Literal["holder", "grantor"]
    window: OpenWindow
    schedule: dict[str, Any] | None
    capabilities: list[str]
    uses: Literal[1] | None
    state: Literal["active", "frozen", "revoked"]
    held_up: bool
    parent_id: UUID | None
    bundle_id: UUID | None
    guest_key: Bytes | None
    frozen_at: Instant | None
    revoked_at: Instant | None


class EntryIn(In):
    """A consent (operation 11) or an emergency (operation 12), target the lock; all else stands in the wish.

    Consent: `from`, `until` (Unix seconds, at most 7 days), `class` (1 owner, 2 staff), perhaps `who` (the
    pseudonym of one person). Emergency: `reason` (10 characters or more), `until` (at most 4 hours ahead).
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"wish": octets(200)}]})

    wish: Wish


class EntryOut(Out):
    """A time in which owner or staff may enter an occupied room."""

    id: UUID
    lock_id: UUID
    kind: Literal["consent", "emergency"]
    class_: Literal["owner", "staff", "both"] = Field(serialization_alias="class")
    holder_id: UUID | None
    given_by: UUID
    reason: str | None
    window: OpenWindow
    ended_at: Instant | None
    lives: bool


class NoticeOut(Out):
    """Something that you were told; `about` is the id of the entry, grant or bundle."""

    id: UUID
    kind: str
    about: UUID
    detail: dict[str, Any]
    at: Instant
    seen_at: Instant | None
