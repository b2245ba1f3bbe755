"""Registrations and the tenant's ledger."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from lockserver.app.ports import UnitOfWork
from lockserver.domain.errors import NotFoundError
from lockserver.domain.registration import Registration
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.schemas.cases import (
    LandlordRegistrationOut,
    LedgerLineOut,
    RegistrationOut,
    RegistrationsOut,
    RegistrationState,
)
from mobile_api.waiting import Wait, wait_until

router = APIRouter(tags=["registrations"])
Seen = Annotated[RegistrationState, Query(description="The state you know: `wait` ends when it is another.")]


def _mine(one: Registration) -> RegistrationOut:
    return RegistrationOut(
        id=one.id,
        duty_id=one.duty_id,
        tenancy_id=one.tenancy_id,
        number_mask=one.number_mask,
        version=one.version,
        state=one.state,
        return_field=one.return_field,
        return_code=one.return_code,
        receipt_no=one.receipt_no,
        voucher_no=one.voucher_no,
        submitted_at=one.submitted_at,
        receipted_at=one.receipted_at,
        accepted_at=one.accepted_at,
    )


async def _of_tenant(work: UnitOfWork, one: Registration) -> LandlordRegistrationOut:
    holder = await work.holders.one(one.holder_id)
    account = await work.accounts.get(holder.account_id) if holder.account_id else None
    return LandlordRegistrationOut(
        id=one.id,
        tenancy_id=one.tenancy_id,
        phone_mask=account.phone_mask if account else "",
        number_mask=one.number_mask,
        state=one.state,
        voucher_no=one.voucher_no,
    )


@router.get("/registrations", summary="My registrations, and masked those of my tenants")
async def registrations(caller: Caller, services: Server) -> RegistrationsOut:
    """Newest first."""
    async with services.transactions.begin() as work:
        mine = await work.filings.of_holder(caller.holder_id)
        theirs = await work.filings.of_owner(caller.holder_id)
        return RegistrationsOut(
            mine=[_mine(one) for one in mine],
            of_my_tenants=[await _of_tenant(work, one) for one in theirs],
        )


@router.get("/registrations/{registration_id}", summary="One registration; `wait` for its receipt")
async def registration(
    registration_id: UUID,
    caller: Caller,
    services: Server,
    wait: Wait = 0,
    seen: Seen = "submitted",
) -> RegistrationOut | LandlordRegistrationOut:
    """In full for its tenant, masked for the landlord of the house."""

    async def look() -> RegistrationOut | LandlordRegistrationOut:
        async with services.transactions.alone() as work:
            found = await work.filings.get(registration_id)
            if found is None:
                raise NotFoundError
            if found.holder_id == caller.holder_id:
                return _mine(found)
            tenancy = await work.tenancies.one(found.tenancy_id)
            door = await work.doors.one(tenancy.door_id)
            house = await work.houses.one(door.house_id)
            if house.owner_holder_id != caller.holder_id:
                raise NotFoundError
            return await _of_tenant(work, found)

    return await wait_until(
        services,
        "registration_changed",
        str(registration_id),
        wait,
        look,
        lambda view: view.state != seen,
    )


@router.get("/ledger", summary="Which of my fields went to whom, when, on what ground")
async def ledger(caller: Caller, services: Server) -> list[LedgerLineOut]:
    """Newest first; names and salted digests, so that it outlives the data."""
    async with services.transactions.begin() as work:
        return [
            LedgerLineOut(
                id=line.id,
                at=line.at,
                to_whom=line.to_whom,
                ground=line.ground,
                registration_id=line.registration_id,
                field_names=line.field_names,
                digests=line.digests,
            )
            for line in await work.ledger.of_holder(caller.holder_id)
        ]
