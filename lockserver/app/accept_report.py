"""Take one report from a lock: whoever carried it, only the lock's own signature counts (L-22)."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.app.check_drift import check_drift
from lockserver.app.converge_access import converge_access, send_documents
from lockserver.app.converge_firmware import note_firmware
from lockserver.app.ingest_journal import Batch, Kept
from lockserver.app.note_hello import BOLTS, said_by
from lockserver.app.ports import UnitOfWork
from lockserver.app.settle_command import conclude, settle_by_hello, settle_by_result
from lockserver.app.settle_slots import count_refusals, settle_slots
from lockserver.domain.canonical import unb64url
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import Lock, LockStatus, Via
from lockserver.domain.slot import Capture
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.curve import sha256
from lockserver.protocol.envelope import Envelope, read_signed_report, unseal_report
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.journal import Head
from lockserver.protocol.reports import (
    Applied,
    Captured,
    FirmwareState,
    Hello,
    Inventory,
    JournalBatch,
    Report,
    Result,
    TimeRequest,
)

TIME_PATIENCE_S = 1.5
"""A time statement that comes later than 2 s after the lock's request attests nothing."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is left to do after a report was taken.

    `batch`: a journal for the group commit. `acknowledge`: entries the lock still holds though they
    are kept. `converge`: the lock spoke of its documents, so look whether it lacks any.
    """

    batch: Batch | None = None
    acknowledge: Kept | None = None
    converge: bool = False
    time_nonce: bytes | None = None
    firmware: FirmwareState | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """Who brought a report: `gateway` is which one, where one did."""

    via: Via = "mqtt"
    gateway: UUID | None = None


ITSELF = Carried()


async def accept_report(world: Bridging, lock_id: UUID, sealed: bytes, by: Carried = ITSELF) -> Heard:
    """Open, verify and take a report of the lock that the topic (or its carrier) named.

    Raises RemoteError for anything that this lock did not sign, and for a replayed report.
    """
    lock = await world.lock(lock_id)
    if lock is None:
        raise RemoteError(Denial.UNKNOWN_KEY, "no lock of ours")
    evidence = unseal_report(sealed, lock_id.bytes, world.report_key)
    envelope = read_signed_report(evidence, lock_id.bytes, lock.sign_pub)
    report = envelope.report
    now = world.clock.now()
    _reached(world, lock_id, by, report, now)
    if isinstance(report, JournalBatch):
        return Heard(batch=Batch(lock, envelope.position, report.entries, evidence, by.via))
    if isinstance(report, Result) and await _swiftly(world, lock, envelope, evidence, by, now):
        return Heard()
    async with world.transactions.begin() as work:
        before = await work.lock_states.hold(lock_id)
        status = _news(before, envelope, by, now)
        if before.boot != status.boot:
            await work.lock_documents.allow_again(lock_id, 1)
        status, heard = await _take(world, work, _Word(lock, report, evidence, now), status)
        await work.lock_states.save(status)
        if isinstance(report, Hello | Applied):
            await settle_slots(work, status, now)
    if isinstance(report, Hello):
        world.oldest[lock_id] = report.oldest_unacked
    if lock.state == "enrolling":
        world.forget(lock_id)  # it may be in service by now
    return heard


@dataclass(frozen=True, slots=True)
class _Word:
    """One report that is this lock's, and news."""

    lock: Lock
    report: Report
    evidence: bytes
    now: datetime


async def _take(
    world: Bridging, work: UnitOfWork, word: _Word, status: LockStatus
) -> tuple[LockStatus, Heard]:
    """Return what the report makes of the lock's status, and what is left to do."""
    lock, report, evidence, now = word.lock, word.report, word.evidence, word.now
    if isinstance(report, Hello):
        return await _hello(work, lock, status, report, evidence, now)
    if isinstance(report, Result):
        return await _result(work, lock, status, report, evidence, now)
    if isinstance(report, Applied):
        told = await _applied(work, lock, status, report)
        await count_refusals(work, told[0], report)
        return told
    if isinstance(report, Captured):
        await work.captures.bring(_capture(world, lock, evidence, now))
    elif isinstance(report, Inventory):
        return await check_drift(world, work, lock, status, report, now), Heard()
    elif isinstance(report, TimeRequest):
        return status, Heard(time_nonce=report.nonce)
    elif isinstance(report, FirmwareState):
        return await note_firmware(world, work, lock, status, report), Heard(firmware=report)
    return status, Heard()


def _capture(world: Bridging, lock: Lock, evidence: bytes, now: datetime) -> Capture:
    """Keep the lock's word as it signed it: who has a card, the issuer judges by that alone."""
    return Capture(uuid7(now, world.random(10)), lock.id, sha256(evidence), evidence)


