"""A grantor's signed wish names the key of one phone: that proves it, as far as the grant goes.

Only the issuer makes it so, from wishes that it reads itself. Such a phone signs for what it was named for,
and for nothing else of its holder's (see `sign_for_grant`).
"""

from dataclasses import replace
from uuid import UUID

from lockserver.app.found_grant import is_founded
from lockserver.app.keep_house import KEY
from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_for_grant import kept_wish, key_of
from lockserver.domain.account import Phone
from lockserver.protocol.wish import WishOperation


async def vouch_for_phone(work: UnitOfWork, phone: Phone) -> Phone:
    """Return the phone, active if it waited for proof and a grantor named it."""
    if phone.state != "pending" or not await _is_named(work, phone):
        return phone
    proved = replace(phone, state="active", proved_by="grantor")
    await work.phones.save(proved)
    await work.audit.write("role:issuer", "prove_phone", f"phone:{phone.id}", by="grantor")
    return proved


async def _is_named(work: UnitOfWork, phone: Phone) -> bool:
    for grant in await work.grants.naming(key_of(phone)):
        door = await work.doors.one(grant.door_id)
        if await is_founded(work, grant, door, phone):
            return True
    for house_id, wish_id in await work.houses.staff_wishes(phone.holder_id):
        if await _is_staff_phone(work, phone, house_id, wish_id):
            return True
    return False


async def _is_staff_phone(work: UnitOfWork, phone: Phone, house_id: UUID, wish_id: UUID) -> bool:
    """Tell whether the house's owner named this key among those who work there."""
    spent = await work.wishes.get(wish_id)
    kept = None if spent is None else await kept_wish(work, spent)
    if kept is None:
        return False
    wish, by = kept
    house = await work.houses.one(house_id)
    return (
        wish.operation is WishOperation.NAME_STAFF
        and wish.target_id == house_id.bytes
        and wish.args.get(KEY) == key_of(phone)
        and by.holder_id == house.owner_holder_id
        and by.proved_by == "button"
    )
