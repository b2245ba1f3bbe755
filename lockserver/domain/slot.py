"""Places in a lock's keypad and readers, as the server knows them; PINs that were read out; findings.

A slot is `set` because the lock said so, and never because it was sent: `setting` and `removing` wait for a report
of the version in which the change stands, and are shown as `unconfirmed` once that takes long.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from lockserver.domain.grant import GrantClass
from lockserver.protocol.slots import MAX_SLOT

SlotKind = Literal["pin", "card", "finger"]
Purpose = Literal["own", "guest", "backup"]
SlotState = Literal["unset", "setting", "set", "removing"]
Why = Literal["wish", "replaced", "frozen", "ended", "expired"]
CaptureState = Literal["new", "taken", "refused"]
Fallback = Literal["none", "setting", "set"]
FindingKind = Literal[
    "unknown_credential",
    "missing_credential",
    "altered_credential",
    "epoch",
    "version",
    "activation",
    "card_taken",
]

UNCONFIRMED_AFTER: Final = timedelta(seconds=60)
"""A lock with a connection answers within seconds; after a minute a person is told that it did not."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One PIN, card or finger at a lock, without what it is compared with.

    `wanted_version`: the access state in which the last change of it stands. `asked_at`: when that change was
    wanted, `settled_at`: when the lock last said that it had carried one out. `why`: for what reason it goes, or went.
    """

    id: UUID
    lock_id: UUID
    number: int
    kind: SlotKind
    purpose: Purpose
    class_: GrantClass
    lower: datetime
    upper: datetime
    asked_at: datetime
    state: SlotState = "setting"
    why: Why | None = None
    wanted_version: int | None = None
    settled_at: datetime | None = None
    holder_id: UUID | None = None
    grant_id: UUID | None = None
    given_by: UUID | None = None
    wish_id: UUID | None = None
    label: str = ""
    epoch: int | None = None

    @property
    def wanted(self) -> bool:
        """Whether it is to work: it stands in the access state that the lock should hold."""
        return self.state in ("setting", "set")

    @property
    def held(self) -> bool:
        """Whether the lock may hold it: its number is taken until the lock has said that it is gone."""
        return self.state != "unset"

    def unconfirmed(self, at: datetime) -> timedelta | None:
        """How long the lock's word has been waited for, once that is longer than it should be."""
        if self.state not in ("setting", "removing"):
            return None
        waited = at - self.asked_at
        return waited if waited > UNCONFIRMED_AFTER else None

    def leaving(self, why: Why, version: int, at: datetime) -> "Slot":
        """Return it on its way out of the lock: from this version on it is wanted no more."""
        return replace(self, state="removing", why=why, wanted_version=version, asked_at=at)

    def wanted_again(self, number: int, version: int, at: datetime) -> "Slot":
        """Return it on its way back, after its grant was thawed."""
        return replace(self, state="setting", why=None, number=number, wanted_version=version, asked_at=at)


def next_number(taken: Collection[int], last: int | None) -> int:
    """Return a number that is free, the longest unused first; raises ValueError where none is.

    Numbers are never dealt out anew: a journal's entry of last month must not name who has that place today.
    """
    begin = last or 0
    for step in range(MAX_SLOT):
        number = (begin + step) % MAX_SLOT + 1
        if number not in taken:
            return number
    raise ValueError("every number is taken")


def fallback_of(slots: Collection[Slot]) -> Fallback:
    """How a tenant gets in without a refresh, by his own slots at his room (L-54).

    While one of his PINs is exchanged for another the lock holds one or the other, and he knows both.
    """
    states = {slot.state for slot in slots if slot.purpose == "own"}
    exchanged = any(slot.state == "removing" and slot.settled_at and slot.why == "replaced" for slot in slots)
    if "set" in states or ("setting" in states and exchanged):
        return "set"
    return "setting" if "setting" in states else "none"


@dataclass(frozen=True, slots=True)
class GivenPin:
    """An algorithmic PIN that was read out, by what its digits follow from.

    `lower`, `upper`: the instants between which it could open at all.
    """

    id: UUID
    lock_id: UUID
    holder_id: UUID
    grant_id: UUID
    wish_id: UUID
    epoch: int
    code: int
    start_hour: int
    n: int
    lower: datetime
    upper: datetime


@dataclass(frozen=True, slots=True)
class Capture:
    """A lock's signed word that it read a card or finger in; `digest` is the report's, and serves once."""

    id: UUID
    lock_id: UUID
    digest: bytes
    report: bytes
    state: CaptureState = "new"
    code: str | None = None
    slot_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a lock holds otherwise than the server believes. `mark`: what it is about, once per lock and kind."""

    id: UUID
    lock_id: UUID
    kind: FindingKind
    mark: str
    detail: dict[str, object]
    found_at: datetime
    seen_again_at: datetime
    cleared_at: datetime | None = None
