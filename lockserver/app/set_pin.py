"""Take a PIN that a holder chose, seal-opened by the issuer alone, and want it in the lock from now on.

Everything that can be said beforehand is said beforehand: too short, weak, taken, the lock full. From then
on only the lock's own report makes it `set`. A new PIN takes the place of the old one in the same access
state: at every instant the lock holds one of the two, and never neither.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.find_standing import Standing, find_standing, spend_at_lock
from lockserver.app.issue_access_documents import renew_state
from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.app.spend_wish import read_holders_wish
from lockserver.app.tend_slots import open_seed, room_for
from lockserver.app.want_slot import holder_of, may_have_slots, want_slot
from lockserver.domain.errors import (
    InvalidInputError,
    LockMissingError,
    NotAllowedError,
    TooManyTriesError,
    WishUsedError,
)
from lockserver.domain.pin_errors import PinLengthError, PinTakenError, PinWeakError, SlotsFullError
from lockserver.domain.slot import Slot
from lockserver.domain.times import whole_seconds
from lockserver.protocol.limits import MAX_SLOTS, PIN_DIGITS, PIN_LEAST
from lockserver.protocol.pin import verifier, weakness
from lockserver.protocol.sealed import Box, box_info
from lockserver.protocol.slots import SlotKind as WireKind
from lockserver.protocol.wish import WishOperation

TRIES: Final = 10
"""PINs that one person may try at one lock in a day: `pin_taken` tells that somebody else has it."""
TRIES_WITHIN: Final = timedelta(days=1)


async def set_pin(world: Issuing, holder_id: UUID, lock_id: UUID, raw: bytes) -> Slot:
    """Answer a wish SET_PIN {pin}; the same wish again gives the slot that it made.

    Raises NotFoundError, GrantMissingError, NotAllowedError, SealBrokenError, PinLengthError, PinWeakError,
    PinTakenError, SlotsFullError, TooManyTriesError, KeyWithheldError, LockMissingError, Wish…Error.
    """
    now = world.clock.now()
    async with world.transactions.begin() as work:
        standing = await find_standing(work, holder_id, lock_id, now)
        grant = standing.grant("tenant", "owner", "staff", "guest")
        if not may_have_slots(grant):
            raise NotAllowedError
        await _count_tries(work, standing, now)
        try:
            taken = await spend_at_lock(work, standing, grant, raw, WishOperation.SET_PIN, now)
        except WishUsedError:
            return await _made_by(world, raw, standing)
        digits = _open(world, lock_id, taken.wish.args.get("pin"))
        if not room_for(await work.slots.held(lock_id), "pin"):
            raise SlotsFullError(kind="pin", most=MAX_SLOTS)
    # From here on the try is counted, whatever becomes of it.
    async with world.transactions.begin() as work:
        lock = await work.locks.lock(lock_id)
        seed = await open_seed(world, work, lock_id)
        if seed is None:
            raise LockMissingError
        checked = verifier(seed, WireKind.PIN, digits)
        known = await holder_of(work, lock_id, checked)
        if known is not None:
            if known.grant_id == grant.id and known.wanted:
                return known
            raise PinTakenError
        wish_id = UUID(bytes=taken.wish.wish_id)
        slot = await want_slot(world, work, lock_id, grant, "pin", checked, now, wish_id=wish_id)
        await renew_state(world, work, lock, standing.door, now)
        return await work.slots.one(slot.id)


def _open(world: Issuing, lock_id: UUID, sealed: object) -> bytes:
    """Open the box and judge the digits by the published rules."""
    if type(sealed) is not bytes:
        raise InvalidInputError(field="pin")
    digits = world.pins.open(sealed, box_info(Box.PIN_SET, lock_id.bytes))
    try:
        said = digits.decode("ascii")
    except UnicodeDecodeError:
        said = ""
    rule = weakness(said)
    if rule == "length":
        raise PinLengthError(least=PIN_LEAST, most=PIN_DIGITS)
    if rule is not None:
        raise PinWeakError(rule=rule)
    return digits


async def _count_tries(work: UnitOfWork, standing: Standing, now: datetime) -> None:
    """Refuse who tried too often; raises TooManyTriesError."""
    tried = await work.wishes.spent_at(
        standing.holder_id, WishOperation.SET_PIN.name.lower(), standing.lock.id, now - TRIES_WITHIN
    )
    if len(tried) >= TRIES:
        oldest = min(tried)
        raise TooManyTriesError(
            retry_after_s=max(1, whole_seconds(oldest + TRIES_WITHIN) - whole_seconds(now))
        )


async def _made_by(world: Issuing, raw: bytes, standing: Standing) -> Slot:
    """Return the slot that this wish made, for whoever did not hear the answer; raises WishUsedError."""
    async with world.transactions.begin() as work:
        wish = (await read_holders_wish(work, standing.holder_id, raw)).wish
        for slot in await work.slots.held(standing.lock.id):
            if slot.wish_id == UUID(bytes=wish.wish_id) and slot.holder_id == standing.holder_id:
                return slot
    raise WishUsedError
