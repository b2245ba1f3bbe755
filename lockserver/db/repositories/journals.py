"""Locks' journals, as they are kept."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, select, text

from lockserver.db.connection import driver
from lockserver.db.repositories.rows import Rows, refusals
from lockserver.db.tables import JournalRow, table_of
from lockserver.domain.lock import JournalLine

_APPEND = text(
    """
    INSERT INTO journal (lock_id, number, what, how, subject, denial, at, uncertainty, count,
                         prev_hash, hash, via, received_at)
    SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::int[], %s::int[], %s::bytea[], %s::int[],
                         %s::timestamptz[], %s::bigint[], %s::int[], %s::bytea[], %s::bytea[],
                         %s::text[], %s::timestamptz[])
    ON CONFLICT (lock_id, number) DO NOTHING
    """
).text


class Journals(Rows[JournalLine]):
    """Locks' journals."""

    table = table_of(JournalRow)
    record = JournalLine

    async def append(self, lines: Sequence[JournalLine]) -> int:
        """Add entries in one statement (columns as arrays); those already there stay."""
        if not lines:
            return 0
        columns = [[getattr(line, name) for line in lines] for name in self.names()]
        raw = await driver(self.connection)
        async with raw.cursor() as cursor:
            await cursor.execute(_APPEND, columns)
            return cursor.rowcount

    async def hashes(self, lock_id: UUID, numbers: Sequence[int]) -> dict[int, bytes]:
        """Return the kept hashes of these entries."""
        table = self.table
        statement = select(table.c.number, table.c.hash).where(
            table.c.lock_id == lock_id, table.c.number.in_(numbers)
        )
        with refusals():
            return {row[0]: row[1] for row in await self.connection.execute(statement)}

    async def newest(self, lock_id: UUID, limit: int) -> Sequence[JournalLine]:
        """Return the last entries, newest first."""
        table = self.table
        return await self.all(
            self.select().where(table.c.lock_id == lock_id).order_by(table.c.number.desc()).limit(limit)
        )

    async def newest_among(self, lock_id: UUID, whats: Sequence[int]) -> JournalLine | None:
        """Return the last entry that says one of these."""
        table = self.table
        chosen = and_(table.c.lock_id == lock_id, table.c.what.in_(whats))
        return await self.first(self.select().where(chosen).order_by(table.c.number.desc()).limit(1))

    async def count_since(self, lock_id: UUID, whats: Sequence[int], since: datetime, most: int) -> int:
        """Return how many entries that say one of these reached us since then, counting to `most`."""
        table = self.table
        chosen = and_(table.c.lock_id == lock_id, table.c.what.in_(whats), table.c.received_at >= since)
        some = select(table.c.number).where(chosen).limit(most).subquery()
        return int(await self.scalar(select(func.count()).select_from(some)))

    async def is_complete(self, lock_id: UUID) -> bool:
        """Tell whether every number from 1 to the last is kept."""
        table = self.table
        statement = select(func.count() == func.coalesce(func.max(table.c.number), 0)).where(
            table.c.lock_id == lock_id
        )
        return bool(await self.scalar(statement))
