"""Hold what a lock's keypad and readers really hold against the access state that it says it has.

What differs is a finding, shown to people and repaired by nobody in silence: a credential that we never sent
may be somebody's way in, and one that is missing somebody's way out of the cold. It is cleared when the next
inventory does not show it any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Final

from lockserver.app.bridging import Bridging
from lockserver.app.ports import UnitOfWork
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import Lock, LockStatus
from lockserver.domain.slot import Finding, FindingKind
from lockserver.domain.times import from_seconds, whole_seconds
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import AccessState, read_access_state
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.reports import Inventory
from lockserver.protocol.slots import Slot

KINDS: Final[tuple[FindingKind, ...]] = (
    "unknown_credential",
    "missing_credential",
    "altered_credential",
    "epoch",
    "version",
    "activation",
)
"""What an inventory shows, and so clears."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `mark` says what it is about, `detail` what a person may know of it."""

    kind: FindingKind
    mark: str
    detail: dict[str, object]


async def check_drift(
    world: Bridging, work: UnitOfWork, lock: Lock, status: LockStatus, inventory: Inventory, now: datetime
) -> LockStatus:
    """Note what differs, clear what does not any more; return the status with the inventory's instant."""
    found = [
        *await _numbers(work, lock, status, inventory),
        *await _slots(work, lock, inventory, now),
        *await _activations(work, lock, inventory, now),
    ]
    for one in found:
        finding = Finding(uuid7(now, world.random(10)), lock.id, one.kind, one.mark, one.detail, now, now)
        if await work.findings.saw(finding):
            await work.audit.write(
                "role:bridge", "find_drift", f"lock:{lock.id}", kind=one.kind, mark=one.mark
            )
    marks = [f"{one.kind}:{one.mark}" for one in found]
    cleared = await work.findings.clear(lock.id, KINDS, marks, now)
    if cleared:
        await work.audit.write("role:bridge", "clear_drift", f"lock:{lock.id}", count=cleared)
    return replace(status, inventory_at=now)


async def _numbers(work: UnitOfWork, lock: Lock, status: LockStatus, inventory: Inventory) -> list[Drift]:
    """Versions that we never signed or that fell, and an epoch that no lease accounts for."""
    found: list[Drift] = []
    latest = {one.kind: one.number for one in await work.lock_documents.all_latest(lock.id)}
    said = {"state": status.state_number, "revocation": status.revocation_number}
    holds = {"state": inventory.state_version, "revocation": inventory.list_number}
    for kind, number in holds.items():
        before = said[kind]
        if number > latest.get(kind, 0):  # type: ignore[call-overload]  # a literal that both have
            found.append(Drift("version", f"{kind}:unknown", {"document": kind, "number": number}))
        elif before is not None and number < before:
            found.append(
                Drift("version", f"{kind}:fallen", {"document": kind, "number": number, "was": before})
            )
    door = await work.doors.one(lock.door_id)
    known = door.epoch is None if inventory.epoch is None else door.epoch is not None
    if not known or (door.epoch is not None and (inventory.epoch or 0) > door.epoch):
        found.append(Drift("epoch", "unknown", {"epoch": inventory.epoch, "known": door.epoch}))
    elif status.epoch is not None and (inventory.epoch or 0) < status.epoch:
        found.append(Drift("epoch", "fallen", {"epoch": inventory.epoch, "was": status.epoch}))
    return found


async def _slots(work: UnitOfWork, lock: Lock, inventory: Inventory, now: datetime) -> list[Drift]:
    state = await _state(work, lock, inventory.state_version)
    if state is None:
        return []  # the version is a finding already; there is nothing to hold the slots against
    at = whole_seconds(now)
    pairs = (
        ("pin", inventory.pins, state.pins),
        ("card", inventory.cards, state.cards),
        ("finger", inventory.fingers, state.fingers),
    )
    return [drift for kind, held, sent in pairs for drift in _compare(kind, held, sent, inventory.epoch, at)]


def _compare(
    kind: str, held: tuple[Slot, ...], sent: tuple[Slot, ...], epoch: int | None, at: int
) -> Iterator[Drift]:
    """Tell the differences of one reader. What is dead anyway may be there or not."""
    have, want = {one.slot: one for one in held}, {one.slot: one for one in sent}
    for number, slot in have.items():
        detail: dict[str, object] = {
            "kind": kind,
            "number": number,
            "class": slot.holder_class.name.lower(),
            "until": from_seconds(slot.until).isoformat(),
        }
        if number not in want:
            yield Drift("unknown_credential", f"{kind}:{number}", detail)
        elif slot != want[number]:
            changed = [
                one.name for one in fields(Slot) if getattr(slot, one.name) != getattr(want[number], one.name)
            ]
            yield Drift("altered_credential", f"{kind}:{number}", {**detail, "changed": changed})
    for number, slot in want.items():
        dead = slot.until <= at or (slot.epoch is not None and epoch is not None and slot.epoch < epoch)
        if number not in have and not dead:
            yield Drift("missing_credential", f"{kind}:{number}", {"kind": kind, "number": number})


async def _state(work: UnitOfWork, lock: Lock, version: int) -> AccessState | None:
    """Return the access state of this version as we signed it; None where we signed none, or hold it no more."""
    kept = await work.lock_documents.since(lock.id, "state", version)
    if not kept or kept[0].number != version:
        return None
    issuer = await work.site_keys.current("issuer")
    try:
        return read_access_state(kept[0].raw, keys_by_id((issuer.public,)))
    except RemoteError:
        return None


async def _activations(work: UnitOfWork, lock: Lock, inventory: Inventory, now: datetime) -> list[Drift]:
    """PINs in use at the keypad that were never read out here: who knows the door's seed could make one."""
    found: list[Drift] = []
    for one in inventory.activations:
        pin = one.pin
        given = await work.given_pins.twins(lock.id, pin.epoch, int(pin.code), pin.start_hour)
        if one.until <= whole_seconds(now) or pin.n in {twin.n for twin in given}:
            continue
        detail: dict[str, object] = {
            "code": pin.code.name.lower(),
            "until": from_seconds(one.until).isoformat(),
        }
        found.append(Drift("activation", f"{pin.epoch}:{int(pin.code)}:{pin.start_hour}:{pin.n}", detail))
    return found
