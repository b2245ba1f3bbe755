"""Leases: signed by a landlord, ended early only by who lives there; and the invites they make."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Response

from lockserver.app.accept_invite import Invited, accept_invite, read_invite
from lockserver.app.end_tenancy import end_tenancy_early, find_tenancy
from lockserver.app.name_risks import fallback_at
from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_tenancy import Lease, NewOccupant, Signed, sign_tenancy
from lockserver.app.spend_owners_wish import Wished
from lockserver.domain.duties import Duty
from lockserver.domain.errors import WindowInvalidError
from lockserver.domain.tenancy import Tenancy
from lockserver.domain.times import Window
from mobile_api.access import refresh_access
from mobile_api.auth.session import Caller
from mobile_api.deps import Sent, Server
from mobile_api.idempotency import Done, Idempotent
from mobile_api.schemas.houses import (
    DutyOut,
    EndOut,
    InvitedOut,
    InviteOut,
    OccupantIn,
    SignedOut,
    TenancyIn,
    TenancyOut,
)
from mobile_api.schemas.parts import WindowBody
from mobile_api.schemas.people import WishIn

router = APIRouter(tags=["tenancies"])
Token = Annotated[str, Path(min_length=20, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


def duty_out(duty: Duty, now: datetime) -> DutyOut:
    """Show a duty with how it stands now."""
    standing: Literal["done", "due", "late"] = "due" if now < duty.due_at else "late"
    if duty.requirement == "exempt" or duty.state == "fulfilled":
        standing = "done"
    return DutyOut(
        id=duty.id,
        holder_id=duty.holder_id,
        kind=duty.kind,
        requirement=duty.requirement,
        exempt_code=duty.exempt_code,
        rule_id=duty.rule_id,
        rule_version=duty.rule_version,
        due_at=duty.due_at,
        provisional=duty.provisional,
        state=duty.state,
        standing=standing,
    )


def _tenancy_out(tenancy: Tenancy, duties: Sequence[Duty], now: datetime, *, landlord: bool) -> TenancyOut:
    return TenancyOut(
        id=tenancy.id,
        door_id=tenancy.door_id,
        window=WindowBody(lower=tenancy.lower, upper=tenancy.upper),
        epoch=tenancy.epoch,
        state=tenancy.state,
        key_policy=tenancy.key_policy,
        ended_at=tenancy.ended_at,
        end_reason=tenancy.end_reason,
        role="landlord" if landlord else "tenant",
        duties=[duty_out(duty, now) for duty in duties],
    )


def _signed_out(signed: Signed, now: datetime, public_url: str) -> SignedOut:
    shown = _tenancy_out(signed.tenancy, signed.duties, now, landlord=True)
    invites = [
        InviteOut(
            holder_id=invite.holder_id,
            phone_mask=invite.phone_mask,
            token=invite.token,
            link=f"{public_url}/i/{invite.token}",
        )
        for invite in signed.invites
    ]
    return SignedOut(**dict(shown), invites=invites)


def _lease(body: TenancyIn, sent: bytes) -> Lease:
    try:
        window = Window(body.window.lower, body.window.upper)
    except ValueError:
        raise WindowInvalidError from None
    occupants = [
        NewOccupant(one.phone, one.is_minor, one.guardian_phone)
        if isinstance(one, OccupantIn)
        else NewOccupant(one)
        for one in body.tenants
    ]
    return Lease(body.door_id, window, occupants, body.key_policy, Wished(body.wish, body.salt, sent))


@router.post("/tenancies", status_code=201, response_model=SignedOut, summary="Sign a lease of a room")
async def sign(body: TenancyIn, caller: Caller, services: Server, once: Idempotent, sent: Sent) -> Response:
    """One transaction writes the lease, its grants, one duty per occupant with its clock, the links.

    It takes the signature of an active phone of the landlord's, under all of this body.
    """
    lock_ids: list[UUID] = []

    async def act(work: UnitOfWork) -> Done:
        now = services.clock.now()
        signed = await sign_tenancy(
            work, services.phone_index, services.random, now, caller.holder_id, _lease(body, sent)
        )
        lock = await work.locks.at_door(body.door_id)
        lock_ids.extend([] if lock is None else [lock.id])
        out = _signed_out(signed, now, services.public_url)
        return Done(201, out, {"Location": f"/v1/tenancies/{signed.tenancy.id}"})

    answer = await once(caller.actor, act)
    await refresh_access(services, lock_ids)
    return answer


async def _view(work: UnitOfWork, tenancy: Tenancy, caller: UUID, now: datetime) -> TenancyOut:
    seen, landlord = await find_tenancy(work, caller, tenancy.id)
    duties = [duty for duty in await work.duties.of_tenancy(seen.id) if landlord or duty.holder_id == caller]
    out = _tenancy_out(seen, duties, now, landlord=landlord)
    return (
        out if landlord else out.model_copy(update={"fallback": await fallback_at(work, caller, seen, now)})
    )


@router.get("/tenancies", summary="Leases of my houses, and those I live in")
async def tenancies(caller: Caller, services: Server) -> list[TenancyOut]:
    """Newest first."""
    async with services.transactions.begin() as work:
        found = {one.id: one for one in await work.tenancies.of_holder(caller.holder_id)}
        for house in await work.houses.of_owner(caller.holder_id):
            found |= {one.id: one for one in await work.tenancies.of_house(house.id)}
        now = services.clock.now()
        ordered = sorted(found.values(), key=lambda one: one.id, reverse=True)
        return [await _view(work, one, caller.holder_id, now) for one in ordered]


@router.get("/tenancies/{tenancy_id}", summary="One lease, its duties and clocks")
async def tenancy(tenancy_id: UUID, caller: Caller, services: Server) -> TenancyOut:
    """For its landlord and who lives there."""
    async with services.transactions.begin() as work:
        found, _ = await find_tenancy(work, caller.holder_id, tenancy_id)
        return await _view(work, found, caller.holder_id, services.clock.now())


@router.post("/tenancies/{tenancy_id}/end", response_model=EndOut, summary="Wish the lease ended")
async def end(tenancy_id: UUID, body: WishIn, caller: Caller, services: Server, once: Idempotent) -> Response:
    """Only who lives there can, with his phone's signature; with several adults, all of them."""
    lock_ids: list[UUID] = []

    async def act(work: UnitOfWork) -> Done:
        ending = await end_tenancy_early(
            work, services.random, services.clock.now(), caller.holder_id, tenancy_id, body.wish
        )
        out = EndOut(
            id=tenancy_id,
            state=ending.tenancy.state,
            ended_at=ending.tenancy.ended_at,
            awaited=ending.awaited,
        )
        lock_ids.extend(ending.lock_ids)
        return Done(200 if ending.awaited == 0 else 202, out)

    answer = await once(caller.actor, act)
    await refresh_access(services, lock_ids)
    return answer


def _invited_out(invited: Invited, now: datetime) -> InvitedOut:
    return InvitedOut(
        house=invited.house.name,
        door=invited.door.name,
        tenancy_id=invited.tenancy.id,
        window=WindowBody(lower=invited.tenancy.lower, upper=invited.tenancy.upper),
        accepted=invited.occupant.invite_accepted_at is not None,
        duty=duty_out(invited.duty, now),
    )


@router.get("/invites/{token}", summary="What this link is about")
async def invite(token: Token, caller: Caller, services: Server) -> InvitedOut:
    """Opens only in a session of the number it was made out to."""
    async with services.transactions.begin() as work:
        found = await read_invite(work, caller.holder_id, token)
        return _invited_out(found, services.clock.now())


@router.post("/invites/{token}/accept", response_model=InvitedOut, summary="I have seen my duty")
async def accept(token: Token, caller: Caller, services: Server, once: Idempotent) -> Response:
    """The duty exists whether or not this is ever called."""

    async def act(work: UnitOfWork) -> Done:
        now = services.clock.now()
        found = await accept_invite(work, now, caller.holder_id, token)
        return Done(200, _invited_out(found, now))

    return await once(caller.actor, act)
