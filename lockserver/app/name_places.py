"""Whose a journal entry is that names a place at the lock, or an offline PIN, instead of a key (L-51)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.domain.ids import made_at
from lockserver.domain.lock import JournalLine, KeyOwner
from lockserver.domain.slot import Slot, SlotKind
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.journal import How
from lockserver.protocol.pin import PinCode, subject_pin

ID_OCTETS: Final = 16
NOBODY: Final = UUID(int=0)
"""Who keyed in a guest's PIN has no name here: it was read out by somebody, for somebody."""
_KINDS: Final[dict[int, SlotKind]] = {int(How.PIN): "pin", int(How.CARD): "card", int(How.FINGER): "finger"}

Place = tuple[int, bytes, int]


async def place_owners(
    work: UnitOfWork, lock_id: UUID, lines: Iterable[JournalLine]
) -> dict[Place, KeyOwner]:
    """Return whose the places are that these entries name, by how, subject and entry's number."""
    found: dict[Place, KeyOwner] = {}
    for line in lines:
        if line.subject is None or len(line.subject) == ID_OCTETS:
            continue
        if line.how in _KINDS and len(line.subject) == 1:
            slots = await work.slots.at_number(lock_id, _KINDS[line.how], line.subject[0])
            owner = await _holder(work, slots, line.at or line.received_at)
        else:
            owner = await _giver(work, lock_id, int.from_bytes(line.subject))
        if owner is not None:
            found[line.how, line.subject, line.number] = owner
    return found


async def _holder(work: UnitOfWork, slots: Sequence[Slot], at: datetime) -> KeyOwner | None:
    """Return who had the place then: the last to whom it was dealt out before; numbers go round slowly."""
    slot = next((one for one in slots if made_at(one.id) <= at), None)
    if slot is None or slot.holder_id is None or slot.grant_id is None:
        return None
    grant = await work.grants.get(slot.grant_id)
    return KeyOwner(slot.holder_id, slot.class_, None if grant is None else grant.tenancy_id, slot.given_by)


async def _giver(work: UnitOfWork, lock_id: UUID, subject: int) -> KeyOwner | None:
    """Return an owner's PIN as his own, a guest's as that of somebody whom its giver let in."""
    try:
        code, hour, n = subject_pin(subject)
    except RemoteError:
        return None
    for pin in await work.given_pins.of_hour(lock_id, int(code), hour, n):
        grant = await work.grants.get(pin.grant_id)
        tenancy = None if grant is None else grant.tenancy_id
        if code is PinCode.OWNER:
            return KeyOwner(pin.holder_id, "owner", tenancy, None)
        return KeyOwner(NOBODY, "guest", tenancy, pin.holder_id)
    return None
