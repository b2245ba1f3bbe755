"""Give a tenant one of his room's backup PINs: the lock holds it already, so it works though it is offline."""

from dataclasses import dataclass, replace
from uuid import UUID

from lockserver.app.find_standing import find_standing, is_adult_tenant, spend_at_lock
from lockserver.app.issuing import Issuing
from lockserver.app.spend_wish import check_same_phone, read_holders_wish
from lockserver.domain.errors import InvalidInputError, NotAllowedError
from lockserver.domain.pin_errors import BackupMissingError
from lockserver.domain.slot import Slot
from lockserver.protocol.curve import private_key
from lockserver.protocol.sealed import Box, box_info, seal
from lockserver.protocol.wish import WishOperation


@dataclass(frozen=True, slots=True, repr=False)
class Assigned:
    """The slot, and its digits in a box for the phone that asked."""

    slot: Slot
    box: bytes


async def assign_backup(world: Issuing, holder_id: UUID, lock_id: UUID, raw: bytes) -> Assigned:
    """Answer a wish READ_PIN {backup: 1}: one that the lock has said it holds, and that nobody has yet.

    Raises NotFoundError, GrantMissingError, NotAllowedError, BackupMissingError, KeyWithheldError, Wish…Error.
    """
    now = world.clock.now()
    async with world.transactions.begin() as work:
        standing = await find_standing(work, holder_id, lock_id, now)
        grant = standing.grant("tenant")
        if (
            standing.home is None
            or grant.tenancy_id != standing.home.id
            or not await is_adult_tenant(work, grant)
        ):
            raise NotAllowedError
        await work.locks.lock(lock_id)  # one after the other: each is given once
        backups = await work.slots.of_purpose(lock_id, standing.home.epoch, "backup")
        peeked = await read_holders_wish(work, holder_id, raw)
        if peeked.wish.args != {"backup": 1}:
            raise InvalidInputError(field="backup")
        wish_id = UUID(bytes=peeked.wish.wish_id)
        slot = next((one for one in backups if one.wish_id == wish_id and one.holder_id == holder_id), None)
        if slot is None:
            free = [one for one in backups if one.state == "set" and one.holder_id is None]
            if not free:
                raise BackupMissingError
            await spend_at_lock(work, standing, grant, raw, WishOperation.READ_PIN, now)
            slot = replace(
                free[0], holder_id=holder_id, grant_id=grant.id, given_by=holder_id, wish_id=wish_id
            )
            await work.slots.save(slot)
            await work.audit.write(
                f"holder:{holder_id}", "assign_backup", f"slot:{slot.id}", lock=str(lock_id)
            )
        await check_same_phone(work, peeked)
        sealed = await work.slots.digits(slot.id)
    if sealed is None:
        raise BackupMissingError
    digits = world.seeds.open(sealed, table="slots", column="digits_sealed", row=slot.id.bytes)
    info = box_info(Box.PIN, lock_id.bytes)
    return Assigned(slot, seal(peeked.phone.ecdh_pub, digits, info, private_key(world.random)))
