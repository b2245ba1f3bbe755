"""An identity case: what a tenant brings, in what order, and which single step he repeats.

open ──confirmation──▶ confirmed ──verdict──▶ approved ──declaration──▶ submitted ──▶ closed
  ▲                        │                  review ───staff check──▶ approved
  └──── failed document ───┴──────────────▶ declined ──the failed step only──▶ confirmed or open

A face is never the only way: the staff route asks for none, and a case that a machine doubts is
settled by staff. Attempts are bounded per step, so that a machine is not a lottery.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from lockserver.domain.errors import CaseStateError, ConsentMissingError, DomainError

Route = Literal["face", "staff"]
CaseState = Literal["open", "confirmed", "approved", "review", "declined", "submitted", "closed"]
Outcome = Literal["approved", "review", "declined"]
PartKind = Literal["front", "back", "selfie", "confirmation", "declaration", "staff_check"]
ImageKind = Literal["front", "back", "selfie"]
PartState = Literal["received", "read", "refused"]
Reason = dict[str, str]
"""One reason of a verdict: step, code, outcome, and field and advice where there are some."""

ATTEMPTS_MAX = 5
"""Uploads of one image in one case: enough for bad light, too few for trying faces."""
IDLE_LIMIT = timedelta(hours=24)
"""A case that nobody touches dies, and its key with it (registration.md)."""
REVIEW_LIMIT = timedelta(days=7)
"""An open review is kept for the person who reviews it, and no longer."""
IMAGES: tuple[ImageKind, ...] = ("front", "back", "selfie")
_DOCUMENT: tuple[ImageKind, ...] = ("front", "back")


class AttemptsExhaustedError(DomainError):
    """Too many tries on this step; staff of the house can check the document instead."""

    code = "attempts_exhausted"


@dataclass(frozen=True, slots=True)
class CasePart:
    """One thing that was brought; `sealed` None once it is destroyed."""

    id: UUID
    case_id: UUID
    kind: PartKind
    digest: bytes
    sealed: bytes | None
    state: PartState = "received"
    code: str | None = None
    advice: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenCase:
    """One identity capture for one duty, by one phone, in one session, as the role api may see it.

    `draft` is sealed to the tenant's phone. What the key opens and what was confirmed is in `Case`.
    """

    id: UUID
    duty_id: UUID
    holder_id: UUID
    phone_id: UUID
    session_id: UUID
    route: Route
    active_at: datetime
    state: CaseState = "open"
    consent_document_at: datetime | None = None
    consent_face_at: datetime | None = None
    consent_face_withdrawn_at: datetime | None = None
    outcome: Outcome | None = None
    reasons: list[Reason] | None = None
    repeat_step: str | None = None
    scores: dict[str, object] | None = None
    draft: bytes | None = None
    destroyed_at: datetime | None = None
    destruction_receipt: bytes | None = None

    @property
    def face_consented(self) -> bool:
        """Tell whether a face may be compared now."""
        return self.consent_face_at is not None and self.consent_face_withdrawn_at is None

    def consented(self, at: datetime, *, document: bool, face: bool) -> "OpenCase":
        """Return the case with both consents as the tenant states them now; raises CaseStateError.

        They are separate: reading the document never implies the face. Without the face's the
        route is the staff's; a consent given later opens the face route again. A withdrawal is
        taken in every state, and changes nothing that was decided before (L-47).
        """
        over = self.state in {"approved", "submitted", "closed"}
        if over and ((document and not self.consent_document_at) or (face and not self.face_consented)):
            raise CaseStateError(state=self.state)
        face_at = self.consent_face_at
        withdrawn = self.consent_face_withdrawn_at
        if face and not self.face_consented:
            face_at, withdrawn = at, None
        if not face and self.face_consented:
            withdrawn = at
        return replace(
            self,
            active_at=at,
            consent_document_at=(self.consent_document_at or at) if document else None,
            consent_face_at=face_at,
            consent_face_withdrawn_at=withdrawn,
            route=self.route if over else ("face" if face else "staff"),
        )

    def takes_image(self, kind: ImageKind, parts: Sequence[CasePart], at: datetime) -> "OpenCase":
        """Return the case after an image was brought.

        Raises ConsentMissingError, CaseStateError, AttemptsExhaustedError.
        """
        if self.consent_document_at is None:
            raise ConsentMissingError(consent="document")
        if kind == "selfie" and not self.face_consented:
            raise ConsentMissingError(consent="face")
        if self.state not in {"open", "confirmed", "review", "declined"}:
            raise CaseStateError(state=self.state)
        if not self._asks_for(kind, parts):
            raise CaseStateError(state=self.state, repeat_step=self.repeat_step)
        if sum(part.kind == kind for part in parts) >= ATTEMPTS_MAX:
            raise AttemptsExhaustedError(step=kind, attempts=ATTEMPTS_MAX)
        return replace(self, active_at=at)

    def _asks_for(self, kind: ImageKind, parts: Sequence[CasePart]) -> bool:
        if self.state == "open":
            return True
        if self.state == "confirmed":
            return kind == "selfie" and newest(parts, "selfie", "received", "read") is None
        return self.repeat_step == kind

    def takes_confirmation(self, parts: Sequence[CasePart], at: datetime) -> "OpenCase":
        """Check that the tenant may confirm what was read; raises CaseStateError."""
        both = all(newest(parts, kind, "read") is not None for kind in _DOCUMENT)
        again = self.state in {"review", "declined"} and self.repeat_step == "fields"
        if not both or not (self.state in {"open", "confirmed"} or again):
            raise CaseStateError(state=self.state)
        return replace(self, active_at=at)

    def takes_declaration(self, at: datetime) -> "OpenCase":
        """Check that the tenant may declare now; raises CaseStateError."""
        if self.state != "approved":
            raise CaseStateError(state=self.state)
        return replace(self, active_at=at)

    def takes_staff_check(self, at: datetime) -> "OpenCase":
        """Check that staff may settle the case; raises ConsentMissingError, CaseStateError."""
        if self.consent_document_at is None:
            raise ConsentMissingError(consent="document")
        if self.state not in {"open", "confirmed", "review", "declined"}:
            raise CaseStateError(state=self.state)
        return replace(self, active_at=at, route="staff")

    def idle_since(self, at: datetime) -> bool:
        """Tell whether the case has been left alone for longer than it may live."""
        limit = REVIEW_LIMIT if self.state == "review" else IDLE_LIMIT
        return at - self.active_at >= limit


@dataclass(frozen=True, slots=True)
class Case(OpenCase):
    """The whole case, as only the role verify has it."""

    confirmed_digest: bytes | None = None
    sealed_key: bytes | None = None

    def brought(self, kind: ImageKind) -> "Case":
        """Return the case once a new image is being looked at: what it replaces no longer counts."""
        if kind in _DOCUMENT:  # another page: what was confirmed of the old one no longer holds
            return replace(
                self,
                state="open",
                confirmed_digest=None,
                draft=None,
                outcome=None,
                reasons=None,
                repeat_step=None,
                scores=None,
            )
        state: CaseState = "open" if self.confirmed_digest is None else "confirmed"
        return replace(self, state=state, outcome=None, reasons=None, repeat_step=None, scores=None)

    def drafted(self, draft: bytes) -> "Case":
        """Return the case with the recognised fields, sealed to the tenant's phone."""
        return replace(self, draft=draft)

    def confirmed(self, digest: bytes) -> "Case":
        """Return the case with its confirmed fields, as their keyed digest."""
        return replace(
            self,
            state="confirmed",
            confirmed_digest=digest,
            outcome=None,
            reasons=None,
            repeat_step=None,
        )

    def judged(
        self,
        outcome: Outcome,
        reasons: Sequence[Reason],
        repeat_step: str | None,
        scores: dict[str, object] | None,
    ) -> "Case":
        """Return the case with a verdict on it."""
        return replace(
            self,
            state=outcome,
            outcome=outcome,
            reasons=list(reasons),
            repeat_step=repeat_step,
            scores=scores,
        )

    def settled_by_staff(self, digest: bytes, draft: bytes) -> "Case":
        """Return the case approved on the word of staff, without a face."""
        return replace(
            self,
            route="staff",
            state="approved",
            outcome="approved",
            confirmed_digest=digest,
            draft=draft,
            reasons=None,
            repeat_step=None,
        )

    def submitted(self) -> "Case":
        """Return the case once its registration is filed."""
        return replace(self, state="submitted")

    def destroyed(self, at: datetime, receipt: bytes) -> "Case":
        """Return the case without key, draft or scores, and with the receipt of that."""
        return replace(
            self,
            state="closed",
            sealed_key=None,
            confirmed_digest=None,
            draft=None,
            scores=None,
            destroyed_at=at,
            destruction_receipt=receipt,
        )


def newest(parts: Sequence[CasePart], kind: str, *states: str) -> CasePart | None:
    """Return the last part of a kind if it is in one of the states (any, if none is named)."""
    last = max((part for part in parts if part.kind == kind), key=lambda part: part.id, default=None)
    return last if last is not None and (not states or last.state in states) else None
