"""Identity capture and registration: repositories, and the recogniser that looks at images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol
from uuid import UUID

from lockserver.app.ports.rows import Rows
from lockserver.domain.case import Case, CasePart, ImageKind, OpenCase, Outcome, PartKind, Reason
from lockserver.domain.identity import IdentityFields
from lockserver.domain.registration import LedgerEntry, Registration


class Cases(Protocol):
    """Identity cases as the role api sees them; what is inside the parts is not among it."""

    async def open(self, case: OpenCase) -> None:
        """Insert a fresh case."""
        ...

    async def get(self, case_id: UUID) -> OpenCase | None:
        """Return a case, or None."""
        ...

    async def lock(self, case_id: UUID) -> OpenCase:
        """Return a case and hold it; raises NotFoundError."""
        ...

    async def touch(self, case: OpenCase) -> None:
        """Write route, consents and the instant of the last touch."""
        ...

    async def of_duty(self, duty_id: UUID) -> Sequence[OpenCase]:
        """Return the cases opened for a duty, newest first."""
        ...

    async def parts(self, case_id: UUID) -> Sequence[CasePart]:
        """Return what was brought, in order, without its sealed bytes."""
        ...

    async def tries(self, duty_id: UUID, kind: ImageKind, since: datetime) -> int:
        """Return how many images of this kind were brought for a duty since then, in all its cases."""
        ...

    async def bring(self, part: CasePart) -> None:
        """Keep a part, and wake the role verify."""
        ...


class CaseFiles(Rows[Case], Protocol):
    """Identity cases as the role verify has them."""

    async def parts(self, case_id: UUID) -> Sequence[CasePart]:
        """Return what was brought, in order."""
        ...

    async def save_part(self, part: CasePart) -> None:
        """Write a part's sealed bytes, state, code and advice."""
        ...

    async def drop_parts(self, case_id: UUID, kind: PartKind | None = None) -> Sequence[bytes]:
        """Blank the sealed bytes of a case's parts (of one kind); return the digests of those."""
        ...

    async def claim_received(self) -> CasePart | None:
        """Return and hold the oldest part nobody has worked on, skipping those held elsewhere."""
        ...

    async def hold_long(self) -> None:
        """Let this transaction wait for recognition."""
        ...

    async def withdrawn_with_face(self, limit: int = 100) -> Sequence[UUID]:
        """Return cases whose consent to the face was withdrawn while a selfie is still kept."""
        ...

    async def kept_idle_since(self, before: datetime, limit: int = 100) -> Sequence[Case]:
        """Return cases that still have a key and were last touched before this instant."""
        ...

    async def kept_and_receipted(self, limit: int = 100) -> Sequence[UUID]:
        """Return cases that still have a key although their registration has its receipt."""
        ...

    async def add_verdict(  # one column each
        self,
        verdict_id: UUID,
        case: Case,
        outcome: Outcome,
        codes: Sequence[str],
    ) -> None:
        """Write what was concluded about the case's phone, for the issuer to read."""
        ...


class Filings(Rows[Registration], Protocol):
    """Registrations, without the column that only verify may read."""

    async def file(self, registration: Registration, number_index: bytes) -> None:
        """Insert a filing with its blind index; raises ConflictError for a duty that has one."""
        ...

    async def of_duty(self, duty_id: UUID) -> Registration | None:
        """Return the filing that answers a duty."""
        ...

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Registration]:
        """Return the filings of a tenancy."""
        ...

    async def of_holder(self, holder_id: UUID) -> Sequence[Registration]:
        """Return a tenant's own filings, newest first."""
        ...

    async def of_owner(self, holder_id: UUID) -> Sequence[Registration]:
        """Return the filings of everybody who lives in a landlord's houses, newest first."""
        ...

    async def raise_version(self, registration_id: UUID, version: int) -> None:
        """Note the version of the last filing written for it."""
        ...


class Ledger(Protocol):
    """The tenant's own ledger of what left."""

    async def write(self, entry: LedgerEntry) -> None:
        """Add a line; it is never changed."""
        ...

    async def of_holder(self, holder_id: UUID) -> Sequence[LedgerEntry]:
        """Return a tenant's lines, newest first."""
        ...


class RecognitionBusyError(Exception):
    """No process is free now; nothing was looked at, and the same may be asked again."""


@dataclass(frozen=True, slots=True, repr=False)
class SideReading:
    """What was recognised on one side of a card.

    `fields`: texts by name. `refusal`: set when the side must be brought again, with a stable code and
    an advice code that pages put into words. `kept`: what judging needs of it, opaque.
    """

    fields: Mapping[str, str]
    kept: bytes
    refusal: str | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class FaceReading:
    """One selfie against the portrait on the same person's document; as `SideReading`."""

    kept: bytes
    refusal: str | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """approved | review | declined, the reasons with their codes, and the one step to repeat."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    repeat_step: str | None
    scores: Mapping[str, float]


class Recogniser(Protocol):
    """Looks at images in a bounded pool of processes, and keeps none. 1:1 only: no gallery exists.

    Raises RecognitionBusyError. An image that breaks a process is a refusal, never repeated.
    """

    async def read_side(self, side: Literal["front", "back"], image: bytes) -> SideReading:
        """Read one side of a resident identity card."""
        ...

    async def compare(self, front_kept: bytes, selfie: bytes) -> FaceReading:
        """Compare a selfie with the portrait that was found on the front."""
        ...

    def judge(
        self,
        front_kept: bytes,
        back_kept: bytes,
        face_kept: bytes | None,
        confirmed: IdentityFields,
        today: date,
    ) -> Judgement:
        """Judge what was read against what its holder confirmed; `today` is Shanghai's."""
        ...
