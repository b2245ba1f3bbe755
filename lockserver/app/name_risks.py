"""Who would soon stand before his own door: no refresh reached his phone, and nothing else lets him in (L-54).

A key lives 72 h and is renewed at half its life, so a phone that sleeps, or an outage of ours, shows 36 h before
it hurts. Whoever has a PIN, card or finger of his own in the lock is not at risk.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.keep_house import own_house
from lockserver.app.ports import Random, UnitOfWork
from lockserver.app.tell import tell
from lockserver.domain.risk import Risk
from lockserver.domain.slot import Fallback, fallback_of
from lockserver.domain.tenancy import Tenancy

AHEAD: Final = timedelta(hours=36)
"""Half of a tenant's key: a phone that synced when it should has more left than this."""


async def holders_at_risk(work: UnitOfWork, now: datetime) -> Sequence[Risk]:
    """Return every living tenant whose newest key to his room dies within 36 h, past its half, without a fallback."""
    found = await work.grants.fading(now, now + AHEAD)
    slots = await work.slots.of_grants([risk.grant_id for risk in found])
    return [
        risk
        for risk in found
        if fallback_of([slot for slot in slots if slot.grant_id == risk.grant_id]) != "set"
    ]


async def name_risks(work: UnitOfWork, random: Random, now: datetime) -> int:
    """Tell each of them once for each key, and write the alarm (a job of the role jobs); return how many are new."""
    at_risk = await holders_at_risk(work, now)
    fresh = [risk for risk in at_risk if not await work.notices.told(risk.credential_id)]
    for risk in fresh:
        detail = {"until": risk.until.isoformat(), "door_id": str(risk.door_id), "do": "sync_or_set_pin"}
        await tell(work, random, now, [risk.holder_id], "access_at_risk", risk.credential_id, detail)
    if fresh:
        await work.audit.write(
            "role:jobs", "holders_at_risk", "site", count=len(at_risk), new=len(fresh),
            first=min(risk.until for risk in fresh).isoformat(),
        )  # fmt: skip
    return len(fresh)


async def house_risks(
    work: UnitOfWork, landlord_id: UUID, house_id: UUID, now: datetime
) -> Sequence[tuple[Risk, str | None]]:
    """Return those at risk in a landlord's house, with their masked numbers; raises NotFoundError."""
    house = await own_house(work, landlord_id, house_id)
    found = []
    for risk in await holders_at_risk(work, now):
        if risk.house_id == house.id:
            holder = await work.holders.one(risk.holder_id)
            account = None if holder.account_id is None else await work.accounts.get(holder.account_id)
            found.append((risk, None if account is None else account.phone_mask))
    return found


async def fallback_at(work: UnitOfWork, holder_id: UUID, tenancy: Tenancy, now: datetime) -> Fallback | None:
    """Return how an occupant gets into his room without a refresh; None for who has no key to it."""
    mine = [
        grant.id
        for grant in await work.grants.of_holder(holder_id, now)
        if grant.tenancy_id == tenancy.id and grant.door_id == tenancy.door_id
    ]
    return fallback_of(await work.slots.of_grants(mine)) if mine else None
