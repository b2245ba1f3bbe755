"""Repositories of PINs, cards and fingers, of what locks captured, and of findings about locks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from lockserver.app.ports.rows import Rows
from lockserver.domain.slot import Capture, CaptureState, Finding, FindingKind, GivenPin, Slot, SlotKind


class Slots(Rows[Slot], Protocol):
    """Places in keypads and readers."""

    async def place(self, slot: Slot, verifier: bytes, digits: bytes | None = None) -> None:
        """Insert a slot with what it is compared with; `digits`: a backup PIN's, sealed to this row.

        Raises ConflictError where its number is taken.
        """
        ...

    async def held(self, lock_id: UUID) -> Sequence[Slot]:
        """Return every slot that the lock may hold, and those that a frozen grant waits for; by number."""
        ...

    async def of_grants(self, grant_ids: Sequence[UUID]) -> Sequence[Slot]:
        """Return the slots of these grants that are not gone."""
        ...

    async def of_purpose(self, lock_id: UUID, epoch: int, purpose: str) -> Sequence[Slot]:
        """Return every slot of this purpose and epoch that the lock ever had."""
        ...

    async def last_number(self, lock_id: UUID, kind: SlotKind) -> int | None:
        """Return the number that was dealt out last."""
        ...

    async def verifiers(self, lock_id: UUID) -> Mapping[UUID, bytes]:
        """Return what the slots that are not gone are compared with (issuer)."""
        ...

    async def digits(self, slot_id: UUID) -> bytes | None:
        """Return a backup PIN's sealed digits (issuer)."""
        ...

    async def at_number(self, lock_id: UUID, kind: SlotKind, number: int) -> Sequence[Slot]:
        """Return whoever had this place, newest first."""
        ...

    async def settle(self, lock_id: UUID, version: int, at: datetime) -> Sequence[Slot]:
        """Take the lock's word for its version: what stands in it is set, or gone. Returns those changed."""
        ...

    async def locks_to_refresh(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks whose access state still names a slot that may not work, or lacks one that may."""
        ...


class GivenPins(Rows[GivenPin], Protocol):
    """Algorithmic PINs that were read out."""

    async def by_wish(self, wish_id: UUID) -> GivenPin | None:
        """Return what this wish was answered with."""
        ...

    async def twins(self, lock_id: UUID, epoch: int, code: int, start_hour: int) -> Sequence[GivenPin]:
        """Return those given for this hour."""
        ...

    async def of_hour(self, lock_id: UUID, code: int, start_hour: int, n: int) -> Sequence[GivenPin]:
        """Return the PIN of this code, hour and n in each epoch, newest first."""
        ...

    async def living(self, lock_id: UUID, at: datetime) -> Sequence[GivenPin]:
        """Return those that could still open, or will."""
        ...


class Captures(Rows[Capture], Protocol):
    """What locks captured."""

    async def bring(self, capture: Capture) -> None:
        """Keep a lock's signed word; nothing happens where it is kept already."""
        ...

    async def settle(
        self, capture_id: UUID, state: CaptureState, code: str | None, slot_id: UUID | None
    ) -> None:
        """Write what became of it."""
        ...

    async def waiting(self, lock_id: UUID) -> Sequence[Capture]:
        """Return those of a lock that nobody has judged, oldest first."""
        ...

    async def taken(self, lock_id: UUID) -> Sequence[Capture]:
        """Return those of a lock of which slots came, oldest first."""
        ...


class Findings(Rows[Finding], Protocol):
    """What is otherwise than it should be."""

    async def open_of(self, lock_id: UUID) -> Sequence[Finding]:
        """Return what was found and is not cleared, oldest first."""
        ...

    async def newest(self, lock_id: UUID, limit: int) -> Sequence[Finding]:
        """Return the last findings, open ones first, newest first."""
        ...

    async def saw(self, finding: Finding) -> bool:
        """Note it, or that it was seen again; tell whether it is new."""
        ...

    async def clear(
        self, lock_id: UUID, kinds: Sequence[FindingKind], marks: Sequence[str], at: datetime
    ) -> int:
        """Clear the open findings of these kinds but for those with these marks (`kind:mark`)."""
        ...
