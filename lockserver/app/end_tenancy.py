"""End a lease: by its window, or early by the wish of the people who live there; never by a landlord.

One transaction ends the lease, its grants, and writes what the law asks of the leaving (L-45).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.ports import Outgoing, Random, UnitOfWork
from lockserver.app.spend_wish import spend_wish
from lockserver.domain import statutes
from lockserver.domain.canonical import dumps
from lockserver.domain.duties import Duty
from lockserver.domain.errors import NotFoundError
from lockserver.domain.ids import uuid7
from lockserver.domain.registration import (
    DEPARTURE_GROUND,
    PROVINCE,
    LedgerEntry,
    Registration,
    departure_body,
)
from lockserver.domain.tenancy import EndReason, Tenancy
from lockserver.protocol.curve import private_key
from lockserver.protocol.sealed import Box, box_info, seal
from lockserver.protocol.wish import WishOperation

WISH_STANDS = timedelta(days=14)
"""How long one adult's wish waits for the others'; then it is void, and he may wish again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of the wish: `awaited` adults still have to wish it, or the lease has ended.

    `lock_ids`: locks whose revocation list must now name the tenancy's credentials.
    """

    tenancy: Tenancy
    awaited: int
    lock_ids: Sequence[UUID]


async def end_tenancy_early(
    work: UnitOfWork, random: Random, now: datetime, holder_id: UUID, tenancy_id: UUID, wish: bytes
) -> Ending:
    """Take one occupant's wish; the lease ends when every adult who lives there has wished it.

    Nobody can end another's way in: not the landlord, and not a co-tenant alone.
    Raises NotFoundError, TenancyEndedError, Wish…Error.
    """
    occupants = await work.tenancies.occupants(tenancy_id)
    if holder_id not in {one.holder_id for one in occupants if not one.is_minor}:
        raise NotFoundError
    tenancy = await work.tenancies.lock(tenancy_id)
    ended = tenancy.ended(now, "early_tenant", holder_id)
    # By a phone that passed identity for this lease: one that was proved elsewhere ends nothing here.
    await spend_wish(work, now, holder_id, wish, WishOperation.END_TENANCY, tenancy_id, proved_for=tenancy_id)
    since = now - WISH_STANDS
    wished = set(await work.wishes.wishers(WishOperation.END_TENANCY.name.lower(), tenancy_id, since))
    adults = {one.holder_id for one in occupants if not one.is_minor}
    await work.audit.write(f"holder:{holder_id}", "wish_end_tenancy", f"tenancy:{tenancy_id}")
    if adults - wished:
        return Ending(tenancy, len(adults - wished), ())
    return await _close(work, random, now, ended, f"holder:{holder_id}")


async def end_over_tenancies(work: UnitOfWork, random: Random, now: datetime) -> Sequence[Ending]:
    """End every lease whose window has closed (a job of the role jobs; a hundred at a time)."""
    endings = []
    for seen in await work.tenancies.over_at(now):
        tenancy = await work.tenancies.lock(seen.id)
        if tenancy.state == "signed":
            ended = tenancy.ended(now, "window", None)
            endings.append(await _close(work, random, now, ended, "role:jobs"))
    return endings


async def _close(work: UnitOfWork, random: Random, now: datetime, ended: Tenancy, actor: str) -> Ending:
    await work.tenancies.save(ended)
    lock_ids: set[UUID] = set()
    for grant in await work.grants.of_tenancy(ended.id):
        if grant.state != "revoked":
            await work.grants.save(grant.revoked(now))
        lock = await work.locks.at_door(grant.door_id)
        if lock is not None:
            lock_ids.add(lock.id)
    for registration in await work.filings.of_tenancy(ended.id):
        if registration.state != "withdrawn":  # that one was filed in error: nobody arrived
            await _report_departure(work, random, now, ended, registration)
    reason: EndReason | None = ended.end_reason
    await work.audit.write(actor, "end_tenancy", f"tenancy:{ended.id}", reason=str(reason))
    for lock_id in lock_ids:
        await work.notify("lock_state", lock_id.hex)
    return Ending(ended, 0, sorted(lock_ids))


async def _report_departure(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    tenancy: Tenancy,
    registration: Registration,
) -> None:
    """Write the duty and its filing, sealed to the relay; it holds no personal field."""
    clock = statutes.departure(now)
    known = registration.state == "departed"  # an officer deregistered him before we could
    await work.duties.add(
        Duty(
            id=uuid7(now, random(10)),
            tenancy_id=tenancy.id,
            holder_id=registration.holder_id,
            kind="departure",
            requirement="required",
            rule_id=clock.rule_id,
            rule_version=clock.rule_version,
            due_at=clock.due_at,
            provisional=clock.provisional,
            state="fulfilled" if known else "filed",
            fulfilled_at=now if known else None,
        )
    )
    if known:
        return
    version = await work.outbox.next_seq(registration.client_no)
    body = dumps(
        departure_body(
            registration.client_no,
            version,
            random(16).hex(),
            now,
            early=tenancy.end_reason == "early_tenant",
        )
    )
    relay = await work.site_keys.current("relay")
    info = box_info(Box.RECORD, registration.client_no.encode())
    await work.outbox.put(
        Outgoing(
            id=uuid7(now, random(10)),
            registration_id=registration.id,
            client_no=registration.client_no,
            seq=version,
            kind="departure",
            sealed=seal(relay.public, body, info, private_key(random)),
            body_digest=hashlib.sha256(body).digest(),
        )
    )
    await work.filings.raise_version(registration.id, version)
    await work.ledger.write(
        LedgerEntry(
            id=uuid7(now, random(10)),
            holder_id=registration.holder_id,
            at=now,
            to_whom=PROVINCE,
            ground=DEPARTURE_GROUND,
            registration_id=registration.id,
            field_names=["departed_on", "departure_reason"],
            digests={"content": "sha-256:" + hashlib.sha256(body).hexdigest()},
        )
    )


async def find_tenancy(work: UnitOfWork, holder_id: UUID, tenancy_id: UUID) -> tuple[Tenancy, bool]:
    """Return a lease to its landlord or to who lives there, and whether he is the landlord.

    Raises NotFoundError for everybody else.
    """
    tenancy = await work.tenancies.get(tenancy_id)
    if tenancy is None:
        raise NotFoundError
    if holder_id in {one.holder_id for one in await work.tenancies.occupants(tenancy_id)}:
        return tenancy, False
    door = await work.doors.one(tenancy.door_id)
    house = await work.houses.one(door.house_id)
    if house.owner_holder_id != holder_id:
        raise NotFoundError
    return tenancy, True
