"""Declare a phone lost: its key dies, on the wish of another active phone of the same holder."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_for_grant import key_of
from lockserver.app.spend_wish import spend_wish
from lockserver.domain.account import Phone
from lockserver.domain.errors import NotAllowedError, NotFoundError
from lockserver.protocol.wish import WishOperation


async def remove_phone(work: UnitOfWork, now: datetime, holder_id: UUID, phone_id: UUID, wish: bytes) -> None:
    """Revoke the phone and wake who revokes its credentials.

    Raises NotFoundError, Wish…Error, NotAllowedError.
    """
    phone = await work.phones.get(phone_id)
    if phone is None or phone.holder_id != holder_id:
        raise NotFoundError
    taken = await spend_wish(work, now, holder_id, wish, WishOperation.REMOVE_PHONE, phone_id)
    if taken.phone.id != phone_id and not await _reaches_as_far(work, taken.phone, phone):
        raise NotAllowedError
    if phone.state == "revoked":
        return
    await work.phones.save(replace(phone, state="revoked", revoked_at=now))
    await work.audit.write(f"holder:{holder_id}", "remove_phone", f"phone:{phone_id}")
    for grant in await work.grants.of_holder(holder_id, now):
        lock = await work.locks.at_door(grant.door_id)
        if lock is not None:
            await work.notify("lock_state", lock.id.hex)


async def _reaches_as_far(work: UnitOfWork, acting: Phone, lost: Phone) -> bool:
    """Tell whether the acting phone opens all that the lost one does.

    Else a phone that was proved in a house of somebody's own would take a tenant's way in (L-45).
    """
    if lost.proved_by == "button" and acting.proved_by != "button":
        return False
    if any(one.state != "revoked" for one in await work.grants.naming(key_of(lost))):
        return False  # no other phone is what its grantor named; he can revoke what he gave
    for tenancy in await work.tenancies.of_holder(lost.holder_id):
        if tenancy.state != "signed":
            continue
        was, acts = [await work.verdicts.newest(tenancy.id, one.holder_id, one.id) for one in (lost, acting)]
        if was is not None and was.outcome != "declined" and (acts is None or acts.outcome != "approved"):
            return False
    return True
