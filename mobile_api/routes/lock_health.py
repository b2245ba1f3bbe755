"""What a lock owes, what was found at it, and how it is."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.ask_inventory import request_inventory
from lockserver.app.find_standing import find_standing
from lockserver.app.name_risks import house_risks
from lockserver.app.ports import UnitOfWork
from lockserver.app.read_health import Health, read_health
from lockserver.app.read_lock import know_lock
from lockserver.app.report_debt import debt_of
from lockserver.domain.debt import Debt, ways_to_pay
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.idempotency import Done, Idempotent
from mobile_api.schemas.pins import (
    AskedOut,
    BatteryOut,
    BoltOut,
    DebtLineOut,
    DebtOut,
    FindingOut,
    HealthOut,
    RefusedOut,
    RiskOut,
    RisksOut,
)

router = APIRouter(tags=["locks"])

FINDINGS = 100
"""Newest findings of one answer; open ones come first."""


@router.get("/locks/{lock_id}/debt", summary="What could still open this lock although it must not")
async def debt(lock_id: UUID, caller: Caller, services: Server) -> DebtOut:
    """Counts and ends, for its landlord, his staff and who lives there; nobody's movements."""
    now = services.clock.now()
    async with services.transactions.begin() as work:
        known = await know_lock(work, caller.holder_id, lock_id, now)
        debts = await debt_of(work, known.lock, now)
    return DebtOut(
        owed=len(debts),
        until=max((one.until for one in debts), default=None),
        lines=list(_lines(debts)),
        pay=ways_to_pay(debts),
    )


def _lines(debts: Iterable[Debt]) -> Iterable[DebtLineOut]:
    def like(one: Debt) -> tuple[str, str]:
        return one.kind, one.class_

    for (kind, class_), same in groupby(sorted(debts, key=like), like):
        alike = list(same)
        yield DebtLineOut.model_validate(
            {"kind": kind, "class": class_, "count": len(alike), "until": max(one.until for one in alike)}
        )


@router.post(
    "/locks/{lock_id}/inventory",
    status_code=202,
    response_model=AskedOut,
    summary="Ask what the lock really holds",
)
async def inventory(lock_id: UUID, caller: Caller, services: Server, once: Idempotent) -> Response:
    """For its landlord and who lives there. A lock without a connection is asked when it is back, daily.

    A question wakes the lock and costs its battery: a few in ten minutes, whoever asks.
    """

    async def act(work: UnitOfWork) -> Done:
        now = services.clock.now()
        standing = await find_standing(work, caller.holder_id, lock_id, now)
        if not standing.owns:
            standing.grant("tenant", "staff", "owner")
        services.code_limits.try_once(f"inventory:{lock_id}", now)
        await request_inventory(work, lock_id)
        return Done(202, AskedOut(asked=True))

    return await once(caller.actor, act)


@router.get("/locks/{lock_id}/findings", summary="What was found otherwise than it should be")
async def findings(lock_id: UUID, caller: Caller, services: Server) -> list[FindingOut]:
    """Open ones first. A finding is cleared when an inventory does not show it any more."""
    async with services.transactions.begin() as work:
        await know_lock(work, caller.holder_id, lock_id, services.clock.now())
        found = await work.findings.newest(lock_id, FINDINGS)
    return [
        FindingOut.model_validate(
            {
                "id": one.id,
                "kind": one.kind,
                "detail": one.detail,
                "found_at": one.found_at,
                "seen_again_at": one.seen_again_at,
                "cleared_at": one.cleared_at,
            }
        )
        for one in found
    ]


@router.get("/locks/{lock_id}/health", summary="How a lock is, with age and doubt")
async def health(lock_id: UUID, caller: Caller, services: Server) -> HealthOut:
    """`unknown` where nothing certain is known, and never an old value as a fresh one."""
    now = services.clock.now()
    async with services.transactions.begin() as work:
        found = await read_health(work, caller.holder_id, lock_id, now)
    return _health_out(found, now)


def _health_out(found: Health, now: datetime) -> HealthOut:
    said = found.status
    battery = BatteryOut(
        percent=found.battery.percent,
        read_at=found.battery.read_at,
        age_s=_age(found.battery.read_at, now),
        doubt=found.battery.doubt,
    )
    return HealthOut(
        connection=found.connection,
        last_seen_at=said.last_seen_at,
        battery=battery,
        bolt=None if found.bolt is None else BoltOut(value=found.bolt.value, age_s=_age(found.bolt.at, now)),
        door=found.door,
        tampered=said.tampered,
        jams=said.jams,
        clock_offset_s=said.clock_offset,
        clock_attested=said.clock_attested,
        firmware=said.firmware,
        firmware_version=said.firmware_version,
        refusing=[RefusedOut(kind=one.kind, number=one.number, denial=one.denial) for one in found.refused],
        unconfirmed=found.unconfirmed,
        findings=found.findings,
        inventory_at=said.inventory_at,
    )


def _age(at: datetime | None, now: datetime) -> int | None:
    return None if at is None else max(0, int((now - at).total_seconds()))


@router.get("/houses/{house_id}/risks", summary="Tenants who may soon stand outside")
async def risks(house_id: UUID, caller: Caller, services: Server) -> RisksOut:
    """For the landlord: how many, and by masked number whom to ring up. Each of them was told."""
    async with services.transactions.begin() as work:
        found = await house_risks(work, caller.holder_id, house_id, services.clock.now())
    holders = [RiskOut(phone_mask=mask, door=risk.door_name, until=risk.until) for risk, mask in found]
    return RisksOut(count=len(holders), holders=holders)
