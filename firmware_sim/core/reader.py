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
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.limits import MAX_ALL_SLOTS, MAX_SLOTS
from lockserver.protocol.slots import MAX_SLOT, Slot, SlotKind, read_slots, slot_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware_sim.core.flash import Flash
    from firmware_sim.core.held import Record
    from lockserver.protocol.documents import AccessState

_PREFIX: Final = "reader."


@dataclass(frozen=True, slots=True)
class Reader:
    """The module of one lock."""

    flash: Flash

    def holds(self, kind: SlotKind, state: AccessState | None) -> tuple[Slot, ...]:
        """Every slot of a kind that the module holds, ascending by number."""
        return self._all(state)[kind]

    def _all(self, state: AccessState | None) -> dict[SlotKind, tuple[Slot, ...]]:
        """What the state wants goes first; what is foreign has the places that are left."""
        held = {kind: self._programmed(kind, state) for kind in SlotKind}
        room = MAX_ALL_SLOTS - sum(len(slots) for slots, _ in held.values())
        merged = {}
        for kind, (slots, foreign) in held.items():
            fits = foreign[: max(0, min(room, MAX_SLOTS - len(slots)))]
            room -= len(fits)
            merged[kind] = tuple(sorted((*slots, *fits), key=lambda slot: slot.slot))
        return merged

    def _programmed(self, kind: SlotKind, state: AccessState | None) -> tuple[list[Slot], list[Slot]]:
        """(what stands in the places that the state uses, what stands in others)."""
        slots = {slot.slot: slot for slot in named(kind, state)}
        foreign: list[Slot] = []
        for number, slot in self._edits(kind):
            if number not in slots:
                foreign += [] if slot is None else [slot]
            elif slot is None:
                del slots[number]
            else:
                slots[number] = slot
        return list(slots.values()), foreign

    def usable(self, kind: SlotKind, state: AccessState | None) -> tuple[Slot, ...]:
        """The slots of the signed state that the module holds unaltered: only these open."""
        held = set(self.holds(kind, state))
        return tuple(slot for slot in named(kind, state) if slot in held)

    def program(self, state: AccessState) -> Record:
        """A newer state is taken: every place that it uses is written anew. What to put into flash."""
        used = {_key(kind, slot.slot) for kind in SlotKind for slot in named(kind, state)}
        return {key: None for key in self.flash.names() if key in used}

    # ---- what a service tool does

    def plant(self, kind: SlotKind, slot: Slot, state: AccessState | None) -> None:
        """Write `slot` into the module, past the lock. ValueError: no such place, or all are taken."""
        if not 0 <= slot.slot <= MAX_SLOT:
            message = f"places have numbers up to {MAX_SLOT}"
            raise ValueError(message)
        held = self._all(state)
        new = slot.slot not in {other.slot for other in held[kind]}
        if new and (len(held[kind]) >= MAX_SLOTS or sum(map(len, held.values())) >= MAX_ALL_SLOTS):
            message = f"the module is full: {MAX_SLOTS} places of a kind, {MAX_ALL_SLOTS} in all"
            raise ValueError(message)
        self.flash.put({_key(kind, slot.slot): encode(slot_rows((slot,)))})

    def lose(self, kind: SlotKind, number: int) -> None:
        """Wipe a place of the module."""
        self.flash.put({_key(kind, number): encode([])})

    def _edits(self, kind: SlotKind) -> Iterator[tuple[int, Slot | None]]:
        """(number, slot or None for a wiped place). What is no slot is a wiped place too."""
        prefix = f"{_PREFIX}{kind.value}."
        for key in self.flash.names():
            if key.startswith(prefix):
                yield int(key.removeprefix(prefix)), _slot(self.flash.get(key) or b"")


def named(kind: SlotKind, state: AccessState | None) -> tuple[Slot, ...]:
    """The slots of a kind in the signed state."""
    if state is None:
        return ()
    return {SlotKind.PIN: state.pins, SlotKind.CARD: state.cards, SlotKind.FINGER: state.fingers}[kind]


def _slot(raw: bytes) -> Slot | None:
    try:
        slots = read_slots(decode(raw))
    except RemoteError:
        return None
    return slots[0] if slots else None


def _key(kind: SlotKind, number: int) -> str:
    return f"{_PREFIX}{kind.value}.{number:03d}"
