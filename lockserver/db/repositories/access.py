"""Entries to occupied rooms, and what people were told."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update

from lockserver.db.repositories.rows import Rows
from lockserver.db.tables import EntryRow, NoticeRow, table_of
from lockserver.domain.entry import Entry, Notice


class Entries(Rows[Entry]):
    """Entries of owner or staff to occupied rooms."""

    table = table_of(EntryRow)
    record = Entry

    async def of_lock(self, lock_id: UUID, since: datetime) -> Sequence[Entry]:
        """Return a lock's entries that ran, or run, until after this instant, newest first."""
        table = self.table
        statement = self.select().where(table.c.lock_id == lock_id, table.c.upper > since)
        return await self.all(statement.order_by(table.c.id.desc()))

    async def end(self, entry_id: UUID, at: datetime) -> None:
        """Note that it has ended; once is for good."""
        open_ = (self.table.c.id == entry_id) & self.table.c.ended_at.is_(None)
        await self.run(update(self.table).where(open_).values(ended_at=at))

    async def emergencies(self, door_id: UUID, since: datetime) -> int:
        """Return how many emergencies were declared at a door that began after this instant."""
        table = self.table
        counted = select(func.count()).select_from(table)
        return int(
            await self.scalar(
                counted.where(table.c.door_id == door_id, table.c.kind == "emergency", table.c.lower > since)
            )
        )


class Notices(Rows[Notice]):
    """What people were told."""

    table = table_of(NoticeRow)
    record = Notice

    async def of_holder(self, holder_id: UUID, limit: int) -> Sequence[Notice]:
        """Return what a person was told, newest first."""
        statement = self.select().where(self.table.c.holder_id == holder_id)
        return await self.all(statement.order_by(self.table.c.id.desc()).limit(limit))

    async def see(self, notice_id: UUID, at: datetime) -> None:
        """Note that it was seen; the first time counts."""
        unseen = (self.table.c.id == notice_id) & self.table.c.seen_at.is_(None)
        await self.run(update(self.table).where(unseen).values(seen_at=at))

    async def told(self, about: UUID) -> Sequence[UUID]:
        """Return who was told about this."""
        return [
            notice.holder_id for notice in await self.all(self.select().where(self.table.c.about == about))
        ]