def _reached(world: Bridging, lock_id: UUID, by: Carried, report: Report, now: datetime) -> None:
    """Note the way on which the lock was heard, and that an act of its has been answered."""
    if by.via == "mqtt":
        world.carrying.heard_itself(lock_id, now)
    elif by.gateway is not None:
        world.carrying.heard_through(lock_id, by.gateway, now)
    if isinstance(report, Result):
        world.carrying.settled(UUID(bytes=report.command_id))


async def _swiftly(
    world: Bridging, lock: Lock, envelope: Envelope, evidence: bytes, by: Carried, now: datetime
) -> bool:
    """Take a result in one statement; False where the long way must look at it."""
    result = envelope.report
    if by.via == "phone" or not isinstance(result, Result):
        return False
    concluded = conclude(result)
    if concluded is None:
        return False
    said = LockStatus(
        lock.id,
        last_seen_at=now,
        boot=envelope.position.boot,
        seq=envelope.position.seq,
        bolt=BOLTS.get(result.bolt, "unknown"),
        counter=result.counter,
        connected=by.via == "mqtt",
        carried_by=by.gateway,
        carried_at=None if by.gateway is None else now,
    )
    async with world.transactions.steps() as steps:
        return await steps.conclude(said, UUID(bytes=result.command_id), concluded, evidence)


async def answer_time(world: Bridging, lock_id: UUID, nonce: bytes) -> bool:
    """Fetch a time statement from the issuer and send it down; too late, it is not sent."""
    lock = await world.lock(lock_id)
    if lock is None:
        return False
    answer = await world.requests.ask(
        "issuer", "time", {"lock_id": lock_id.hex, "nonce": nonce}, TIME_PATIENCE_S
    )
    statement = unb64url(str(answer["statement"]))
    return send_documents(world, lock, [SignedDocument(DocumentKind.TIME, statement)])


async def follow_up(world: Bridging, lock_id: UUID, heard: Heard) -> None:
    """Do what a report leaves to do towards the lock, journal and acknowledgement excepted."""
    if heard.time_nonce is not None:
        await answer_time(world, lock_id, heard.time_nonce)
    if heard.converge:
        await converge_access(world, lock_id)


def _news(status: LockStatus, envelope: Envelope, by: Carried, now: datetime) -> LockStatus:
    """Return the status with the report's position; raises RemoteError REPLAYED."""
    position = envelope.position
    if not status.is_news(position.boot, position.seq):
        raise RemoteError(Denial.REPLAYED, f"{position}")
    return replace(
        status,
        boot=position.boot,
        seq=position.seq,
        last_seen_at=now,
        connected=status.connected or by.via == "mqtt",
        carried_by=by.gateway,
        carried_at=now if by.gateway is not None else status.carried_at,
    )


async def _hello(
    work: UnitOfWork, lock: Lock, status: LockStatus, hello: Hello, evidence: bytes, now: datetime
) -> tuple[LockStatus, Heard]:
    if lock.state == "enrolling" and await work.locks.enter_service(lock.id, now):
        await work.audit.write("role:bridge", "lock_in_service", f"lock:{lock.id}")
    await settle_by_hello(work, lock.id, hello, evidence, now)
    said = said_by(hello, status, now)
    kept = status.journal_number or 0
    owed = None
    if status.journal_hash is not None and hello.oldest_unacked <= kept <= hello.journal.number:
        owed = Kept(lock, Head(kept, status.journal_hash))
    return said, Heard(acknowledge=owed, converge=True)


async def _result(
    work: UnitOfWork, lock: Lock, status: LockStatus, result: Result, evidence: bytes, now: datetime
) -> tuple[LockStatus, Heard]:
    await settle_by_result(work, lock.id, result, evidence, now)
    counter = status.counter
    if result.counter is not None:
        counter = max(result.counter, counter or 0)
    return replace(status, bolt=BOLTS.get(result.bolt, "unknown"), bolt_at=now, counter=counter), Heard()


async def _applied(
    work: UnitOfWork, lock: Lock, status: LockStatus, applied: Applied
) -> tuple[LockStatus, Heard]:
    said = replace(
        status,
        state_number=applied.state_version,
        revocation_number=applied.list_number,
        keys_number=applied.key_set_number,
        epoch=applied.epoch,
        occupied=applied.occupied,
    )
    numbers = (said.state_number, said.revocation_number, said.keys_number)
    if numbers != (status.state_number, status.revocation_number, status.keys_number) or applied.denials:
        await work.audit.write(
            "role:bridge",
            "documents_applied",
            f"lock:{lock.id}",
            state=applied.state_version,
            revocation=applied.list_number,
            keys=applied.key_set_number,
            denials=[denial.word for denial in applied.denials],
        )
    return said, Heard()
