"""Keep a lock's slots true to the rights that they stand on: the dead leave, the thawed come back.

A custom PIN, card or finger lives exactly as long as its grant and carries its epoch. Nothing here asks
for registrations, verdicts or bills: a resident's slot outlives all of that, as his lease does (L-45).
Backup PINs belong to a room's living tenancy, two of them, and are made anew with the next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from lockserver.app.found_grant import is_founded
from lockserver.app.issuing import Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.domain.grant import Grant
from lockserver.domain.house import Door
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import Lock
from lockserver.domain.pin_errors import SlotsFullError
from lockserver.domain.slot import Slot, SlotKind, Why, next_number
from lockserver.domain.tenancy import Tenancy
from lockserver.domain.times import from_seconds, whole_seconds
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.limits import MAX_ALL_SLOTS, MAX_SLOTS, PIN_DIGITS
from lockserver.protocol.pin import verifier, weakness
from lockserver.protocol.slots import Slot as WireSlot
from lockserver.protocol.slots import SlotKind as WireKind

BACKUPS: Final = 2
"""Backup PINs of a tenancy: enough for one mishap and the next, few enough not to fill a keypad."""
_KINDS: Final = (WireKind.PIN, WireKind.CARD, WireKind.FINGER)

Slots = dict[WireKind, tuple[WireSlot, ...]]


@dataclass(frozen=True, slots=True)
class Tended:
    """What the access state should name by kind, and whether rows were changed for it."""

    slots: Slots
    changed: bool


async def tend_slots(
    world: Issuing,
    work: UnitOfWork,
    lock: Lock,
    door: Door,
    home: Tenancy | None,
    version: int,
    now: datetime,
) -> Tended:
    """Bring the rows up to the present, every change for access state `version`; return what stands in it.

    `home`: the tenancy that lives behind the door now. The caller holds the lock's row.
    """
    before = await work.slots.held(lock.id)
    after = [await _judged(work, before, slot, door, home, version, now) for slot in before]
    changed = False
    for old, new in zip(before, after, strict=True):
        if new != old:
            await work.slots.save(new)
            changed = True
    made = await _backups(world, work, lock, home, after, version, now)
    return Tended(await _on_the_wire(work, lock, [*after, *made]), changed or bool(made))


async def _judged(
    work: UnitOfWork,
    others: Sequence[Slot],
    slot: Slot,
    door: Door,
    home: Tenancy | None,
    version: int,
    now: datetime,
) -> Slot:
    """Return the slot as it should stand: kept, leaving, back again, or with its grant's new window."""
    why, grant = await fault_of(work, slot, door, home, now)
    if slot.wanted:
        if why is not None:
            return slot.leaving(why, version, now)
        return slot if grant is None else _window_of(slot, grant)
    if slot.why == "frozen" and why is None and slot.upper > now:
        taken = {other.number for other in others if other.kind == slot.kind and other.held}
        free = slot.number if slot.held or slot.number not in taken else next_number(taken, slot.number)
        return slot.wanted_again(free, version, now)
    return slot


async def fault_of(
    work: UnitOfWork, slot: Slot, door: Door, home: Tenancy | None, now: datetime
) -> tuple[Why | None, Grant | None]:
    """Return why a slot may not work any more, or None; and its grant, where it has one."""
    if slot.upper <= now:
        return "expired", None
    if slot.purpose == "backup" and (home is None or home.epoch != slot.epoch):
        return "ended", None
    if slot.grant_id is None:
        return None, None
    grant = await work.grants.get(slot.grant_id)
    if grant is None:
        return "ended", None
    if grant.state == "frozen":
        return "frozen", grant
    if grant.state != "active" or not await is_founded(work, grant, door):
        return "ended", grant
    if slot.purpose == "backup":
        return None, None  # its window is the tenancy's
    return None, grant


def _window_of(slot: Slot, grant: Grant) -> Slot:
    """A slot follows its grant: who stays longer does not stand outside with an old PIN."""
    upper = slot.upper if grant.upper is None else grant.upper
    lower = max(slot.lower, grant.lower)
    return slot if (lower, upper) == (slot.lower, slot.upper) else replace(slot, lower=lower, upper=upper)


