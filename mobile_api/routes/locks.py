"""Locks: claimed by who stands before them, looked at by who has to do with them."""

from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.keep_house import own_door
from lockserver.app.ports import Answer
from lockserver.app.read_lock import Known, Shown, know_lock, read_journal
from lockserver.app.unlock_remotely import Asked, unlock_remotely
from lockserver.domain.command import Command, CommandKind
from lockserver.domain.errors import ClaimRefusedError, NotFoundError
from lockserver.domain.ids import new_id
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import How, What
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.idempotency import Done, Idempotent, Once
from mobile_api.routes.commands import command_out, waited
from mobile_api.schemas.locks import (
    ClaimIn,
    ClaimOut,
    CommandOut,
    EnrolledIn,
    EntryOut,
    JournalOut,
    LockOut,
    ReleaseIn,
    ReleaseOut,
    UnlockIn,
)

router = APIRouter(prefix="/locks", tags=["locks"])

PATIENCE_S = 10.0
"""For the issuer and the bridge; the lock itself waits 120 s after its button."""


def lock_out(known: Known, *, pending: bool) -> LockOut:
    """Show a lock."""
    lock, said = known.lock, known.status
    return LockOut(
        id=lock.id,
        door_id=lock.door_id,
        serial=lock.serial,
        state=lock.state,
        last_seen_at=said.last_seen_at,
        bolt=known.bolt,
        clock_offset_s=said.clock_offset,
        clock_attested=said.clock_attested,
        epoch=said.epoch,
        battery=said.battery,
        battery_at=said.battery_at,
        documents_pending=pending,
    )


def entry_out(shown: Shown) -> EntryOut:
    """Show a journal entry."""
    line = shown.line
    return EntryOut.model_validate(
        {
            "what": What(line.what).name.lower(),
            "how": How(line.how).name.lower(),
            "whose": shown.whose,
            "at": line.at,
            "uncertainty_s": line.uncertainty,
            "denial": None if line.denial is None else Denial(line.denial).word,
            "count": line.count,
            "received_at": line.received_at,
        }
    )


@router.post("", status_code=201, response_model=ClaimOut, summary="Claim a lock for a door")
async def claim(body: ClaimIn, caller: Caller, services: Server, once: Idempotent) -> Response:
    """The lock's button proves you and your phone; its claim code lets the lock know us."""
    async with services.transactions.begin() as work:
        await own_door(work, caller.holder_id, body.door_id)

    async def ask() -> Done:
        made = await services.requests.ask(
            "issuer",
            "enrol",
            {
                "holder_id": caller.holder_id,
                "door_id": body.door_id,
                "offer": body.offer,
                "claim_code": body.claim_code,
            },
            PATIENCE_S,
        )
        out = ClaimOut.model_validate(made)
        return Done(201, out, {"Location": f"/v1/locks/{out.lock_id}"})

    return await once.after(caller.actor, ask)


@router.post("/{lock_id}/enrolled", summary="Bring the lock's first report")
async def enrolled(lock_id: UUID, body: EnrolledIn, caller: Caller, services: Server) -> LockOut:
    """The lock is in service once it says so itself. Repeating it does no harm."""
    async with services.transactions.begin() as work:
        lock = await work.locks.get(lock_id)
        if lock is None:
            raise NotFoundError
        await own_door(work, caller.holder_id, lock.door_id)
    answer = await services.requests.ask(
        "bridge", "report", {"lock_id": lock_id, "report": body.report}, PATIENCE_S
    )
    known = await _known(services, caller, lock_id)
    if known.state != "active" and not answer.get("taken"):
        raise ClaimRefusedError
    return known


