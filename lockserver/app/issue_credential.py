"""Cut a credential from a grant, for one phone and one lock, never reaching outside the grant."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.found_entry import living_entries
from lockserver.app.found_grant import is_founded
from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.domain.account import Holder, Phone
from lockserver.domain.grant import Grant
from lockserver.domain.house import Door
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import IssuedCredential, Lock
from lockserver.domain.schedule import on_the_wire
from lockserver.domain.times import from_seconds, whole_seconds
from lockserver.protocol.claims import Capability, Claims, HolderClass, life_limit
from lockserver.protocol.credential import issue_credential as sign_credential

OWNER_LIFE = timedelta(days=7)
"""Owners and staff refresh weekly at most; the wire allows 30 days."""
REVIEW_LIFE = timedelta(hours=24)
"""While a person still has to look at a tenant's case: a day, renewed while the review is open."""
RECEIPT_WAIT = timedelta(seconds=60)
"""A key that waits for the receipt waits this long for a sick province, and no longer."""
BACKDATE = timedelta(seconds=120)
"""A fresh credential begins a little before now, so that a lock whose clock lags does not say
"not yet"; never before its grant begins."""
EARLY = timedelta(hours=24)
"""A key is handed out this long before its window opens, so that arrival needs no network."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """No key, for this reason (a code); `until` where waiting helps."""

    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """A key may be cut; no longer than this where it is bounded.

    `entry_until`: somebody who lives there lets this person in, or an emergency runs, until then.
    """

    life: timedelta | None = None
    entry_until: datetime | None = None


async def may_hold(
    work: UnitOfWork, grant: Grant, door: Door, phone: Phone, now: datetime
) -> Allowed | Withheld:
    """Decide whether this very phone may hold a key cut from this grant, now.

    A tenant's key goes to the phone that passed identity (or the staff check) for this very lease,
    whoever has the SIM: who holds a number can sign leases with it in a house of his own, and pass
    there whatever he likes. An owner's key goes to the phone that a lock's button proved, and to no
    phone that was proved as somebody's tenant; a guest's or staff member's to the one whose key the
    grantor's wish names. A grant for one opening has one key, ever. An open review gives a day at a
    time. The province's illness delays a key by 60 s at most, and a returned registration not at all: that is repaired,
    not punished (L-45).
    """
    if phone.state == "revoked":
        return Withheld("phone_revoked")
    if not await is_founded(work, grant, door, phone):
        return Withheld("grant_unfounded")
    if grant.class_ != "tenant" or grant.tenancy_id is None:
        proved = phone.state == "active" and (grant.class_ != "owner" or phone.proved_by == "button")
        if not proved:
            return Withheld("phone_unproven")
        if grant.uses is not None and await _is_spent(work, grant, now):
            return Withheld("one_time_issued")
        return Allowed(entry_until=await _lets_in(work, grant, door, now))
    verdict = await work.verdicts.newest(grant.tenancy_id, grant.holder_id, phone.id)
    if verdict is None:
        return Withheld("verdict_missing")
    if verdict.outcome == "declined":
        return Withheld("verdict_declined")
    if verdict.outcome == "review":
        return Allowed(REVIEW_LIFE)
    if phone.state != "active":
        return Withheld("phone_unproven")
    return await _filed(work, grant, grant.tenancy_id, now)


async def _is_spent(work: UnitOfWork, grant: Grant, now: datetime) -> bool:
    """Tell whether the one key of a one-time grant was cut, and cannot be handed out again."""
    cut = await work.credentials.ever(grant.id)
    return cut is not None and (cut.revoked_at is not None or cut.expires_at <= now)


async def _lets_in(work: UnitOfWork, grant: Grant, door: Door, now: datetime) -> datetime | None:
    """Return until when the grant's holder may enter though somebody lives there (L-52)."""
    if door.kind != "room" or grant.class_ not in {"owner", "staff"}:
        return None
    entries = await living_entries(work, door, now)
    return max((one.upper for one in entries if one.admits(grant.class_, grant.holder_id)), default=None)


async def _filed(work: UnitOfWork, grant: Grant, tenancy_id: UUID, now: datetime) -> Allowed | Withheld:
    """Key after registration: on submission, or on the receipt where the landlord set it so."""
    arrival = await work.receipts_awaited.arrival(tenancy_id, grant.holder_id)
    if arrival is None or not arrival.required:
        return Allowed()
    if arrival.submitted_at is None:
        return Withheld("registration_missing")
    tenancy = await work.tenancies.one(tenancy_id)
    patience = arrival.submitted_at + RECEIPT_WAIT
    if tenancy.key_policy == "on_receipt" and not arrival.receipted and now < patience:
        return Withheld("receipt_awaited", patience)
    return Allowed()


