"""Declare a phone lost: its key dies, on the wish of another active phone of the same holder."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.app.spend_wish import spend_wish
from lockserver.domain.errors import NotFoundError
from lockserver.protocol.wish import WishOperation


async def remove_phone(work: UnitOfWork, now: datetime, holder_id: UUID, phone_id: UUID, wish: bytes) -> None:
    """Revoke the phone and wake who revokes its credentials. Raises NotFoundError, Wish…Error."""
    phone = await work.phones.get(phone_id)
    if phone is None or phone.holder_id != holder_id:
        raise NotFoundError
    await spend_wish(work, now, holder_id, wish, WishOperation.REMOVE_PHONE, phone_id)
    if phone.state == "revoked":
        return
    await work.phones.save(replace(phone, state="revoked", revoked_at=now))
    await work.audit.write(f"holder:{holder_id}", "remove_phone", f"phone:{phone_id}")
    for grant in await work.grants.of_holder(holder_id, now):
        lock = await work.locks.at_door(grant.door_id)
        if lock is not None:
            await work.notify("lock_state", lock.id.hex)
