"""Take a PIN, card or finger out of a lock: by who has it, or by who gave it to a guest.

Nobody else: a landlord cannot take a tenant's way in, nor what a tenant gave his guests (L-45).
"""

from datetime import datetime
from uuid import UUID

from lockserver.app.find_standing import Standing, find_standing, spend_at_lock
from lockserver.app.issue_access_documents import renew_state
from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.app.want_slot import next_version
from lockserver.domain.errors import NotFoundError, TenantProtectedError
from lockserver.domain.pin_errors import SlotGoneError
from lockserver.domain.slot import Slot
from lockserver.protocol.wish import WishOperation


async def remove_slot(world: Issuing, holder_id: UUID, slot_id: UUID, raw: bytes) -> Slot:
    """Answer a wish REMOVE_SLOT: the slot is `removing` until the lock says that it is gone.

    Raises NotFoundError, TenantProtectedError, SlotGoneError, GrantMissingError, KeyWithheldError, Wish…Error.
    """
    now = world.clock.now()
    async with world.transactions.begin() as work:
        slot, standing = await find_slot(work, holder_id, slot_id, now)
        if holder_id not in (slot.holder_id, slot.given_by):
            raise TenantProtectedError
        grant = standing.grant("tenant", "owner", "staff", "guest")
        await spend_at_lock(work, standing, grant, raw, WishOperation.REMOVE_SLOT, now, slot_id)
        lock = await work.locks.lock(slot.lock_id)
        slot = await work.slots.one(slot_id)  # as it stands now that nobody else writes
        if not slot.wanted:
            raise SlotGoneError(state=slot.state)
        await work.slots.save(slot.leaving("wish", await next_version(work, lock.id), now))
        await renew_state(world, work, lock, standing.door, now)
        await work.audit.write(f"holder:{holder_id}", f"remove_{slot.kind}", f"slot:{slot_id}")
        return await work.slots.one(slot_id)


async def find_slot(work: UnitOfWork, holder_id: UUID, slot_id: UUID, now: datetime) -> tuple[Slot, Standing]:
    """Return a slot to who has it, gave it, or owns the house; raises NotFoundError for everybody else."""
    slot = await work.slots.get(slot_id)
    if slot is None:
        raise NotFoundError
    standing = await find_standing(work, holder_id, slot.lock_id, now)
    if holder_id not in (slot.holder_id, slot.given_by) and not standing.owns:
        raise NotFoundError
    return slot, standing