@dataclass(frozen=True, slots=True)
class Cut:
    """What a key is cut from, and for whom."""

    holder: Holder
    phone: Phone
    grant: Grant
    door: Door
    lock: Lock


async def issue_credential(
    world: Issuing, work: UnitOfWork, cut: Cut, allowed: Allowed, now: datetime
) -> IssuedCredential:
    """Return the phone's living credential while it is young, or sign the next.

    The one key of a one-time grant is given again for as long as it lives, and has no next.
    """
    grant, phone, lock = cut.grant, cut.phone, cut.lock
    held = await work.credentials.of_grant(grant.id, phone.id, lock.id, now)
    if (
        held is not None
        and (grant.uses is not None or not held.half_aged(now))
        and _fits(held, grant, allowed)
    ):
        return held
    claims = _claims(world, cut, allowed, await _earliest(work, cut, now), now)
    issued = IssuedCredential(
        id=UUID(bytes=claims.cti),
        grant_id=grant.id,
        phone_id=phone.id,
        lock_id=lock.id,
        not_before=from_seconds(claims.nbf),
        expires_at=from_seconds(claims.exp),
        issued_at=from_seconds(claims.iat),
        epoch=claims.epoch,
        raw=sign_credential(claims, world.signer),
        capabilities=int(claims.capabilities),
        schedule=grant.schedule,
        uses=claims.uses,
    )
    await work.credentials.add(issued)
    await work.audit.write(
        "role:issuer",
        "issue_credential",
        f"credential:{issued.id}",
        grant=str(grant.id),
        phone=str(phone.id),
        lock=str(lock.id),
    )
    return issued


async def _earliest(work: UnitOfWork, cut: Cut, now: datetime) -> datetime:
    """Return the instant before which this key must not work.

    Not before its grant, and a room's next epoch not before the recorded end of the last: the first
    use of a higher epoch kills every key of the tenancy before (L-08).
    """
    begins = max(cut.grant.lower, now - BACKDATE)
    if cut.grant.epoch is None or cut.door.kind != "room":
        return begins
    before = [
        tenancy.ended_at or tenancy.upper
        for tenancy in await work.tenancies.of_house(cut.door.house_id)
        if tenancy.door_id == cut.door.id and tenancy.epoch < cut.grant.epoch
    ]
    return max([begins, *before])


def _fits(held: IssuedCredential, grant: Grant, allowed: Allowed) -> bool:
    """Tell whether a credential still says what its grant does, and lasts no longer than an entry."""
    inside = grant.upper is None or held.expires_at <= grant.upper
    says = (held.capabilities, held.schedule) == (int(_capabilities(grant, allowed)), grant.schedule)
    lets = allowed.entry_until is None or held.expires_at <= allowed.entry_until
    return inside and says and lets and held.not_before >= grant.lower


def _capabilities(grant: Grant, allowed: Allowed) -> Capability:
    """Return what the grant conveys, and `entry` while somebody lets its holder in."""
    granted = Capability(grant.capabilities)
    return granted if allowed.entry_until is None else granted | Capability.ENTRY


def _claims(world: Issuing, cut: Cut, allowed: Allowed, begins: datetime, now: datetime) -> Claims:
    """Say what the credential says: the narrowest of grant, class and what was allowed."""
    grant = cut.grant
    kind = HolderClass[grant.class_.upper()]
    draft = Claims(
        cti=uuid7(now, world.random(10)).bytes,
        subject=cut.holder.subject,
        lock_id=cut.lock.id.bytes,
        holder_public=cut.phone.sign_pub,
        nbf=_round_up(begins),
        exp=0,
        iat=whole_seconds(now),
        capabilities=_capabilities(grant, allowed),
        holder_class=kind,
        epoch=grant.epoch if kind.resident and cut.door.kind == "room" else None,
        schedule=on_the_wire(grant.schedule),
        uses=grant.uses,
    )
    life = timedelta(seconds=life_limit(draft))
    if not kind.resident:
        life = min(life, OWNER_LIFE)
    if allowed.life is not None:
        life = min(life, allowed.life)
    bounds = [bound for bound in (grant.upper, allowed.entry_until) if bound is not None]
    ends = min([begins + life, *bounds])
    return replace(draft, exp=max(whole_seconds(ends), draft.nbf + 1))


def _round_up(at: datetime) -> int:
    """Whole seconds, never before the instant: a window never opens early by rounding."""
    seconds = whole_seconds(at)
    return seconds if from_seconds(seconds) == at else seconds + 1
