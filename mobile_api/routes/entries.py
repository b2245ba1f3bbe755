"""Entries of owner or staff to an occupied room (L-52), and what people are told."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.allow_entry import allow_entry, end_entry, read_entries
from lockserver.app.ports import UnitOfWork
from lockserver.app.tell import read_notices, see_notice
from lockserver.domain.entry import Entry, Notice
from mobile_api.access import refresh_access
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.idempotency import Done, Idempotent
from mobile_api.schemas.grants import EntryIn, EntryOut, NoticeOut, OpenWindow
from mobile_api.schemas.people import WishIn

router = APIRouter(tags=["entries"])


def entry_out(entry: Entry, now: datetime) -> EntryOut:
    """Show an entry."""
    return EntryOut(
        id=entry.id,
        lock_id=entry.lock_id,
        kind=entry.kind,
        class_=entry.class_,
        holder_id=entry.holder_id,
        given_by=entry.given_by,
        reason=entry.reason,
        window=OpenWindow(lower=entry.lower, upper=entry.upper),
        ended_at=entry.ended_at,
        lives=entry.lives(now),
    )


@router.post(
    "/locks/{lock_id}/entries", status_code=201, response_model=EntryOut, summary="Let owner or staff in"
)
async def allow(lock_id: UUID, body: EntryIn, caller: Caller, services: Server, once: Idempotent) -> Response:
    """A consent of an adult who lives there, or an emergency that the owner declares; the others are told at once.

    It takes his phone's signature. Owner's and staff's phones get a key with `entry` at their next sync.
    """

    async def act(work: UnitOfWork) -> Done:
        now = services.clock.now()
        entry = await allow_entry(work, services.random, now, caller.holder_id, lock_id, body.wish)
        return Done(201, entry_out(entry, now), {"Location": f"/v1/locks/{lock_id}/entries"})

    return await once(caller.actor, act)


@router.get("/locks/{lock_id}/entries", summary="Who was let into this room, when and why")
async def entries(lock_id: UUID, caller: Caller, services: Server) -> list[EntryOut]:
    """For who lives there, and for the owner; of the lease that lives, newest first."""
    now = services.clock.now()
    async with services.transactions.begin() as work:
        found = await read_entries(work, now, caller.holder_id, lock_id)
    return [entry_out(one, now) for one in found]


@router.post("/entries/{entry_id}/end", response_model=EntryOut, summary="End an entry early")
async def end(entry_id: UUID, body: WishIn, caller: Caller, services: Server, once: Idempotent) -> Response:
    """A consent by any adult who lives there, an emergency by who declared it; operation 7, target the entry."""
    lock_ids: list[UUID] = []

    async def act(work: UnitOfWork) -> Done:
        now = services.clock.now()
        entry = await end_entry(work, services.random, now, caller.holder_id, entry_id, body.wish)
        lock_ids.append(entry.lock_id)
        return Done(200, entry_out(entry, now))

    answer = await once(caller.actor, act)
    await refresh_access(services, lock_ids)
    return answer


def notice_out(notice: Notice) -> NoticeOut:
    """Show a notice to whom it was told."""
    return NoticeOut(
        id=notice.id,
        kind=notice.kind,
        about=notice.about,
        detail=notice.detail,
        at=notice.at,
        seen_at=notice.seen_at,
    )


@router.get("/notices", summary="What I was told")
async def notices(caller: Caller, services: Server) -> list[NoticeOut]:
    """Newest first."""
    async with services.transactions.begin() as work:
        return [notice_out(one) for one in await read_notices(work, caller.holder_id)]


@router.post("/notices/{notice_id}/seen", response_model=NoticeOut, summary="I have seen it")
async def seen(notice_id: UUID, caller: Caller, services: Server, once: Idempotent) -> Response:
    """The first time counts."""

    async def act(work: UnitOfWork) -> Done:
        found = await see_notice(work, services.clock.now(), caller.holder_id, notice_id)
        return Done(200, notice_out(found))

    return await once(caller.actor, act)
