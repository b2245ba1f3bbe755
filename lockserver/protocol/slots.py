"""PIN, card and finger slots of an access state.

A slot holds a verifier, never the PIN, the card's UID or the template: ``pin.verifier``.  Without the
door seed, which only the lock and the issuer hold, a carrying phone cannot try PINs against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from lockserver.protocol.claims import HolderClass
from lockserver.protocol.fields import as_choice, as_list, as_octets, as_uint, bad
from lockserver.protocol.limits import ID, MAX_NUMBER, MAX_SLOTS, MAX_TIME

VERIFIER = 16
"""Bytes of a verifier."""

MAX_SLOT = 255
"""Highest slot number of a lock's keypad or card reader."""


class SlotKind(StrEnum):
    """What a slot is compared with.  The word stands in its verifier."""

    PIN = "pin"
    CARD = "card"
    FINGER = "finger"


@dataclass(frozen=True, slots=True)
class Slot:
    """One PIN, card or finger: window ``[nbf, until)`` in Unix seconds; ``epoch`` None at a shared door."""

    slot: int
    verifier: bytes
    subject: bytes
    nbf: int
    until: int
    holder_class: HolderClass
    epoch: int | None = None


def slot_rows(slots: tuple[Slot, ...]) -> list[list[object]]:
    """Slots as they are signed: ``[slot, verifier, subject, nbf, until, class, epoch / null]``."""
    return [
        [s.slot, s.verifier, s.subject, s.nbf, s.until, int(s.holder_class), s.epoch]
        for s in sorted(slots, key=lambda s: s.slot)
    ]


def read_slots(value: object) -> tuple[Slot, ...]:
    """The reverse of ``slot_rows``: at most MAX_SLOTS, their numbers ascend."""
    rows = as_list(value, "slots", most=MAX_SLOTS)
    slots = tuple(_read_slot(as_list(row, "slot", length=7)) for row in rows)
    if any(b.slot <= a.slot for a, b in pairwise(slots)):
        raise bad("slots do not ascend")
    return slots


def _read_slot(row: Sequence[object]) -> Slot:
    number, verifier, subject, nbf, until, holder_class, epoch = row
    if holder_class == HolderClass.GATEWAY:
        raise bad("a gateway has no slot")
    return Slot(
        slot=as_uint(number, MAX_SLOT, "slot"),
        verifier=as_octets(verifier, VERIFIER, "verifier"),
        subject=as_octets(subject, ID, "subject"),
        nbf=as_uint(nbf, MAX_TIME, "nbf"),
        until=as_uint(until, MAX_TIME, "until"),
        holder_class=as_choice(holder_class, HolderClass, "class"),
        epoch=None if epoch is None else as_uint(epoch, MAX_NUMBER, "epoch"),
    )
