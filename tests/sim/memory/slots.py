"""PINs, cards, fingers; PINs that were read out; what locks captured; findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from lockserver.domain.slot import Capture, CaptureState, Finding, FindingKind, GivenPin, Slot, SlotKind
from tests.sim.memory.rows import Rows, by, values
from tests.sim.memory.schema import Row
from tests.sim.memory.transaction import UPDATE, Transaction


class Slots(Rows[Slot]):
    """Places in keypads and readers."""

    table = "slots"
    record = Slot

    async def place(self, slot: Slot, verifier: bytes, digits: bytes | None = None) -> None:
        """Insert a slot with what it is compared with, and a backup PIN's sealed digits."""
        async with self.statement("place") as work:
            await work.insert(self.table, {**values(slot), "verifier": verifier, "digits_sealed": digits})

    async def held(self, lock_id: UUID) -> Sequence[Slot]:
        """Return every slot that the lock may hold, and those that a frozen grant waits for; by number."""
        return await self.find(_kept, by("kind", "number"), lock_id=lock_id)

    async def of_grants(self, grant_ids: Sequence[UUID]) -> Sequence[Slot]:
        """Return the slots of these grants that are not gone."""
        wanted = set(grant_ids)
        return await self.find(lambda row: row["grant_id"] in wanted and row["state"] != "unset", by("id"))

    async def of_purpose(self, lock_id: UUID, epoch: int, purpose: str) -> Sequence[Slot]:
        """Return every slot of this purpose and epoch that the lock ever had."""
        return await self.find(order=by("id"), lock_id=lock_id, epoch=epoch, purpose=purpose)

    async def last_number(self, lock_id: UUID, kind: SlotKind) -> int | None:
        """Return the number that was dealt out last."""
        last = await self.first(order=by("id", newest=True), lock_id=lock_id, kind=kind)
        return None if last is None else last.number

    async def verifiers(self, lock_id: UUID) -> Mapping[UUID, bytes]:
        """Return what the slots that are not gone are compared with."""
        async with self.statement() as work:
            rows = work.rows(self.table, lock_id=lock_id)
            return {row["id"]: row["verifier"] for row in rows if _kept(row)}

    async def digits(self, slot_id: UUID) -> bytes | None:
        """Return a backup PIN's sealed digits."""
        async with self.statement() as work:
            row = work.row(self.table, slot_id)
            return None if row is None else row["digits_sealed"]

    async def at_number(self, lock_id: UUID, kind: SlotKind, number: int) -> Sequence[Slot]:
        """Return whoever had this place, newest first."""
        return await self.find(order=by("id", newest=True), lock_id=lock_id, kind=kind, number=number)

    async def settle(self, lock_id: UUID, version: int, at: datetime) -> Sequence[Slot]:
        """Take the lock's word for its version: what stands in it is set, or gone."""
        changed: list[Slot] = []
        for before, after in (("setting", "set"), ("removing", "unset")):

            def waits(row: Row, before: str = before) -> bool:
                wanted = row["wanted_version"]
                return row["state"] == before and wanted is not None and wanted <= version

            async with self.statement("settle") as work:
                for row in work.rows(self.table, lock_id=lock_id):
                    if not waits(row):
                        continue
                    settled = await work.update(
                        self.table, row["id"], {"state": after, "settled_at": at}, waits
                    )
                    changed += [] if settled is None else [self.read(settled)]
        return changed

    async def locks_to_refresh(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks whose state still names a slot that may not work, or that captured something."""
        async with self.statement() as work:
            turned = {row["lock_id"] for row in work.rows(self.table) if _turned(work, row, at)}
            turned |= {row["lock_id"] for row in work.rows("captures", state="new")}
            return [row["id"] for row in work.rows("locks", state="active") if row["id"] in turned][:limit]


def _kept(row: Row) -> bool:
    return bool(row["state"] != "unset" or row["why"] == "frozen")


def _turned(work: Transaction, slot: Row, at: datetime) -> bool:
    """Tell whether a slot's grant asks for something else than the slot says."""
    grant = work.row("grants", slot["grant_id"])
    if grant is None:
        return False
    until = grant["upper"]
    moved = slot["purpose"] != "backup" and until is not None and until != slot["upper"]
    dead = slot["state"] in ("setting", "set") and (grant["state"] != "active" or moved)
    return bool(dead or (slot["why"] == "frozen" and grant["state"] == "active" and slot["upper"] > at))


class GivenPins(Rows[GivenPin]):
    """Algorithmic PINs that were read out."""

    table = "offline_pins"
    record = GivenPin

    async def by_wish(self, wish_id: UUID) -> GivenPin | None:
        """Return what this wish was answered with."""
        return await self.first(wish_id=wish_id)

    async def twins(self, lock_id: UUID, epoch: int, code: int, start_hour: int) -> Sequence[GivenPin]:
        """Return those given for this hour."""
        return await self.find(order=by("n"), lock_id=lock_id, epoch=epoch, code=code, start_hour=start_hour)

    async def of_hour(self, lock_id: UUID, code: int, start_hour: int, n: int) -> Sequence[GivenPin]:
        """Return the PIN of this code, hour and n in each epoch, newest first."""
        newest = by("id", newest=True)
        return await self.find(order=newest, lock_id=lock_id, code=code, start_hour=start_hour, n=n)

    async def living(self, lock_id: UUID, at: datetime) -> Sequence[GivenPin]:
        """Return those that could still open, or will."""
        return await self.find(lambda row: row["upper"] > at, by("id"), lock_id=lock_id)


class Captures(Rows[Capture]):
    """What locks captured."""

    table = "captures"
    record = Capture

    async def bring(self, capture: Capture) -> None:
        """Keep a lock's signed word; nothing happens where it is kept already."""
        async with self.statement("bring") as work:
            await work.insert(self.table, values(capture), or_nothing=("digest",))

    async def settle(
        self, capture_id: UUID, state: CaptureState, code: str | None, slot_id: UUID | None
    ) -> None:
        """Write what became of it."""
        await self.change("settle", capture_id, state=state, code=code, slot_id=slot_id)

    async def waiting(self, lock_id: UUID) -> Sequence[Capture]:
        """Return those of a lock that nobody has judged, oldest first."""
        return await self.holding(order=by("id"), mode=UPDATE, lock_id=lock_id, state="new")

    async def taken(self, lock_id: UUID) -> Sequence[Capture]:
        """Return those of a lock of which slots came, oldest first."""
        return await self.find(order=by("id"), lock_id=lock_id, state="taken")


class Findings(Rows[Finding]):
    """What is otherwise than it should be."""

    table = "findings"
    record = Finding

    async def open_of(self, lock_id: UUID) -> Sequence[Finding]:
        """Return what was found and is not cleared, oldest first."""
        return await self.find(order=by("found_at", "id"), lock_id=lock_id, cleared_at=None)

    async def newest(self, lock_id: UUID, limit: int) -> Sequence[Finding]:
        """Return the last findings, open ones first, newest first."""
        found = await self.find(order=by("found_at", "id", newest=True), lock_id=lock_id)
        return sorted(found, key=lambda one: one.cleared_at is not None)[:limit]

    async def saw(self, finding: Finding) -> bool:
        """Note it, or that it was seen again; tell whether it is new."""

        def is_open(row: Row) -> bool:
            return row["cleared_at"] is None and row["mark"] == finding.mark

        seen = {"seen_again_at": finding.seen_again_at, "detail": finding.detail}
        again = False
        async with self.statement("saw") as work:
            for row in work.rows(self.table, lock_id=finding.lock_id, kind=finding.kind):
                if is_open(row):
                    again |= await work.update(self.table, row["id"], seen, is_open) is not None
        if not again:
            await self.add(finding)
        return not again

    async def clear(
        self, lock_id: UUID, kinds: Sequence[FindingKind], marks: Sequence[str], at: datetime
    ) -> int:
        """Clear the open findings of these kinds but for those with these marks (`kind:mark`)."""

        def goes(row: Row) -> bool:
            named = f"{row['kind']}:{row['mark']}"
            return row["cleared_at"] is None and row["kind"] in kinds and named not in marks

        cleared = 0
        async with self.statement("clear") as work:
            for row in work.rows(self.table, lock_id=lock_id):
                if goes(row):
                    cleared += await work.update(self.table, row["id"], {"cleared_at": at}, goes) is not None
        return cleared
