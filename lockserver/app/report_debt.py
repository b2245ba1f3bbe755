"""What could still open a lock although the server says that it must not, and how to pay it off.

It is counted from what the lock itself last said that it holds: any list and access state from that number on
may be in it by now, and none below. Until it says more, everything that one of these would let in is owed.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from lockserver.app.find_presence import Presence, find_presence
from lockserver.app.found_grant import is_founded
from lockserver.app.ports import UnitOfWork
from lockserver.app.tend_slots import fault_of
from lockserver.domain.debt import Debt, DebtKind
from lockserver.domain.grant import Grant, GrantClass
from lockserver.domain.house import Door
from lockserver.domain.lock import IssuedCredential, Lock, LockStatus
from lockserver.domain.slot import GivenPin, Slot
from lockserver.domain.times import from_seconds, whole_seconds
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import (
    AccessState,
    RevocationList,
    read_access_state,
    read_revocation_list,
)
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.journal import What
from lockserver.protocol.pin import PinCode, subject_pin
from lockserver.protocol.slots import Slot as WireSlot


async def debt_of(work: UnitOfWork, lock: Lock, now: datetime) -> Sequence[Debt]:
    """Return every debt of a lock at this instant, the longest first."""
    door = await work.doors.one(lock.door_id)
    status = await work.lock_states.get(lock.id)
    presence = await find_presence(work, door, now)
    debts = [
        *await _credentials(work, lock, status, presence, now),
        *await _slots(work, lock, door, status, presence, now),
        *await _offline_pins(work, lock, door, status, presence, now),
        *await _found(work, lock, now),
    ]
    alive = [debt for debt in debts if debt.until > now and not _outlived(debt, status)]
    return sorted(alive, key=lambda debt: debt.until, reverse=True)


def _outlived(debt: Debt, status: LockStatus) -> bool:
    """Whether the lock has said that it holds a higher epoch: what is below it is dead there."""
    return debt.epoch is not None and status.epoch is not None and status.epoch > debt.epoch


async def _credentials(
    work: UnitOfWork, lock: Lock, status: LockStatus, presence: Presence, now: datetime
) -> list[Debt]:
    """Living keys that nobody may use, but for those on the list which the lock said it holds.

    While somebody lives there and the lock has not said that it knows so, owner's and staff's keys are
    among them: it would still let them in (L-52).
    """
    held = await _list(work, lock, status.revocation_number)
    owed = list(await work.credentials.void(lock.id, now))
    if _unaware(presence, status):
        owed += await work.credentials.without_entry(lock.id, now)
    owners = await work.credentials.owners([one.id for one in owed])
    debts = []
    for one in owed:
        if held is not None and (held.covers(one.id.bytes) or _below_floor(held, one)):
            continue
        former = one.epoch is not None and one.epoch < (presence.epoch or 0)
        kind: DebtKind = "former_key" if former else "credential"
        debts.append(Debt(kind, str(one.id), owners[one.id].class_, one.expires_at, one.epoch))
    return debts


def _unaware(presence: Presence, status: LockStatus) -> bool:
    return presence.occupied and not status.occupied


def _below_floor(held: RevocationList, one: IssuedCredential) -> bool:
    return held.iat_floor is not None and whole_seconds(one.issued_at) < held.iat_floor


async def _list(work: UnitOfWork, lock: Lock, number: int | None) -> RevocationList | None:
    """Return the list that the lock said it holds, as we signed it."""
    if number is None:
        return None
    kept = await work.lock_documents.since(lock.id, "revocation", number)
    if not kept or kept[0].number != number:
        return None
    try:
        return read_revocation_list(kept[0].raw, await _issuers(work))
    except RemoteError:
        return None


async def _issuers(work: UnitOfWork) -> dict[bytes, bytes]:
    return keys_by_id(((await work.site_keys.current("issuer")).public,))


async def _slots(
    work: UnitOfWork, lock: Lock, door: Door, status: LockStatus, presence: Presence, now: datetime
) -> list[Debt]:
    """Slots of any access state that the lock may hold, but for those that may work as they stand there."""
    allowed = await _allowed(work, lock, door, presence, now)
    unaware = _unaware(presence, status)
    owed: dict[str, Debt] = {}
    for state in await _states(work, lock, status.state_number):
        for kind, slot in _placed(state):
            row = allowed.get((kind, slot.slot))
            resident = slot.holder_class.resident
            inside = row is not None and slot.until <= whole_seconds(row.upper)
            if inside and (resident or not unaware):
                continue
            class_: GrantClass = slot.holder_class.name.lower()  # type: ignore[assignment]  # the same words
            epoch = slot.epoch if resident else None
            mark = f"{kind}:{slot.slot}:{slot.verifier.hex()}"
            owed[mark] = Debt(kind, mark, class_, from_seconds(slot.until), epoch)
    return list(owed.values())


async def _allowed(
    work: UnitOfWork, lock: Lock, door: Door, presence: Presence, now: datetime
) -> dict[tuple[str, int], Slot]:
    """Return the slots that may work now, by kind and number: no number has two owners in what the lock may hold."""
    allowed = {}
    for slot in await work.slots.held(lock.id):
        if slot.wanted and (await fault_of(work, slot, door, presence.home, now))[0] is None:
            allowed[(slot.kind, slot.number)] = slot
    return allowed  # type: ignore[return-value]  # a literal's own words


async def _states(work: UnitOfWork, lock: Lock, number: int | None) -> list[AccessState]:
    """Return every access state that the lock may hold: what it reported last, and whatever came after."""
    issuers, states = await _issuers(work), []
    for one in await work.lock_documents.since(lock.id, "state", number or 0):
        try:
            states.append(read_access_state(one.raw, issuers))
        except RemoteError:
            continue  # signed by a key that is no more: locks do not take it either
    return states


def _placed(state: AccessState) -> Iterator[tuple[DebtKind, WireSlot]]:
    yield from (("pin", slot) for slot in state.pins)
    yield from (("card", slot) for slot in state.cards)
    yield from (("finger", slot) for slot in state.fingers)


async def _offline_pins(
    work: UnitOfWork, lock: Lock, door: Door, status: LockStatus, presence: Presence, now: datetime
) -> list[Debt]:
    """PINs that were read out for a right that is no more; a clear code that was keyed in ends them."""
    cleared = await _cleared(work, lock)
    debts = []
    for pin in await work.given_pins.living(lock.id, now):
        code = PinCode(pin.code)
        if code is PinCode.CLEAR or (code is not PinCode.OWNER and pin.start_hour <= cleared):
            continue
        grant = await work.grants.get(pin.grant_id)
        sound = grant is not None and await _sound(work, grant, door, pin, now)
        if sound and not (code is PinCode.OWNER and _unaware(presence, status)):
            continue
        class_: GrantClass = "owner" if code is PinCode.OWNER else "guest"
        epoch = pin.epoch if door.kind == "room" and code is not PinCode.OWNER else None
        debts.append(Debt("offline_pin", str(pin.id), class_, pin.upper, epoch))
    return debts


async def _sound(work: UnitOfWork, grant: Grant, door: Door, pin: GivenPin, now: datetime) -> bool:
    over = grant.upper is not None and (grant.upper <= now or grant.upper < pin.upper)
    return grant.state == "active" and not over and await is_founded(work, grant, door)


async def _cleared(work: UnitOfWork, lock: Lock) -> int:
    """Return the start hour of the last clear code that was keyed in; -1 for none."""
    line = await work.journals.newest_among(lock.id, [int(What.CLEARED)])
    if line is None or line.subject is None:
        return -1
    try:
        return subject_pin(int.from_bytes(line.subject))[1]
    except RemoteError:
        return -1


async def _found(work: UnitOfWork, lock: Lock, now: datetime) -> list[Debt]:
    """What an inventory showed that nobody here sent or gave."""
    debts = []
    for finding in await work.findings.open_of(lock.id):
        until = finding.detail.get("until")
        if (
            finding.kind not in ("unknown_credential", "altered_credential", "activation")
            or type(until) is not str
        ):
            continue
        kind: DebtKind = "activation" if finding.kind == "activation" else finding.detail["kind"]  # type: ignore[assignment]
        class_: GrantClass = finding.detail.get("class", "guest")  # type: ignore[assignment]
        debts.append(
            Debt(kind, f"found:{finding.kind}:{finding.mark}", class_, datetime.fromisoformat(until))
        )
    return [debt for debt in debts if debt.until > now]
