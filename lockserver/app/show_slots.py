"""What people may know of a lock's PINs, cards and fingers: their own, and how much room is left.

A landlord sees his own and his staff's; of a resident's and his guests' he sees that places are taken, and no
more (L-49). Nobody is ever shown what a slot is compared with.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from lockserver.app.find_standing import Standing, find_standing
from lockserver.app.ports import UnitOfWork
from lockserver.domain.slot import Slot, SlotKind

Whose = Literal["mine", "given", "staff", "backup"]


@dataclass(frozen=True, slots=True)
class ShownSlot:
    """One slot, and whose it is to the reader; `backup`: nobody's yet."""

    slot: Slot
    whose: Whose


@dataclass(frozen=True, slots=True)
class ShownSlots:
    """What this reader may see, and how many places are taken in all, by kind."""

    slots: Sequence[ShownSlot]
    taken: dict[SlotKind, int]


async def show_slots(work: UnitOfWork, reader: UUID, lock_id: UUID, now: datetime) -> ShownSlots:
    """Return the reader's part; raises NotFoundError."""
    standing = await find_standing(work, reader, lock_id, now)
    held = await work.slots.held(lock_id)
    shown = [ShownSlot(slot, whose) for slot in held if (whose := _whose(slot, standing)) is not None]
    return ShownSlots(shown, Counter(slot.kind for slot in held if slot.held))


def _whose(slot: Slot, standing: Standing) -> Whose | None:
    if slot.holder_id == standing.holder_id:
        return "mine"
    if slot.given_by == standing.holder_id:
        return "given"
    if slot.class_ == "staff" and standing.owns:
        return "staff"
    if slot.purpose == "backup" and slot.holder_id is None and standing.adult:
        return "backup"
    return None
