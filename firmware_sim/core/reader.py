"""The keypad module's own memory: what it really holds, which a service tool may have edited.

The lock programs the module with the slots of every access state that it takes. Whoever opens the case
can write into the module past the lock; so a slot opens only if it stands in the signed state *and* the
module holds it unaltered. What the module holds beyond or besides the state opens nothing, is never
repaired in silence, and is told in the inventory: the server compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.slots import Slot, SlotKind, read_slots, slot_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware_sim.core.flash import Flash
    from lockserver.protocol.documents import AccessState

_PREFIX: Final = "reader."


@dataclass(frozen=True, slots=True)
class Reader:
    """The module of one lock."""

    flash: Flash

    def holds(self, kind: SlotKind, state: AccessState | None) -> tuple[Slot, ...]:
        """Every slot of a kind that the module holds, ascending by number."""
        slots = {slot.slot: slot for slot in named(kind, state)}
        version = 0 if state is None else state.version
        for number, edited_at, slot in self._edits(kind):
            if number in slots and version > edited_at:
                continue  # programmed anew since
            if slot is None:
                slots.pop(number, None)
            else:
                slots[number] = slot
        return tuple(slots[number] for number in sorted(slots))

    def usable(self, kind: SlotKind, state: AccessState | None) -> tuple[Slot, ...]:
        """The slots of the signed state that the module holds unaltered: only these open."""
        held = set(self.holds(kind, state))
        return tuple(slot for slot in named(kind, state) if slot in held)

    # ---- what a service tool does

    def plant(self, kind: SlotKind, slot: Slot, version: int) -> None:
        """Write `slot` into the module, past the lock; `version`: of the state it was last programmed by."""
        self.flash.put({_key(kind, slot.slot): encode([version, slot_rows((slot,))])})

    def lose(self, kind: SlotKind, number: int, version: int) -> None:
        """Wipe a place of the module."""
        self.flash.put({_key(kind, number): encode([version, []])})

    def _edits(self, kind: SlotKind) -> Iterator[tuple[int, int, Slot | None]]:
        """(number, state version then, slot or None for a wiped place)."""
        prefix = f"{_PREFIX}{kind.value}."
        for key in self.flash.names():
            if not key.startswith(prefix):
                continue
            row = decode(self.flash.get(key) or b"")
            if isinstance(row, list):
                version, rows = row
                slots = read_slots(rows)
                yield int(key.removeprefix(prefix)), int(version), slots[0] if slots else None


def named(kind: SlotKind, state: AccessState | None) -> tuple[Slot, ...]:
    """The slots of a kind in the signed state."""
    if state is None:
        return ()
    return {SlotKind.PIN: state.pins, SlotKind.CARD: state.cards, SlotKind.FINGER: state.fingers}[kind]


def _key(kind: SlotKind, number: int) -> str:
    return f"{_PREFIX}{kind.value}.{number:03d}"
