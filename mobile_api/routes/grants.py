"""Grants that one person gives another: named, listed, frozen, thawed, taken back, edited."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.change_grant import (
    Changed,
    edit_grant,
    freeze_grant,
    read_grant,
    revoke_grant,
    unfreeze_grant,
)
from lockserver.app.give_grants import give_grants
from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_for_grant import above
from lockserver.app.spend_owners_wish import Wished
from lockserver.domain.grant import Grant, verbs_of
from mobile_api.access import refresh_access
from mobile_api.auth.session import Caller
from mobile_api.deps import Sent, Server
from mobile_api.idempotency import Done, Idempotent, Once
from mobile_api.schemas.grants import GrantEditIn, GrantOut, GrantsIn, OpenWindow
from mobile_api.schemas.people import WishIn
from mobile_api.services import Services

router = APIRouter(prefix="/grants", tags=["grants"])


def grant_out(grant: Grant, chain: Sequence[Grant], reader: UUID) -> GrantOut:
    """Show a grant to its holder or to who stands above it."""
    kept = grant.schedule
    return GrantOut(
        id=grant.id,
        door_id=grant.door_id,
        holder_id=grant.holder_id,
        class_=grant.class_,
        role="holder" if grant.holder_id == reader else "grantor",
        window=OpenWindow(lower=grant.lower, upper=grant.upper),
        schedule=None if kept is None else {"zone": kept.get("zone"), "weekly": kept.get("weekly")},
        capabilities=verbs_of(grant.capabilities),
        uses=1 if grant.uses else None,
        state=grant.state,
        held_up=any(one.state != "active" for one in chain),
        parent_id=grant.parent_id,
        bundle_id=grant.bundle_id,
        guest_key=grant.guest_key,
        frozen_at=grant.frozen_at,
        revoked_at=grant.revoked_at,
    )


async def _shown(work: UnitOfWork, grant: Grant, reader: UUID) -> GrantOut:
    return grant_out(grant, await above(work, grant), reader)


@router.post(
    "", status_code=201, response_model=list[GrantOut], summary="Let a guest in, or name staff with keys"
)
async def give(body: GrantsIn, caller: Caller, services: Server, once: Idempotent, sent: Sent) -> Response:
    """One grant a door, all or none, inside your own. A room's guests are named by an adult who lives there.

    It takes the signature of the phone by which you hold your own grant, under all of this body.
    """

    async def act(work: UnitOfWork) -> Done:
        wished = Wished(body.wish, body.salt, sent)
        given = await give_grants(work, services.random, services.clock.now(), caller.holder_id, wished)
        return Done(201, [await _shown(work, one, caller.holder_id) for one in given])

    return await once(caller.actor, act)


@router.get("", summary="My grants, and those given by me")
async def grants(caller: Caller, services: Server) -> list[GrantOut]:
    """Whose window has not closed, newest first; also those given by whom I gave one."""
    async with services.transactions.begin() as work:
        found = await work.grants.shown_to(caller.holder_id, services.clock.now())
        return [await _shown(work, one, caller.holder_id) for one in found]


@router.get("/{grant_id}", summary="One grant")
async def grant(grant_id: UUID, caller: Caller, services: Server) -> GrantOut:
    """For its holder, and for who gave it."""
    async with services.transactions.begin() as work:
        return await _shown(work, await read_grant(work, caller.holder_id, grant_id), caller.holder_id)


Change = Callable[[UnitOfWork], Awaitable[Changed]]


async def _change(services: Services, caller: Caller, once: Once, change: Change) -> Response:
    """Carry out a change once, then have the locks' lists follow."""
    lock_ids: list[UUID] = []

    async def act(work: UnitOfWork) -> Done:
        changed = await change(work)
        lock_ids.extend(changed.lock_ids)
        return Done(200, await _shown(work, changed.grant, caller.holder_id))

    answer = await once(caller.actor, act)
    await refresh_access(services, lock_ids)
    return answer


@router.patch("/{grant_id}", response_model=GrantOut, summary="Change what is mentioned, keep the rest")
async def edit(
    grant_id: UUID, body: GrantEditIn, caller: Caller, services: Server, once: Idempotent, sent: Sent
) -> Response:
    """Narrower at once; wider only with `widen: true`, and inside your own. It takes your phone's signature."""
    wished = Wished(body.wish, body.salt, sent)

    async def change(work: UnitOfWork) -> Changed:
        now = services.clock.now()
        return await edit_grant(work, services.random, now, caller.holder_id, grant_id, wished)

    return await _change(services, caller, once, change)


@router.post("/{grant_id}/freeze", response_model=GrantOut, summary="Freeze a grant")
async def freeze(
    grant_id: UUID, body: WishIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """What hangs under it stands still too. A tenant's is frozen by himself, and by nobody else."""

    async def change(work: UnitOfWork) -> Changed:
        now = services.clock.now()
        return await freeze_grant(work, services.random, now, caller.holder_id, grant_id, body.wish)

    return await _change(services, caller, once, change)


@router.post("/{grant_id}/unfreeze", response_model=GrantOut, summary="Thaw a grant")
async def unfreeze(
    grant_id: UUID, body: WishIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """By who froze it; a new credential is cut at the phone's next sync."""

    async def change(work: UnitOfWork) -> Changed:
        now = services.clock.now()
        return await unfreeze_grant(work, services.random, now, caller.holder_id, grant_id, body.wish)

    return await _change(services, caller, once, change)


@router.post("/{grant_id}/revoke", response_model=GrantOut, summary="Take a grant away for good")
async def revoke(
    grant_id: UUID, body: WishIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """With all that hangs under it. A lease's grants end with the lease."""

    async def change(work: UnitOfWork) -> Changed:
        now = services.clock.now()
        return await revoke_grant(work, services.random, now, caller.holder_id, grant_id, body.wish)

    return await _change(services, caller, once, change)
