"""Want a PIN, card or finger in a lock: a row under a free number, for the access state that comes next."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.app.tend_slots import place_slot
from lockserver.domain.grant import Grant
from lockserver.domain.ids import uuid7
from lockserver.domain.slot import Purpose, Slot, SlotKind

LONGEST: Final = timedelta(days=365)
"""Of a slot whose grant has no end: an owner's card is looked at once a year."""


def may_have_slots(grant: Grant) -> bool:
    """Tell whether a slot can say what the grant says: it knows neither hours of the week nor a count."""
    return grant.schedule is None and grant.uses is None


async def holder_of(work: UnitOfWork, lock_id: UUID, checked: bytes) -> Slot | None:
    """Return the slot of the lock that is compared with this already."""
    for slot_id, other in (await work.slots.verifiers(lock_id)).items():
        if other == checked:
            return await work.slots.one(slot_id)
    return None


async def want_slot(
    world: Issuing,
    work: UnitOfWork,
    lock_id: UUID,
    grant: Grant,
    kind: SlotKind,
    checked: bytes,
    now: datetime,
    *,
    wish_id: UUID | None = None,
) -> Slot:
    """Write a slot for this grant into the next access state; a new PIN sends the old one away.

    The caller holds the lock's row, and renews its state. Raises SlotsFullError.
    """
    version = await next_version(work, lock_id)
    if kind == "pin":
        for old in await work.slots.of_grants([grant.id]):
            if old.kind == "pin" and old.purpose != "backup" and old.wanted:
                await work.slots.save(old.leaving("replaced", version, now))
    parent = None if grant.parent_id is None else await work.grants.get(grant.parent_id)
    purpose: Purpose = "guest" if grant.class_ == "guest" else "own"
    slot = Slot(
        id=uuid7(now, world.random(10)),
        lock_id=lock_id,
        number=0,
        kind=kind,
        purpose=purpose,
        class_=grant.class_,
        lower=grant.lower,
        upper=grant.upper or now + LONGEST,
        asked_at=now,
        wanted_version=version,
        holder_id=grant.holder_id,
        grant_id=grant.id,
        given_by=grant.holder_id if parent is None else parent.holder_id,
        wish_id=wish_id,
        epoch=grant.epoch,
    )
    placed = await place_slot(work, slot, checked)
    await work.audit.write(
        f"holder:{grant.holder_id}",
        f"want_{kind}",
        f"slot:{slot.id}",
        lock=str(slot.lock_id),
        grant=str(grant.id),
    )
    return placed


async def next_version(work: UnitOfWork, lock_id: UUID) -> int:
    """Return the number of the access state that comes next."""
    latest = await work.lock_documents.latest(lock_id, "state")
    return 1 if latest is None else latest.number + 1
