"""Let a lock go: its owner wishes it, the issuer signs it, the lock obeys, and only its own word makes it retired.

Never while somebody lives behind the door (L-45), except as a recorded emergency with its reason, of which everybody
who lives there is told at once. A release that is signed is no release yet: until the lock has written `retired`
into its journal it is `releasing`, and its keys open it. What it forgets, it forgets by itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.issuing import Issuing
from lockserver.app.keep_house import own_house
from lockserver.app.ports import UnitOfWork
from lockserver.app.spend_wish import spend_wish
from lockserver.app.tell import tell
from lockserver.domain.entry import REASON_LEAST
from lockserver.domain.errors import (
    InvalidInputError,
    LockMissingError,
    NotFoundError,
    PhoneUnknownError,
    TenancyLivesError,
)
from lockserver.domain.house import Door
from lockserver.domain.lock import Lock, LockDocument
from lockserver.domain.tenancy import Tenancy
from lockserver.domain.times import from_seconds, whole_seconds
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import ReleaseOrder, ReleaseReason, read_release, sign_release
from lockserver.protocol.limits import RELEASE_LIFE
from lockserver.protocol.wish import WishOperation

RENEW: Final = timedelta(seconds=RELEASE_LIFE / 2)
"""An order that its lock has not obeyed by then is signed anew."""
REASON_MOST: Final = 200
_EMERGENCY: Final = "emergency"


@dataclass(frozen=True, slots=True)
class Released:
    """A lock whose release is signed, and the order, for a phone to carry."""

    lock: Lock
    order: bytes


async def release_lock(world: Issuing, holder_id: UUID, lock_id: UUID, wish: bytes) -> Released:
    """Sign the release of a lock of this owner's.

    Raises NotFoundError, LockMissingError (not in service), TenancyLivesError, InvalidInputError (an emergency
    without a reason), and what a wish may be.
    """
    now = world.clock.now()
    async with world.transactions.begin() as work:
        lock = await _own_lock(work, holder_id, lock_id)
        taken = await spend_wish(work, now, holder_id, wish, WishOperation.RELEASE_LOCK, lock_id)
        if taken.phone.proved_by != "button":
            raise PhoneUnknownError
        reason = _reason(dict(taken.wish.args))
        door = await work.doors.one(lock.door_id)
        homes = await living_behind(work, door, now)
        if homes and reason is None:
            raise TenancyLivesError
        order = ReleaseReason.EMERGENCY if reason is not None else ReleaseReason.RELEASED
        raw = await _sign(world, work, lock, order, now)
        await work.locks.save(replace(lock, state="releasing"))
        residents = {one.holder_id for home in homes for one in await work.tenancies.occupants(home.id)}
        detail = {"door": str(door.id), "reason": reason}
        await tell(work, world.random, now, residents, "lock_released", lock.id, detail)
        await work.audit.write(
            f"holder:{holder_id}", "release_lock", f"lock:{lock_id}",
            emergency=reason is not None, lives=len(homes), wish=UUID(bytes=taken.wish.wish_id).hex,
        )  # fmt: skip
        await work.notify("lock_state", lock_id.hex)
    return Released(replace(lock, state="releasing"), raw)


async def renew_releases(world: Issuing) -> list[UUID]:
    """Sign anew the orders that are growing old at locks which have not obeyed; forget what no lock holds any more."""
    now = world.clock.now()
    renewed = []
    async with world.transactions.begin() as work:
        await work.locks.void_keys_of_retired(now)
        for lock in await work.locks.releasing():
            latest = await work.lock_documents.latest(lock.id, "release")
            if latest is None:
                continue
            order = read_release(latest.raw, keys_by_id((world.signer.public,)))
            if now - from_seconds(order.iat) >= RENEW:
                # An emergency is about now: signed anew it would shut out who moved in since, and was told nothing.
                await _sign(world, work, lock, ReleaseReason.RELEASED, now)
                await work.notify("lock_state", lock.id.hex)
                renewed.append(lock.id)
    return renewed


async def living_behind(work: UnitOfWork, door: Door, now: datetime) -> list[Tenancy]:
    """Return the tenancies whose way in leads through this door: a room's own, behind a gate the whole house's."""
    return [
        tenancy
        for tenancy in await work.tenancies.of_house(door.house_id)
        if tenancy.lives(now) and (door.kind == "gate" or tenancy.door_id == door.id)
    ]


async def _own_lock(work: UnitOfWork, holder_id: UUID, lock_id: UUID) -> Lock:
    seen = await work.locks.get(lock_id)
    if seen is None:
        raise NotFoundError
    await own_house(work, holder_id, (await work.doors.one(seen.door_id)).house_id)
    lock = await work.locks.lock(lock_id)
    if lock.state not in ("active", "releasing"):
        raise LockMissingError
    return lock


def _reason(args: dict[str, object]) -> str | None:
    """Return the emergency's reason; None: it is none."""
    if not args:
        return None
    reason = args.pop(_EMERGENCY, None)
    if args or type(reason) is not str or not REASON_LEAST <= len(reason.strip()) <= REASON_MOST:
        raise InvalidInputError(field=_EMERGENCY, least_characters=REASON_LEAST)
    return reason.strip()


async def _sign(world: Issuing, work: UnitOfWork, lock: Lock, reason: ReleaseReason, now: datetime) -> bytes:
    latest = await work.lock_documents.latest(lock.id, "release")
    raw = sign_release(ReleaseOrder(lock.id.bytes, reason, whole_seconds(now)), world.signer)
    number = 1 if latest is None else latest.number + 1
    await work.lock_documents.put(LockDocument(lock.id, "release", number, raw))
    return raw
