"""What a tenant, or staff beside him, brings to an identity case; the role api only seals and stores.

Images are sealed to the verify key on arrival; confirmation, declaration and staff check arrive
sealed by the phone. No word of a document is readable here.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.ports import Random, UnitOfWork
from lockserver.domain.case import (
    ATTEMPTS_MAX,
    AttemptsExhaustedError,
    CasePart,
    ImageKind,
    OpenCase,
    PartKind,
    Route,
)
from lockserver.domain.errors import (
    CaseStateError,
    CodeWrongError,
    DutyFulfilledError,
    NotFoundError,
    PhoneUnknownError,
    TenancyEndedError,
)
from lockserver.domain.ids import uuid7
from lockserver.domain.phone_code import phone_code
from lockserver.protocol.curve import private_key
from lockserver.protocol.sealed import Box, box_info, seal

TRIES_WINDOW = timedelta(days=1)
"""Images of one kind are counted over all cases of a duty for so long; staff can settle it meanwhile."""
WITHDRAWN = "withdrawn"
"""Payload that wakes who destroys faces, at once."""


@dataclass(frozen=True, slots=True)
class NewCase:
    """Which duty, by which phone, and whether a face may be asked for."""

    duty_id: UUID
    phone_id: UUID
    route: Route


async def open_case(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    holder_id: UUID,
    session_id: UUID,
    new: NewCase,
) -> OpenCase:
    """Open a case for one's own duty with a phone that was enrolled in this very session.

    The session that passes identity and the phone that gets the key are one: a swapped SIM opens
    nothing. Raises NotFoundError, PhoneUnknownError, DutyFulfilledError, TenancyEndedError.
    """
    duty = await work.duties.get(new.duty_id)
    if duty is None or duty.holder_id != holder_id or duty.kind != "arrival":
        raise NotFoundError
    phone = await work.phones.get(new.phone_id)
    if phone is None or phone.holder_id != holder_id:
        raise NotFoundError
    if phone.state == "revoked" or phone.session_id != session_id:
        raise PhoneUnknownError
    if duty.state != "open" or duty.requirement != "required":
        raise DutyFulfilledError
    tenancy = await work.tenancies.one(duty.tenancy_id)
    if tenancy.state != "signed":
        raise TenancyEndedError
    case = OpenCase(
        id=uuid7(now, random(10)),
        duty_id=duty.id,
        holder_id=holder_id,
        phone_id=phone.id,
        session_id=session_id,
        route=new.route,
        active_at=now,
    )
    await work.cases.open(case)
    await work.audit.write(f"holder:{holder_id}", "open_case", f"case:{case.id}", route=new.route)
    return case


async def see_case(work: UnitOfWork, holder_id: UUID, case_id: UUID) -> tuple[OpenCase, bool]:
    """Return a case to its tenant or to staff of the house, and whether he is the tenant.

    Raises NotFoundError for everybody else, and for a case that does not exist.
    """
    case = await work.cases.get(case_id)
    if case is None:
        raise NotFoundError
    if case.holder_id == holder_id:
        return case, True
    duty = await work.duties.one(case.duty_id)
    tenancy = await work.tenancies.one(duty.tenancy_id)
    door = await work.doors.one(tenancy.door_id)
    if not await work.houses.is_staff(door.house_id, holder_id):
        raise NotFoundError
    return case, False


async def own_case(work: UnitOfWork, holder_id: UUID, case_id: UUID) -> OpenCase:
    """Return and hold a tenant's own case; raises NotFoundError."""
    _, tenant = await see_case(work, holder_id, case_id)
    if not tenant:
        raise NotFoundError
    return await work.cases.lock(case_id)


async def staffed_case(work: UnitOfWork, holder_id: UUID, case_id: UUID) -> OpenCase:
    """Return and hold a case for staff of its house, never one's own: nobody vouches for himself.

    Raises NotFoundError.
    """
    _, tenant = await see_case(work, holder_id, case_id)
    if tenant:
        raise NotFoundError
    return await work.cases.lock(case_id)


