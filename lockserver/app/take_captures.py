"""Judge what a lock captured for somebody: a card or finger, enrolled at the lock by who held a key to it.

The bridge only brings the lock's signed report; the issuer verifies it again. A report serves once: who kept
it cannot enrol a card again that was taken out since. A card that is enrolled already is a finding, and who
tried is told.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from lockserver.app.found_grant import is_founded
from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.app.tell import tell
from lockserver.app.want_slot import holder_of, may_have_slots, want_slot
from lockserver.domain.errors import DomainError, GrantMissingError, NotAllowedError
from lockserver.domain.grant import Grant
from lockserver.domain.house import Door
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import IssuedCredential, Lock
from lockserver.domain.pin_errors import CardTakenError
from lockserver.domain.slot import Capture, Finding, SlotKind
from lockserver.protocol.curve import sha256
from lockserver.protocol.envelope import Position, read_signed_report
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.reports import Captured, CapturedKind

_KINDS: Final[dict[CapturedKind, SlotKind]] = {CapturedKind.CARD: "card", CapturedKind.FINGER: "finger"}


async def take_captures(world: Issuing, work: UnitOfWork, lock: Lock, door: Door, now: datetime) -> bool:
    """Judge what waits; tell whether a slot is wanted now that was not. The caller holds the lock's row."""
    taken = False
    for capture in await work.captures.waiting(lock.id):
        taken |= await _take(world, work, lock, door, capture, now)
    return taken


async def _take(
    world: Issuing, work: UnitOfWork, lock: Lock, door: Door, capture: Capture, now: datetime
) -> bool:
    try:
        said = read_signed_report(capture.report, lock.id.bytes, lock.sign_pub)
    except RemoteError as error:
        await _refuse(work, capture, error.code.word)
        return False
    report = said.report
    if not isinstance(report, Captured):
        await _refuse(work, capture, "bad_format")
        return False
    if said.position in await _taken(work, lock):
        await _refuse(work, capture, Denial.REPLAYED.word)
        return False
    key = await work.credentials.get(UUID(bytes=report.cti))
    sound = key is not None and key.lock_id == lock.id and await _serves(work, key)
    grant = await work.grants.get(key.grant_id) if key is not None and sound else None
    try:
        slot_id = await _want(world, work, lock, door, grant, report, now)
    except DomainError as refused:
        await _refuse(work, capture, refused.code)
        if isinstance(refused, CardTakenError):
            await _find(world, work, lock, report, now)
        if grant is not None:
            detail = {"code": refused.code, "lock_id": str(lock.id), "card": _KINDS[report.kind]}
            await tell(work, world.random, now, [grant.holder_id], "card_refused", capture.id, detail)
        return False
    await work.captures.settle(capture.id, "taken", None, slot_id)
    return True


async def _taken(work: UnitOfWork, lock: Lock) -> set[Position]:
    """Return the reports of the lock that have served.

    By the lock's own numbering: a digest is the bridge's word, and an ECDSA signature has a twin.
    """
    kept = await work.captures.taken(lock.id)
    return {read_signed_report(one.report, lock.id.bytes, lock.sign_pub).position for one in kept}


async def _serves(work: UnitOfWork, key: IssuedCredential) -> bool:
    """Tell whether the key that asked may still be used: with a phone that was lost since, nobody reads in a card.

    A lock that is offline takes such a key until it ends; a card would outlive it by the whole lease (L-08).
    """
    phone = await work.phones.get(key.phone_id)
    return key.revoked_at is None and phone is not None and phone.state != "revoked"


async def _want(
    world: Issuing,
    work: UnitOfWork,
    lock: Lock,
    door: Door,
    grant: Grant | None,
    report: Captured,
    now: datetime,
) -> UUID:
    """Return the slot that was made. Raises CardTakenError, SlotsFullError, GrantMissingError, NotAllowedError."""
    if grant is None or not grant.lives(now) or not await is_founded(work, grant, door):
        raise GrantMissingError
    if not may_have_slots(grant):
        raise NotAllowedError
    known = await holder_of(work, lock.id, report.verifier)
    if not report.already and known is not None and known.grant_id == grant.id and known.wanted:
        return known.id  # the same capture, told by broker and phone
    if report.already or known is not None:
        raise CardTakenError
    slot = await want_slot(world, work, lock.id, grant, _KINDS[report.kind], report.verifier, now)
    return slot.id


async def _refuse(work: UnitOfWork, capture: Capture, code: str) -> None:
    await work.captures.settle(capture.id, "refused", code, None)
    await work.audit.write("role:issuer", "refuse_capture", f"lock:{capture.lock_id}", code=code)


async def _find(world: Issuing, work: UnitOfWork, lock: Lock, report: Captured, now: datetime) -> None:
    kind = _KINDS[report.kind]
    mark = sha256(report.verifier)[:8].hex()
    await work.findings.saw(
        Finding(uuid7(now, world.random(10)), lock.id, "card_taken", mark, {"kind": kind}, now, now)
    )
