"""Entries to occupied rooms, and what people were told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from lockserver.domain.entry import Entry, Notice
from tests.sim.memory.rows import Rows, by


class Entries(Rows[Entry]):
    """Entries of owner or staff to occupied rooms."""

    table = "entries"
    record = Entry

    async def of_lock(self, lock_id: UUID, since: datetime) -> Sequence[Entry]:
        """Return a lock's entries that ran, or run, until after this instant, newest first."""
        return await self.find(lambda row: row["upper"] > since, by("id", newest=True), lock_id=lock_id)

    async def end(self, entry_id: UUID, at: datetime) -> None:
        """Note that it has ended; once is for good."""
        async with self.statement("end") as work:
            await work.update(self.table, entry_id, {"ended_at": at}, lambda row: row["ended_at"] is None)

    async def emergencies(self, door_id: UUID, since: datetime) -> int:
        """Return how many emergencies were declared at a door that began after this instant."""
        return len(await self.find(lambda row: row["lower"] > since, door_id=door_id, kind="emergency"))


class Notices(Rows[Notice]):
    """What people were told."""

    table = "notices"
    record = Notice

    async def of_holder(self, holder_id: UUID, limit: int) -> Sequence[Notice]:
        """Return what a person was told, newest first."""
        return await self.find(order=by("id", newest=True), limit=limit, holder_id=holder_id)

    async def see(self, notice_id: UUID, at: datetime) -> None:
        """Note that it was seen; the first time counts."""
        async with self.statement("see") as work:
            await work.update(self.table, notice_id, {"seen_at": at}, lambda row: row["seen_at"] is None)

    async def told(self, about: UUID) -> Sequence[UUID]:
        """Return who was told about this."""
        return [notice.holder_id for notice in await self.find(about=about)]