@router.post("/{lock_id}/release", status_code=202, response_model=ReleaseOut, summary="Let a lock go")
async def release(
    lock_id: UUID, body: ReleaseIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """`tenancy_lives` while somebody lives behind the door; an emergency gives its reason, and they are told."""
    async with services.transactions.begin() as work:
        found = await work.locks.get(lock_id)
        if found is None:
            raise NotFoundError
        await own_door(work, caller.holder_id, found.door_id)

    async def ask() -> Done:
        asked = {"holder_id": caller.holder_id, "lock_id": lock_id, "wish": body.wish}
        made = await services.requests.ask("issuer", "release", asked, PATIENCE_S)
        return Done(202, ReleaseOut.model_validate(made))

    return await once.after(caller.actor, ask)


@router.get("/{lock_id}", summary="A lock, and what it last said")
async def lock(lock_id: UUID, caller: Caller, services: Server) -> LockOut:
    """For the landlord, his staff, and who holds a grant at its door."""
    return await _known(services, caller, lock_id)


@router.get("/{lock_id}/journal", summary="Your part of a door's journal")
async def journal(lock_id: UUID, caller: Caller, services: Server) -> JournalOut:
    """Your own entries, those of non-residents, and the lock's own; never another resident's."""
    async with services.transactions.begin() as work:
        read = await read_journal(work, caller.holder_id, lock_id, services.clock.now())
    return JournalOut(entries=[entry_out(one) for one in read.entries], complete=read.complete)


@router.post(
    "/{lock_id}/unlock",
    response_model=CommandOut,
    responses={202: {"model": CommandOut, "description": "Not settled yet: see Location."}},
    summary="Open now, by your phone's own signature",
)
async def unlock(
    lock_id: UUID, body: UnlockIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """200 `done` · 202 not settled, `Location` · 409 `command_refused` or `command_expired`.

    A session alone opens nothing: the wish is signed by the holder's phone for this lock, now.
    """
    return await _ask(services, caller, once, lock_id, body.wish, "unlock")


@router.post(
    "/{lock_id}/lock",
    response_model=CommandOut,
    responses={202: {"model": CommandOut, "description": "Not settled yet: see Location."}},
    summary="Lock now, by your phone's own signature",
)
async def lock_now(
    lock_id: UUID, body: UnlockIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """As `unlock`; the wish is for operation 2."""
    return await _ask(services, caller, once, lock_id, body.wish, "lock")


@router.post(
    "/{lock_id}/hold-open",
    response_model=CommandOut,
    responses={202: {"model": CommandOut, "description": "Not settled yet: see Location."}},
    summary="Hold open from now on, by your phone's own signature",
)
async def hold_open(
    lock_id: UUID, body: UnlockIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """As `unlock`; the wish is for operation 3. It ends by locking."""
    return await _ask(services, caller, once, lock_id, body.wish, "hold_open")


async def _ask(
    services: Server, caller: Caller, once: Once, lock_id: UUID, wish: bytes, kind: CommandKind
) -> Response:
    """Have the lock act, and wait for its word."""
    command_id = new_id(services.clock, services.random)
    actor = caller.actor
    asked = Asked(command_id, caller.id, caller.holder_id, lock_id, wish, once.claim(actor), kind)

    def answer(command: Command) -> Answer:
        location = {"Location": f"/v1/commands/{command.id}"}
        return once.kept(actor, Done(202, command_out(command), location))

    # Watched before it is written: whatever becomes of it, the hint cannot be missed.
    async with services.changes.watch("command_settled", str(command_id)) as hints:
        first = await unlock_remotely(services.transactions, services.clock, asked, answer)
        if first is None:
            return await waited(services, hints, command_id, news=True)
    earlier = CommandOut.model_validate_json(once.body_of(actor, first)).id
    async with services.changes.watch("command_settled", str(earlier)) as hints:
        return await waited(services, hints, earlier, news=False)


async def _known(services: Server, caller: Caller, lock_id: UUID) -> LockOut:
    async with services.transactions.begin() as work:
        known = await know_lock(work, caller.holder_id, lock_id, services.clock.now())
        desired = await work.lock_documents.all_latest(lock_id)
    held = {
        "revocation": known.status.revocation_number,
        "state": known.status.state_number,
        "keys": known.status.keys_number,
    }
    pending = any(one.number > (held.get(one.kind) or -1) for one in desired)
    return lock_out(known, pending=pending)
