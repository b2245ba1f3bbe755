"""Houses, doors, staff, tenancies, invites."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from mobile_api.schemas.parts import (
    Bytes,
    In,
    Instant,
    Out,
    PhoneNumber,
    WindowBody,
    WishedIn,
    example,
    octets,
)

Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]


class HouseIn(In):
    """A house, its standard address and the 12-digit code of its police station."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "文三路 8 号",
                    "address_id": "ADDR-0001",
                    "station_code": "330106000001",
                }
            ]
        }
    )

    name: Name
    address_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{4,64}$")]
    station_code: Annotated[str, Field(pattern=r"^[0-9]{12}$")]


class DoorIn(In):
    """A gate, or a room with the number of people who may live in it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "room", "name": "101", "capacity": 2}]}
    )

    kind: Literal["gate", "room"]
    name: Name
    capacity: Annotated[int, Field(ge=1, le=20)] | None = None


class DoorOut(Out):
    """A door of a house."""

    id: UUID
    house_id: UUID
    kind: Literal["gate", "room"]
    name: str
    capacity: int | None


class HouseOut(Out):
    """A house; `role` says what the caller is there."""

    id: UUID
    name: str
    address_id: str
    station_code: str
    role: Literal["owner", "staff"]
    doors: list[DoorOut]


class StaffIn(WishedIn):
    """Whom to make staff of the house. The wish: operation 13 (name staff), target the house.

    `staff_key`: SHA-256 of his phone's signing key, which the wish then names beside `of` as `key`; that phone
    counts as his from its next sync on.
    """

    model_config = example(phone="13912345679", wish=octets(200), salt=octets(16))

    phone: PhoneNumber
    staff_key: Annotated[Bytes, Field(min_length=32, max_length=32)] | None = None


class StaffOut(Out):
    """A member of the staff."""

    house_id: UUID
    holder_id: UUID


class OccupantIn(In):
    """Somebody who will live there; a minor names the number of a guardian who lives there too."""

    phone: PhoneNumber
    is_minor: bool = False
    guardian_phone: PhoneNumber | None = None


class TenancyIn(WishedIn):
    """A lease. `tenants` are telephone numbers, or objects where one is a minor.

    The wish: operation 16 (sign tenancy), target the door.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "door_id": "0198c0de-0000-7000-8000-000000000001",
                    "window": {"from": "2026-12-01T06:00:00Z", "until": "2027-12-01T04:00:00Z"},
                    "tenants": ["13912345678"],
                    "key_policy": "on_submit",
                    "wish": octets(200),
                    "salt": octets(16),
                }
            ]
        }
    )

    door_id: UUID
    window: WindowBody
    tenants: Annotated[list[PhoneNumber | OccupantIn], Field(min_length=1, max_length=20)]
    key_policy: Literal["on_submit", "on_receipt"] = "on_submit"


class DutyOut(Out):
    """What the law asks of one occupant, by which rule, and until when.

    `standing`: `done`, `due`, or `late`. `provisional`: the year's working-day calendar is not out yet.
    """

    id: UUID
    holder_id: UUID
    kind: Literal["arrival", "departure"]
    requirement: Literal["required", "exempt"]
    exempt_code: str | None
    rule_id: str
    rule_version: str
    due_at: Instant
    provisional: bool
    state: Literal["open", "filed", "fulfilled"]
    standing: Literal["done", "due", "late"]


class TenancyOut(Out):
    """A lease, as its landlord or an occupant sees it; an occupant sees his own duties only."""

    id: UUID
    door_id: UUID
    window: WindowBody
    epoch: int
    state: Literal["signed", "ended"]
    key_policy: Literal["on_submit", "on_receipt"]
    ended_at: Instant | None
    end_reason: Literal["window", "early_tenant", "authority"] | None
    role: Literal["landlord", "tenant"]
    duties: list[DutyOut]
    fallback: Literal["none", "setting", "set"] | None = Field(
        default=None,
        description="Your own way in should your phone fail: a PIN, card or finger in the room's lock. `none`:"
        " choose a PIN now. Null for who does not live there, or has no key yet.",
    )


class InviteOut(Out):
    """A link for one tenant. The token is told once, to who signed the lease."""

    holder_id: UUID
    phone_mask: str
    token: str
    link: str


class SignedOut(TenancyOut):
    """A lease just signed, with one link per tenant."""

    invites: list[InviteOut]


class EndOut(Out):
    """What became of the wish: the lease has ended, or other adults have yet to wish it."""

    id: UUID
    state: Literal["signed", "ended"]
    ended_at: Instant | None
    awaited: int


class InvitedOut(Out):
    """What an invite shows its tenant."""

    house: str
    door: str
    tenancy_id: UUID
    window: WindowBody
    accepted: bool
    duty: DutyOut
