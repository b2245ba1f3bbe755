"""Identity cases, registrations, the tenant's ledger."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from mobile_api.schemas.parts import Bytes, In, Instant, Out, Sealed, example, octets

Outcome = Literal["approved", "review", "declined"]
CaseState = Literal["open", "confirmed", "approved", "review", "declined", "submitted", "closed"]
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
_ID = "0198c0de-0000-7000-8000-000000000001"


class CaseIn(In):
    """Which duty, by which phone of this session, by which route. A face is never the only way."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"duty_id": _ID, "phone_id": _ID, "route": "face"}]}
    )

    duty_id: UUID
    phone_id: UUID
    route: Literal["face", "staff"] = "face"


class ConsentsIn(In):
    """Two separate consents, as they stand from now on; `face: false` takes the staff route."""

    model_config = example(document=True, face=True)

    document: bool
    face: bool


class SealedIn(In):
    """An ECIES box (`LK1 box upload` ‖ 0x00 ‖ case id) to the key of `GET /v1/keys/verify`."""

    model_config = example(sealed=octets(600))

    sealed: Sealed


class StaffCheckIn(SealedIn):
    """What staff saw, and the six digits they read off the tenant's phone."""

    model_config = example(sealed=octets(600), phone_code="284017")

    phone_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class PartOut(Out):
    """One thing that was brought. `code`: why it must be brought again; `advice`: what to do better."""

    kind: Literal["front", "back", "selfie", "confirmation", "declaration", "staff_check"]
    state: Literal["received", "read", "refused"]
    code: str | None
    advice: str | None
    attempts: int


class ReasonOut(Out):
    """One reason of a verdict, explained by its code."""

    step: str
    code: str
    outcome: str
    field: str | None = None
    advice: str | None = None


class CaseOut(Out):
    """A case. While `working`, verify looks at something: `GET ?wait=` returns when it is done.

    `draft`: the recognised fields in a box (`LK1 box draft` ‖ 0x00 ‖ case id) to the phone's ECDH key.
    `repeat_step`: the single step to do again.
    """

    id: UUID
    duty_id: UUID
    phone_id: UUID
    route: Literal["face", "staff"]
    state: CaseState
    working: bool
    consent_document: bool
    consent_face: bool
    outcome: Outcome | None
    reasons: list[ReasonOut]
    repeat_step: str | None
    scores: dict[str, float]
    parts: list[PartOut]
    draft: Bytes | None
    registration_id: UUID | None
    destroyed_at: Instant | None
    destruction_receipt: Bytes | None


class RegistrationOut(Out):
    """A filing as its tenant sees it."""

    id: UUID
    duty_id: UUID
    tenancy_id: UUID
    document_type: Literal["111"] = "111"
    number_mask: str
    version: int
    state: RegistrationState
    return_field: str | None
    return_code: str | None
    receipt_no: str | None
    voucher_no: str | None
    submitted_at: Instant
    receipted_at: Instant | None
    accepted_at: Instant | None


class LandlordRegistrationOut(Out):
    """A filing as the landlord sees it: what he must be able to show, and nothing else (L-49)."""

    id: UUID
    tenancy_id: UUID
    phone_mask: str
    document_type: Literal["111"] = "111"
    number_mask: str
    state: RegistrationState
    voucher_no: str | None


class RegistrationsOut(Out):
    """My own filings, and those of who lives in my houses."""

    mine: list[RegistrationOut]
    of_my_tenants: list[LandlordRegistrationOut]


class LedgerLineOut(Out):
    """Which fields went to whom, when, on what ground; digests are salted and outlive the data."""

    id: UUID
    at: Instant
    to_whom: str
    ground: str
    registration_id: UUID | None
    field_names: list[str]
    digests: dict[str, str]


class KeyOut(Out):
    """A public key of the site: 65-byte point and its id."""

    kid: Bytes
    public: Bytes
