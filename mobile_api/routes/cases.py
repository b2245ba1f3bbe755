"""Identity cases: consents, images, confirmation, declaration, and the staff's check.

The answer to everything that verify must look at is 202 and the case; `GET ?wait=` returns when it has.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response

from lockserver.app.capture import (
    NewCase,
    bring_confirmation,
    bring_declaration,
    bring_image,
    bring_staff_check,
    give_consents,
    open_case,
    see_case,
)
from lockserver.app.ports import UnitOfWork
from lockserver.domain.case import CasePart, OpenCase
from lockserver.domain.errors import DomainError, ImageUnreadableError
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.idempotency import Done, Idempotent
from mobile_api.schemas.cases import (
    CaseIn,
    CaseOut,
    ConsentsIn,
    PartOut,
    ReasonOut,
    SealedIn,
    StaffCheckIn,
)
from mobile_api.waiting import Wait, wait_until

router = APIRouter(prefix="/cases", tags=["cases"])
IMAGE_TYPES = frozenset({"image/jpeg", "image/png"})
_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary", "maxLength": 8 * 1024 * 1024}}
            for kind in sorted(IMAGE_TYPES)
        },
    }
}


class MediaTypeError(DomainError):
    """This route does not take that media type."""

    code = "media_type"


async def _case_out(
    work: UnitOfWork, case: OpenCase, *, tenant: bool, parts: Sequence[CasePart] | None = None
) -> CaseOut:
    """Show a case; staff see how it stands, and nothing of its content."""
    if parts is None:
        parts = await work.cases.parts(case.id)
    newest = {part.kind: part for part in parts}
    registration = await work.filings.of_duty(case.duty_id)
    measured = case.scores or {}
    return CaseOut(
        id=case.id,
        duty_id=case.duty_id,
        phone_id=case.phone_id,
        route=case.route,
        state=case.state,
        working=any(part.state == "received" for part in parts),
        consent_document=case.consent_document_at is not None,
        consent_face=case.face_consented,
        outcome=case.outcome,
        reasons=[ReasonOut(**reason) for reason in case.reasons or []],
        repeat_step=case.repeat_step,
        scores={name: float(str(value)) for name, value in measured.items()} if tenant else {},
        parts=[
            PartOut(
                kind=part.kind,
                state=part.state,
                code=part.code,
                advice=part.advice,
                attempts=sum(other.kind == part.kind for other in parts),
            )
            for part in newest.values()
        ],
        draft=case.draft if tenant else None,
        registration_id=registration.id if registration and tenant else None,
        destroyed_at=case.destroyed_at,
        destruction_receipt=case.destruction_receipt if tenant else None,
    )


@router.post("", status_code=201, response_model=CaseOut, summary="Open a case for my duty")
async def open_(body: CaseIn, caller: Caller, services: Server, once: Idempotent) -> Response:
    """With a phone that was enrolled in this very session: it alone will get the key."""

    async def act(work: UnitOfWork) -> Done:
        new = NewCase(body.duty_id, body.phone_id, body.route)
        now = services.clock.now()
        case = await open_case(work, services.random, now, caller.holder_id, caller.id, new)
        out = await _case_out(work, case, tenant=True)
        return Done(201, out, {"Location": f"/v1/cases/{case.id}"})

    return await once(caller.actor, act)


@router.get("/{case_id}", summary="A case; `wait` holds the answer while verify works")
async def case(case_id: UUID, caller: Caller, services: Server, wait: Wait = 0) -> CaseOut:
    """For its tenant, and without content for staff of the house."""

    async def look() -> CaseOut:
        async with services.transactions.alone() as work:
            # Parts first: should verify conclude in between, the case is still seen as worked on, and looked
            # at again. The other way round it would show as done, without the outcome.
            parts = await work.cases.parts(case_id)
            found, tenant = await see_case(work, caller.holder_id, case_id)
            return await _case_out(work, found, tenant=tenant, parts=parts)

    return await wait_until(services, "case_changed", str(case_id), wait, look, lambda view: not view.working)


@router.put("/{case_id}/consents", summary="State both consents")
async def consents(case_id: UUID, body: ConsentsIn, caller: Caller, services: Server) -> CaseOut:
    """They are separate; a withdrawal is taken at any time and changes no key that was given."""
    async with services.transactions.begin() as work:
        changed = await give_consents(
            work,
            services.clock.now(),
            caller.holder_id,
            case_id,
            document=body.document,
            face=body.face,
        )
        return await _case_out(work, changed, tenant=True)


@router.put(
    "/{case_id}/images/{kind}",
    status_code=202,
    summary="Bring an image (raw body)",
    openapi_extra=_IMAGE_BODY,
)
async def image(
    case_id: UUID,
    kind: Literal["front", "back", "selfie"],
    request: Request,
    caller: Caller,
    services: Server,
) -> CaseOut:
    """Held in memory and sealed to the role verify on arrival; never stored in clear."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in IMAGE_TYPES:
        raise MediaTypeError
    raw = await request.body()
    if not raw:
        raise ImageUnreadableError
    async with services.transactions.begin() as work:
        changed = await bring_image(
            work,
            services.random,
            services.clock.now(),
            caller.holder_id,
            case_id,
            kind,
            raw,
        )
        return await _case_out(work, changed, tenant=True)


@router.post(
    "/{case_id}/confirmation",
    status_code=202,
    response_model=CaseOut,
    summary="Confirm the recognised fields, sealed by the phone",
)
async def confirmation(
    case_id: UUID, body: SealedIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """Inside the box: `{"fields": {name, sex, ethnicity, birth, address, number, authority, …}}`."""

    async def act(work: UnitOfWork) -> Done:
        now = services.clock.now()
        changed = await bring_confirmation(work, services.random, now, caller.holder_id, case_id, body.sealed)
        return Done(202, await _case_out(work, changed, tenant=True))

    return await once(caller.actor, act)


@router.post(
    "/{case_id}/declaration",
    status_code=202,
    response_model=CaseOut,
    summary="Declare the stay, sealed by the phone",
)
async def declaration(
    case_id: UUID, body: SealedIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """Inside the box: the confirmed `fields`, and `stay`. It makes the registration."""

    async def act(work: UnitOfWork) -> Done:
        now = services.clock.now()
        changed = await bring_declaration(work, services.random, now, caller.holder_id, case_id, body.sealed)
        return Done(202, await _case_out(work, changed, tenant=True))

    return await once(caller.actor, act)


@router.post(
    "/{case_id}/staff-check",
    status_code=202,
    response_model=CaseOut,
    summary="Staff compared person and document",
)
async def staff_check(
    case_id: UUID, body: StaffCheckIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """Inside the box: `{"fields": {…}, "outcome": "same_person"}`. Same key, same day, no face."""
    services.code_limits.try_once(f"{caller.holder_id}:{case_id}", services.clock.now())

    async def act(work: UnitOfWork) -> Done:
        changed = await bring_staff_check(
            work,
            services.random,
            services.clock.now(),
            caller.holder_id,
            case_id,
            body.sealed,
            body.phone_code,
        )
        return Done(202, await _case_out(work, changed, tenant=False))

    return await once(caller.actor, act)
