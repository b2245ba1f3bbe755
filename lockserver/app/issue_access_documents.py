"""What a lock should hold: a numbered revocation list and a numbered access state, signed.

Both are complete statements of the present, rebuilt from rows that the issuer reads itself: whose
grant is frozen, revoked or cut shorter, whose phone was revoked, which tenancy lives at the door, whose
PINs, cards and fingers stand on a right that lives.
Nobody hands the issuer a list to sign. Numbers only rise, so a carrier can withhold, never roll back.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from lockserver.app.find_presence import find_presence
from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.app.set_door import founded_settings
from lockserver.app.take_captures import take_captures
from lockserver.app.tend_slots import tend_slots
from lockserver.domain.gateway import GatewayCredential
from lockserver.domain.house import Door
from lockserver.domain.lock import IssuedCredential, Lock, LockDocument
from lockserver.domain.schedule import on_the_wire
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
from lockserver.protocol.slots import SlotKind

Listed = IssuedCredential | GatewayCredential

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
            news |= await take_captures(world, work, lock, door, now)
            news |= await renew_state(world, work, lock, door, now)
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
    state, _ = await _present(world, work, lock, door, _first_number(world), now)
    await _put_state(world, work, lock, state)
    return state.epoch


def _first_number(world: Issuing) -> int:
    return 1 + int.from_bytes(world.random(4)) % NUMBER_SPREAD


async def _refresh_list(world: Issuing, work: UnitOfWork, lock: Lock, now: datetime) -> bool:
    """Name every living credential that nobody may use any more, in a list of the next number."""
    stale = await work.credentials.stale(lock.id, now)
    carriers = await work.gateway_credentials.stale(lock.id, now)
    if not stale and not carriers:
        return False
    latest = await work.lock_documents.latest(lock.id, "revocation")
    number = latest.number + 1 if latest else _first_number(world)
    known: dict[UUID, Listed] = {one.id: one for one in await work.credentials.revoked(lock.id, now)}
    known |= {one.id: one for one in stale}
    known |= {one.id: one for one in await work.gateway_credentials.revoked(lock.id, now)}
    known |= {one.id: one for one in carriers}
    document = await _list_of(work, lock, number, list(known.values()), now)
    await work.lock_documents.put(
        LockDocument(lock.id, "revocation", number, sign_revocation_list(document, world.signer))
    )
    await work.credentials.revoke([one.id for one in stale], now, number)
    await work.gateway_credentials.revoke([one.id for one in carriers], now, number)
    count = len(stale) + len(carriers)
    await work.audit.write("role:issuer", "revoke_credentials", f"lock:{lock.id}", number=number, count=count)
    return True


async def _list_of(
    work: UnitOfWork, lock: Lock, number: int, revoked: Sequence[Listed], now: datetime
) -> RevocationList:
    """Make the list fit its flash budget without reviving anybody (L-09).

    The floor on `iat` stands at the oldest credential that may still be used, so it shuts nobody
    out; whatever was issued before it needs no entry.
    """
    entries = [(one.id.bytes, whole_seconds(one.expires_at), whole_seconds(one.issued_at)) for one in revoked]
    floor = None
    if len(entries) > MAX_REVOKED:
        usable = [
            await work.credentials.oldest_usable(lock.id, now),
            await work.gateway_credentials.oldest_usable(lock.id, now),
        ]
        floor = whole_seconds(min((one for one in usable if one is not None), default=now))
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


async def renew_state(world: Issuing, work: UnitOfWork, lock: Lock, door: Door, now: datetime) -> bool:
    """Sign an access state of the next number if anything that stands in it changed; tell the bridge."""
    latest = await work.lock_documents.latest(lock.id, "state")
    number = latest.number + 1 if latest else _first_number(world)
    present, changed = await _present(world, work, lock, door, number, now)
    if latest is not None and not changed:
        held = read_access_state(latest.raw, keys_by_id((world.signer.public,)))
        if replace(held, version=number, iat=present.iat) == present:
            return False
    await _put_state(world, work, lock, present)
    await work.notify("lock_state", lock.id.hex)
    await work.audit.write(
        "role:issuer",
        "state_access",
        f"lock:{lock.id}",
        number=number,
        epoch=present.epoch,
        occupied=present.occupied,
        slots=len(present.pins) + len(present.cards) + len(present.fingers),
    )
    return True


async def _put_state(world: Issuing, work: UnitOfWork, lock: Lock, state: AccessState) -> None:
    await work.lock_documents.put(
        LockDocument(lock.id, "state", state.version, sign_access_state(state, world.signer))
    )


async def _present(
    world: Issuing, work: UnitOfWork, lock: Lock, door: Door, number: int, now: datetime
) -> tuple[AccessState, bool]:
    """Return what the lock should hold at this instant, and whether slots changed on the way to it."""
    presence = await find_presence(work, door, now)
    settings = await founded_settings(work, door)
    tended = await tend_slots(world, work, lock, door, presence.home, number, now)
    state = AccessState(
        lock_id=lock.id.bytes,
        version=number,
        epoch=presence.epoch,
        occupied=presence.occupied,
        iat=whole_seconds(now),
        pins=tended.slots[SlotKind.PIN],
        cards=tended.slots[SlotKind.CARD],
        fingers=tended.slots[SlotKind.FINGER],
        hold_open=on_the_wire(settings.hold_open),
        auto_lock=settings.auto_lock,
    )
    return state, tended.changed
