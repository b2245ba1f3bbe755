"""Identity capture and registration: repositories, and the recogniser that looks at images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol
from uuid import UUID

from lockserver.app.ports.rows import Rows
from lockserver.domain.case import Case, CasePart, OpenCase, Outcome, PartKind
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
        """Write route, consents and the instant of the last touch, and tell who watches."""
        ...

    async def of_duty(self, duty_id: UUID) -> Sequence[OpenCase]:
        """Return the cases opened for a duty, newest first."""
        ...

    async def parts(self, case_id: UUID) -> Sequence[CasePart]:
        """Return what was brought, in order, without its sealed bytes."""
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
        reasons: Sequence[str],
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


@dataclass(frozen=True, slots=True)
class Reading:
    """What was recognised on one side of a card.

    `fields` are the side's own fields as text. `refusal` is set when the side must be brought again:
    a stable code (``image.blurred``, ``document.check_digit`` …), and the advice a person reads.
    """

    fields: Mapping[str, str]
    refusal: str | None = None
    advice: str | None = None
    scores: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much a selfie is like the portrait on the card; `refusal` as in `Reading`."""

    score: float | None
    refusal: str | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """approved | review | declined, why, and the one step that may be repeated."""

    outcome: Outcome
    reasons: tuple[str, ...]
    repeat_step: str | None
    advice: str | None = None


class Recogniser(Protocol):
    """Looks at images in a bounded pool of processes; keeps none."""

    async def read(self, image: bytes, side: Literal["front", "back"], today: date) -> Reading:
        """Read one side of a resident identity card."""
        ...

    async def compare(self, front: bytes, selfie: bytes) -> Comparison:
        """Compare a selfie with the portrait on the same person's own document: 1:1, never 1:N."""
        ...

    def judge(
        self,
        recognised: IdentityFields,
        confirmed: IdentityFields,
        comparison: Comparison,
        today: date,
    ) -> Judgement:
        """Judge a case from what was read, what its holder confirmed, and the comparison."""
        ...
