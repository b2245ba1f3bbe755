"""Bring in a phone's keys. They prove nothing about a person until button, face or staff do."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lockserver.app.ports import Random, UnitOfWork
from lockserver.domain.account import Phone
from lockserver.domain.errors import ConflictError, DomainError, ProofInvalidError
from lockserver.domain.ids import uuid7
from lockserver.domain.times import whole_seconds
from lockserver.protocol.curve import parse_public
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.limits import REQUEST_SKEW
from lockserver.protocol.request import hash_body, read_request

METHOD_PATH = "POST /v1/phones"


class PhoneTakenError(DomainError):
    """That phone key is enrolled already."""

    code = "phone_taken"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Two public points, and an LK1-REQ signed by the first.

    The request's `phone_id` is the session's id (the phone has none yet), its `method_path` is
    `POST /v1/phones`, its `body_hash` SHA-256(sign_pub ‖ ecdh_pub): the keys cannot be claimed from
    another session, and a proof cannot be carried to other keys.
    """

    sign_pub: bytes
    ecdh_pub: bytes
    proof: bytes


async def enrol_phone(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    holder_id: UUID,
    session_id: UUID,
    enrolment: Enrolment,
) -> Phone:
    """Add the phone as `pending`. Raises ProofInvalidError, PhoneTakenError."""
    _check_proof(enrolment, session_id, now)
    phone = Phone(
        id=uuid7(now, random(10)),
        holder_id=holder_id,
        sign_pub=enrolment.sign_pub,
        ecdh_pub=enrolment.ecdh_pub,
        session_id=session_id,
        state="pending",
    )
    try:
        await work.phones.add(phone)
    except ConflictError:
        raise PhoneTakenError from None
    await work.audit.write(f"holder:{holder_id}", "enrol_phone", f"phone:{phone.id}")
    return phone


def _check_proof(enrolment: Enrolment, session_id: UUID, now: datetime) -> None:
    try:
        parse_public(enrolment.ecdh_pub)
        request = read_request(enrolment.proof, enrolment.sign_pub)
    except RemoteError:
        raise ProofInvalidError from None
    fresh = abs(request.issued_at - whole_seconds(now)) <= REQUEST_SKEW
    bound = (
        request.phone_id == session_id.bytes
        and request.method_path == METHOD_PATH
        and request.body_hash == hash_body(enrolment.sign_pub + enrolment.ecdh_pub)
    )
    if not (fresh and bound):
        raise ProofInvalidError
