"""A registration: the record that fulfils a duty, as much of it as we keep in clear.

No name and no number: a mask, and an index whose key only the role verify holds. The record itself
travels sealed to the relay, and is the province's from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from lockserver.domain.errors import DomainError
from lockserver.domain.times import civil_date

RegistrationState = Literal[
    "submitted",
    "receipted",
    "accepted",
    "accepted_late",
    "returned",
    "manual_review",
    "departed",
    "withdrawn",
]
CONTRACT_VERSION = "1"
PROVINCE = "浙江省流动人口居住信息管理系统"
ARRIVAL_GROUND = "浙江省流动人口居住登记条例 arts 7, 9; 个人信息保护法 art 13 (3)"
DEPARTURE_GROUND = "浙江省流动人口居住登记条例 art 9; 个人信息保护法 art 13 (3)"
RESIDENT_CARD = "111"
"""居民身份证, GA/T 2000.156."""


class StayInvalidError(DomainError):
    """A field of the declared stay does not hold what its rule asks for; `detail` names it."""

    code = "stay_invalid"


@dataclass(frozen=True, slots=True)
class Registration:
    """What everybody on our side may know of a filing."""

    id: UUID
    client_no: str
    duty_id: UUID
    tenancy_id: UUID
    holder_id: UUID
    number_mask: str
    version: int
    state: RegistrationState
    submitted_at: datetime
    return_field: str | None = None
    return_code: str | None = None
    receipt_no: str | None = None
    voucher_no: str | None = None
    receipted_at: datetime | None = None
    accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Which fields went to whom, on what ground: names and salted digests, never the values."""

    id: UUID
    holder_id: UUID
    at: datetime
    to_whom: str
    ground: str
    registration_id: UUID | None
    field_names: list[str]
    digests: dict[str, str]


def departure_body(
    client_no: str, version: int, salt: str, left_at: datetime, *, early: bool
) -> Mapping[str, object]:
    """Return the departure filing: no personal field (departure.schema.json).

    `version` ascends within the registration; the day is Shanghai's.
    """
    return {
        "contract_version": CONTRACT_VERSION,
        "client_no": client_no,
        "version": version,
        "digest_salt": salt,
        "departed_on": civil_date(left_at).isoformat(),
        "departure_reason": "02" if early else "01",
    }


def planned_until(text: str, arrival: date) -> date:
    """Return the declared end of the stay; raises StayInvalidError for no day or one before arrival."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise StayInvalidError(field="planned_until") from None
    if day < arrival:
        raise StayInvalidError(field="planned_until")
    return day