async def give_consents(
    work: UnitOfWork, now: datetime, holder_id: UUID, case_id: UUID, *, document: bool, face: bool
) -> OpenCase:
    """State both consents as they are now; raises NotFoundError, CaseStateError."""
    case = await own_case(work, holder_id, case_id)
    changed = case.consented(now, document=document, face=face)
    await work.cases.touch(changed)
    if case.face_consented and not face:
        await work.notify("requests_verify", WITHDRAWN)
    await work.audit.write(f"holder:{holder_id}", "consent", f"case:{case_id}", document=document, face=face)
    return changed


async def bring_image(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    holder_id: UUID,
    case_id: UUID,
    kind: ImageKind,
    image: bytes,
) -> OpenCase:
    """Seal an image to the role verify and keep it; raises what `OpenCase.takes_image` raises."""
    case = await own_case(work, holder_id, case_id)
    changed = case.takes_image(kind, await work.cases.parts(case_id), now)
    # A fresh case is no fresh set of tries: a machine that may be asked without end is a lottery.
    await work.duties.lock(case.duty_id)
    if await work.cases.tries(case.duty_id, kind, now - TRIES_WINDOW) >= ATTEMPTS_MAX:
        raise AttemptsExhaustedError(step=kind, attempts=ATTEMPTS_MAX)
    verify = await work.site_keys.current("verify")
    info = box_info(Box.UPLOAD, case_id.bytes)
    sealed = seal(verify.public, image, info, private_key(random))
    await _bring(work, random, now, case_id, kind, sealed)
    await work.cases.touch(changed)
    return changed


async def bring_confirmation(
    work: UnitOfWork, random: Random, now: datetime, holder_id: UUID, case_id: UUID, sealed: bytes
) -> OpenCase:
    """Keep the confirmed fields, sealed by the phone; raises NotFoundError, CaseStateError."""
    case = await own_case(work, holder_id, case_id)
    changed = case.takes_confirmation(await work.cases.parts(case_id), now)
    await _bring(work, random, now, case_id, "confirmation", sealed)
    await work.cases.touch(changed)
    return changed


async def bring_declaration(
    work: UnitOfWork, random: Random, now: datetime, holder_id: UUID, case_id: UUID, sealed: bytes
) -> OpenCase:
    """Keep the declaration, sealed by the phone; raises NotFoundError, CaseStateError."""
    case = await own_case(work, holder_id, case_id)
    changed = case.takes_declaration(now)
    await _bring(work, random, now, case_id, "declaration", sealed)
    await work.cases.touch(changed)
    return changed


async def bring_staff_check(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    staff_id: UUID,
    case_id: UUID,
    sealed: bytes,
    code: str,
) -> OpenCase:
    """Keep what staff of the house saw of person and document, for the phone whose code they read.

    Raises NotFoundError, CaseStateError, ConsentMissingError, CodeWrongError.
    """
    case = await staffed_case(work, staff_id, case_id)
    changed = case.takes_staff_check(now)
    phone = await work.phones.one(case.phone_id)
    if not hmac.compare_digest(phone_code(phone.sign_pub), code):
        raise CodeWrongError
    await _bring(work, random, now, case_id, "staff_check", sealed)
    await work.cases.touch(replace(changed, route="staff"))
    await work.audit.write(f"holder:{staff_id}", "staff_check", f"case:{case_id}")
    return changed


async def _bring(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    case_id: UUID,
    kind: PartKind,
    sealed: bytes,
) -> None:
    parts = await work.cases.parts(case_id)
    if any(part.kind == kind and part.state == "received" for part in parts):
        raise CaseStateError(working=kind)
    await work.cases.bring(
        CasePart(
            id=uuid7(now, random(10)),
            case_id=case_id,
            kind=kind,
            digest=hashlib.sha256(sealed).digest(),
            sealed=sealed,
        )
    )
