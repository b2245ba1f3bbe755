"""PINs, cards, fingers; PINs that were read out; what locks captured; findings."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import and_, exists, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from lockserver.db.repositories.rows import Rows, refusals
from lockserver.db.tables import (
    CaptureRow,
    FindingRow,
    GrantRow,
    LockRow,
    OfflinePinRow,
    SlotRow,
    table_of,
)
from lockserver.domain.slot import Capture, CaptureState, Finding, FindingKind, GivenPin, Slot, SlotKind

if TYPE_CHECKING:
    from lockserver.app.ports import slots as ports

_grants = table_of(GrantRow)
_locks = table_of(LockRow)


class Slots(Rows[Slot]):
    """Places in keypads and readers."""

    table = table_of(SlotRow)
    record = Slot

    async def place(self, slot: Slot, verifier: bytes, digits: bytes | None = None) -> None:
        """Insert a slot with what it is compared with, and a backup PIN's sealed digits."""
        values = {**self.values(slot), "verifier": verifier, "digits_sealed": digits}
        await self.run(insert(self.table).values(values))

    async def held(self, lock_id: UUID) -> Sequence[Slot]:
        """Return every slot that the lock may hold, and those that a frozen grant waits for; by number."""
        table = self.table
        kept = or_(table.c.state != "unset", table.c.why == "frozen")
        return await self.all(
            self.select().where(table.c.lock_id == lock_id, kept).order_by(table.c.kind, table.c.number)
        )

    async def of_grants(self, grant_ids: Sequence[UUID]) -> Sequence[Slot]:
        """Return the slots of these grants that are not gone."""
        table = self.table
        return await self.all(
            self.select()
            .where(table.c.grant_id.in_(grant_ids), table.c.state != "unset")
            .order_by(table.c.id)
        )

    async def of_purpose(self, lock_id: UUID, epoch: int, purpose: str) -> Sequence[Slot]:
        """Return every slot of this purpose and epoch that the lock ever had."""
        table = self.table
        mine = and_(table.c.lock_id == lock_id, table.c.epoch == epoch, table.c.purpose == purpose)
        return await self.all(self.select().where(mine).order_by(table.c.id))

    async def last_number(self, lock_id: UUID, kind: SlotKind) -> int | None:
        """Return the number that was dealt out last."""
        table = self.table
        found: int | None = await self.scalar(
            select(table.c.number)
            .where(table.c.lock_id == lock_id, table.c.kind == kind)
            .order_by(table.c.id.desc())
            .limit(1)
        )
        return found

    async def verifiers(self, lock_id: UUID) -> Mapping[UUID, bytes]:
        """Return what the slots that are not gone are compared with."""
        table = self.table
        kept = or_(table.c.state != "unset", table.c.why == "frozen")
        statement = select(table.c.id, table.c.verifier).where(table.c.lock_id == lock_id, kept)
        with refusals():
            return {row[0]: bytes(row[1]) for row in await self.connection.execute(statement)}

    async def digits(self, slot_id: UUID) -> bytes | None:
        """Return a backup PIN's sealed digits."""
        found: bytes | None = await self.scalar(
            select(self.table.c.digits_sealed).where(self.table.c.id == slot_id)
        )
        return found

    async def at_number(self, lock_id: UUID, kind: SlotKind, number: int) -> Sequence[Slot]:
        """Return whoever had this place, newest first."""
        table = self.table
        place = and_(table.c.lock_id == lock_id, table.c.kind == kind, table.c.number == number)
        return await self.all(self.select().where(place).order_by(table.c.id.desc()))

    async def settle(self, lock_id: UUID, version: int, at: datetime) -> Sequence[Slot]:
        """Take the lock's word for its version: what stands in it is set, or gone."""
        table = self.table
        changed: list[Slot] = []
        for before, after in (("setting", "set"), ("removing", "unset")):
            waiting = and_(
                table.c.lock_id == lock_id, table.c.state == before, table.c.wanted_version <= version
            )
            statement = update(table).where(waiting).values(state=after, settled_at=at)
            changed += await self.all(statement.returning(*self.columns()))
        return changed

    async def locks_to_refresh(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks whose state still names a slot that may not work, or that captured something."""
        table, captures = self.table, table_of(CaptureRow)
        named = table.c.state.in_(("setting", "set"))
        moved = and_(table.c.purpose != "backup", _grants.c.upper != table.c.upper)
        dead = or_(_grants.c.state != "active", moved)
        thawed = and_(table.c.why == "frozen", _grants.c.state == "active", table.c.upper > at)
        in_service = _locks.c.state == "active"
        turned = exists().where(
            table.c.lock_id == _locks.c.id, table.c.grant_id == _grants.c.id, or_(and_(named, dead), thawed)
        )
        captured = exists().where(captures.c.lock_id == _locks.c.id, captures.c.state == "new")
        statement = select(_locks.c.id).where(in_service, or_(turned, captured)).limit(limit)
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]


class GivenPins(Rows[GivenPin]):
    """Algorithmic PINs that were read out."""

    table = table_of(OfflinePinRow)
    record = GivenPin

    async def by_wish(self, wish_id: UUID) -> GivenPin | None:
        """Return what this wish was answered with."""
        return await self.first(self.select().where(self.table.c.wish_id == wish_id))

    async def twins(self, lock_id: UUID, epoch: int, code: int, start_hour: int) -> Sequence[GivenPin]:
        """Return those given for this hour."""
        table = self.table
        return await self.all(
            self.select()
            .where(
                table.c.lock_id == lock_id,
                table.c.epoch == epoch,
                table.c.code == code,
                table.c.start_hour == start_hour,
            )
            .order_by(table.c.n)
        )

    async def of_hour(self, lock_id: UUID, code: int, start_hour: int, n: int) -> Sequence[GivenPin]:
        """Return the PIN of this code, hour and n in each epoch, newest first."""
        table = self.table
        named = and_(
            table.c.lock_id == lock_id,
            table.c.code == code,
            table.c.start_hour == start_hour,
            table.c.n == n,
        )
        return await self.all(self.select().where(named).order_by(table.c.id.desc()))

    async def living(self, lock_id: UUID, at: datetime) -> Sequence[GivenPin]:
        """Return those that could still open, or will."""
        table = self.table
        return await self.all(
            self.select().where(table.c.lock_id == lock_id, table.c.upper > at).order_by(table.c.id)
        )


class Captures(Rows[Capture]):
    """What locks captured."""

    table = table_of(CaptureRow)
    record = Capture

    async def bring(self, capture: Capture) -> None:
        """Keep a lock's signed word; nothing happens where it is kept already."""
        values = self.values(capture)
        await self.run(upsert(self.table).values(values).on_conflict_do_nothing(index_elements=["digest"]))

    async def settle(
        self, capture_id: UUID, state: CaptureState, code: str | None, slot_id: UUID | None
    ) -> None:
        """Write what became of it."""
        settled = update(self.table).where(self.table.c.id == capture_id)
        await self.run(settled.values(state=state, code=code, slot_id=slot_id))

    async def waiting(self, lock_id: UUID) -> Sequence[Capture]:
        """Return those of a lock that nobody has judged, oldest first."""
        table = self.table
        return await self.all(
            self.select()
            .where(table.c.lock_id == lock_id, table.c.state == "new")
            .order_by(table.c.id)
            .with_for_update()
        )

    async def taken(self, lock_id: UUID) -> Sequence[Capture]:
        """Return those of a lock of which slots came, oldest first."""
        table = self.table
        mine = self.select().where(table.c.lock_id == lock_id, table.c.state == "taken")
        return await self.all(mine.order_by(table.c.id))


class Findings(Rows[Finding]):
    """What is otherwise than it should be."""

    table = table_of(FindingRow)
    record = Finding

    async def open_of(self, lock_id: UUID) -> Sequence[Finding]:
        """Return what was found and is not cleared, oldest first."""
        table = self.table
        return await self.all(
            self.select()
            .where(table.c.lock_id == lock_id, table.c.cleared_at.is_(None))
            .order_by(table.c.found_at, table.c.id)
        )

    async def newest(self, lock_id: UUID, limit: int) -> Sequence[Finding]:
        """Return the last findings, open ones first, newest first."""
        table = self.table
        order = (table.c.cleared_at.is_not(None), table.c.found_at.desc(), table.c.id.desc())
        return await self.all(self.select().where(table.c.lock_id == lock_id).order_by(*order).limit(limit))

    async def saw(self, finding: Finding) -> bool:
        """Note it, or that it was seen again; tell whether it is new."""
        table = self.table
        again = and_(
            table.c.lock_id == finding.lock_id,
            table.c.kind == finding.kind,
            table.c.mark == finding.mark,
            table.c.cleared_at.is_(None),
        )
        seen = update(table).where(again).values(seen_again_at=finding.seen_again_at, detail=finding.detail)
        if await self.run(seen):
            return False
        await self.add(finding)
        return True

    async def clear(
        self, lock_id: UUID, kinds: Sequence[FindingKind], marks: Sequence[str], at: datetime
    ) -> int:
        """Clear the open findings of these kinds but for those with these marks (`kind:mark`)."""
        table = self.table
        named = table.c.kind + ":" + table.c.mark
        return await self.run(
            update(table)
            .where(
                table.c.lock_id == lock_id,
                table.c.cleared_at.is_(None),
                table.c.kind.in_(kinds),
                named.not_in(marks),
            )
            .values(cleared_at=at)
        )


if TYPE_CHECKING:

    def _holds(
        slots: Slots, pins: GivenPins, captures: Captures, findings: Findings
    ) -> tuple["ports.Slots", "ports.GivenPins", "ports.Captures", "ports.Findings"]:
        return slots, pins, captures, findings
