"""What a lock should hold: a numbered revocation list and a numbered access state, signed.

Both are complete statements of the present, rebuilt from rows that the issuer reads itself: whose
grant is frozen, revoked or cut shorter, whose phone was revoked, which tenancy lives at the door.
Nobody hands the issuer a list to sign. Numbers only rise, so a carrier can withhold, never roll back.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.domain.house import Door
from lockserver.domain.lock import IssuedCredential, Lock, LockDocument
from lockserver.domain.tenancy import Tenancy
from lockserver.domain.times import whole_seconds
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import (
    AccessState,
    RevocationList,
    read_access_state,
    sign_access_state,
    sign_revocation_list,
)
from lockserver.protocol.limits import MAX_REVOKED

NUMBER_SPREAD = 1 << 16
"""First numbers start anywhere below this: M2 shows them to every passer-by, and from a small number
he would read how often this door changed hands."""


async def refresh_access(world: Issuing, lock_ids: Sequence[UUID]) -> list[UUID]:
    """Bring these locks' documents up to the present; return the locks that got a new one."""
    changed = []
    for lock_id in sorted(set(lock_ids)):
        now = world.clock.now()
        async with world.transactions.begin() as work:
            lock = await work.locks.lock(lock_id)  # one writer a lock: numbers rise by one
            door = await work.doors.one(lock.door_id)
            news = await _refresh_list(world, work, lock, now)
            news |= await _refresh_state(world, work, lock, door, now)
            if news:
                await work.notify("lock_state", lock_id.hex)
                changed.append(lock_id)
    return changed


async def first_documents(
    world: Issuing, work: UnitOfWork, lock: Lock, door: Door, now: datetime
) -> int | None:
    """Write a new lock's first documents; return the epoch it starts with (None at a gate)."""
    root = await work.site_keys.current("root")
    if root.key_set is not None and root.key_set_number is not None:
        await work.lock_documents.put(LockDocument(lock.id, "keys", root.key_set_number, root.key_set))
    number = _first_number(world)
    empty = RevocationList(lock.id.bytes, number, (), whole_seconds(now))
    await work.lock_documents.put(
        LockDocument(lock.id, "revocation", number, sign_revocation_list(empty, world.signer))
    )
    epoch, occupied = await _present(work, door, now)
    await _put_state(world, work, lock, _first_number(world), (epoch, occupied), now)
    return epoch


def _first_number(world: Issuing) -> int:
    return 1 + int.from_bytes(world.random(4)) % NUMBER_SPREAD


async def _refresh_list(world: Issuing, work: UnitOfWork, lock: Lock, now: datetime) -> bool:
    """Name every living credential that nobody may use any more, in a list of the next number."""
    stale = await work.credentials.stale(lock.id, now)
    if not stale:
        return False
    latest = await work.lock_documents.latest(lock.id, "revocation")
    number = latest.number + 1 if latest else _first_number(world)
    known = {one.id: one for one in await work.credentials.revoked(lock.id, now)}
    known |= {one.id: one for one in stale}
    document = await _list_of(work, lock, number, list(known.values()), now)
    await work.lock_documents.put(
        LockDocument(lock.id, "revocation", number, sign_revocation_list(document, world.signer))
    )
    await work.credentials.revoke([one.id for one in stale], now, number)
    await work.audit.write(
        "role:issuer", "revoke_credentials", f"lock:{lock.id}", number=number, count=len(stale)
    )
    return True


async def _list_of(
    work: UnitOfWork, lock: Lock, number: int, revoked: list[IssuedCredential], now: datetime
) -> RevocationList:
    """Make the list fit its flash budget without reviving anybody (L-09).

    The floor on `iat` stands at the oldest credential that may still be used, so it shuts nobody
    out; whatever was issued before it needs no entry.
    """
    entries = [(one.id.bytes, whole_seconds(one.expires_at), whole_seconds(one.issued_at)) for one in revoked]
    floor = None
    if len(entries) > MAX_REVOKED:
        oldest = await work.credentials.oldest_usable(lock.id, now)
        floor = whole_seconds(oldest if oldest is not None else now)
        entries = [entry for entry in entries if entry[2] >= floor]
    if len(entries) > MAX_REVOKED:
        # Still too many: those that die soonest are left to their own end, and somebody is told.
        entries = sorted(entries, key=lambda entry: -entry[1])[:MAX_REVOKED]
        await work.audit.write("role:issuer", "list_overflow", f"lock:{lock.id}", number=number)
    return RevocationList(
        lock_id=lock.id.bytes,
        number=number,
        entries=tuple((cti, exp) for cti, exp, _ in entries),
        iat=whole_seconds(now),
        iat_floor=floor,
    )


async def _refresh_state(world: Issuing, work: UnitOfWork, lock: Lock, door: Door, now: datetime) -> bool:
    """Sign an access state of the next number if the door's epoch or occupation changed."""
    latest = await work.lock_documents.latest(lock.id, "state")
    epoch, occupied = await _present(work, door, now)
    if latest is not None:
        held = read_access_state(latest.raw, keys_by_id((world.signer.public,)))
        if (held.epoch, held.occupied) == (epoch, occupied):
            return False
    number = latest.number + 1 if latest else _first_number(world)
    await _put_state(world, work, lock, number, (epoch, occupied), now)
    await work.audit.write(
        "role:issuer", "state_access", f"lock:{lock.id}", number=number, epoch=epoch, occupied=occupied
    )
    return True


async def _put_state(
    world: Issuing,
    work: UnitOfWork,
    lock: Lock,
    number: int,
    present: tuple[int | None, bool],
    now: datetime,
) -> None:
    epoch, occupied = present
    state = AccessState(lock.id.bytes, number, epoch, occupied, whole_seconds(now))
    await work.lock_documents.put(
        LockDocument(lock.id, "state", number, sign_access_state(state, world.signer))
    )


async def _present(work: UnitOfWork, door: Door, now: datetime) -> tuple[int | None, bool]:
    """Return the door's epoch at this instant, and whether a tenancy lives there.

    `doors.epoch` already counts leases that are signed for later: telling the lock of those would
    kill the present tenant's key before his time.
    """
    if door.kind == "gate":
        return None, False
    begun: list[Tenancy] = [
        tenancy
        for tenancy in await work.tenancies.of_house(door.house_id)
        if tenancy.door_id == door.id and tenancy.lower <= now
    ]
    epoch = max((tenancy.epoch for tenancy in begun), default=0)
    return epoch, any(tenancy.lives(now) for tenancy in begun)