def room_for(slots: Iterable[Slot], kind: SlotKind) -> bool:
    """Whether the lock can take another: its number of this kind, and what fits one message."""
    held = [slot for slot in slots if slot.held]
    return len(held) < MAX_ALL_SLOTS and sum(slot.kind == kind for slot in held) < MAX_SLOTS


async def place_slot(work: UnitOfWork, slot: Slot, checked: bytes, *, digits: bytes | None = None) -> Slot:
    """Write a new slot under a free number and return it.

    Raises SlotsFullError: what is on its way out still counts, for the lock may hold it.
    """
    held = await work.slots.held(slot.lock_id)
    if not room_for(held, slot.kind):
        raise SlotsFullError(kind=slot.kind, most=MAX_SLOTS)
    taken = {other.number for other in held if other.kind == slot.kind and other.held}
    number = next_number(taken, await work.slots.last_number(slot.lock_id, slot.kind))
    placed = replace(slot, number=number)
    await work.slots.place(placed, checked, digits)
    return placed


async def _backups(
    world: Issuing,
    work: UnitOfWork,
    lock: Lock,
    home: Tenancy | None,
    held: Sequence[Slot],
    version: int,
    now: datetime,
) -> list[Slot]:
    """Make the living tenancy's backup PINs, once; a lock without room for them goes without."""
    if home is None or await work.slots.of_purpose(lock.id, home.epoch, "backup"):
        return []
    seed = await open_seed(world, work, lock.id)
    if seed is None or sum(slot.held for slot in held if slot.kind == "pin") + BACKUPS > MAX_SLOTS:
        return []
    known = set((await work.slots.verifiers(lock.id)).values())
    made: list[Slot] = []
    while len(made) < BACKUPS:
        digits = _random_digits(world)
        checked = verifier(seed, WireKind.PIN, digits)
        if checked in known:
            continue
        known.add(checked)
        slot = Slot(
            id=uuid7(now, world.random(10)),
            lock_id=lock.id,
            number=0,
            kind="pin",
            purpose="backup",
            class_="guest",
            lower=home.lower,
            upper=home.upper,
            asked_at=now,
            wanted_version=version,
            epoch=home.epoch,
        )
        sealed = world.seeds.seal(digits, table="slots", column="digits_sealed", row=slot.id.bytes)
        made.append(await place_slot(work, slot, checked, digits=sealed))
    return made


def _random_digits(world: Issuing) -> bytes:
    """Nine digits that break none of the rules for a PIN that people choose."""
    while True:
        digits = f"{int.from_bytes(world.random(16)) % 10**PIN_DIGITS:0{PIN_DIGITS}d}"
        if weakness(digits) is None:
            return digits.encode("ascii")


async def open_seed(world: Issuing, work: UnitOfWork, lock_id: UUID) -> bytes | None:
    """Return the door seed, in clear; None for a lock that has none."""
    sealed = await work.locks.seed(lock_id)
    if sealed is None:
        return None
    return world.seeds.open(sealed, table="locks", column="seed_sealed", row=lock_id.bytes)


async def _on_the_wire(work: UnitOfWork, lock: Lock, slots: Sequence[Slot]) -> Slots:
    checked = await work.slots.verifiers(lock.id)
    named: Slots = {}
    for kind in _KINDS:
        wanted = [slot for slot in slots if slot.wanted and slot.kind == kind.value]
        named[kind] = tuple(
            [await _wire(work, slot, checked[slot.id]) for slot in sorted(wanted, key=lambda one: one.number)]
        )
    return named


async def _wire(work: UnitOfWork, slot: Slot, checked: bytes) -> WireSlot:
    """A backup PIN names itself: whoever it is given to later, the lock need not hear of it."""
    own = slot.holder_id is not None and slot.purpose != "backup"
    subject = (await work.holders.one(slot.holder_id)).subject if own and slot.holder_id else slot.id.bytes
    lower = whole_seconds(slot.lower)
    return WireSlot(
        slot=slot.number,
        verifier=checked,
        subject=subject,
        nbf=lower if from_seconds(lower) == slot.lower else lower + 1,
        until=whole_seconds(slot.upper),
        holder_class=HolderClass[slot.class_.upper()],
        epoch=slot.epoch,
    )
