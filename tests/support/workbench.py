"""One set of questions for two keepers of rows: PostgreSQL, and the memory of `tests.sim.memory`.

`workbench` (tests/contract/conftest.py) is parametrised over both. What a test asserts through it, both
must keep.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, get_args

import psycopg
from sqlalchemy import create_engine, insert, select, text, update
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from lockserver.app import ports
from lockserver.app.ports.asking import Channel
from lockserver.db.changes import PostgresChanges
from lockserver.db.connection import Pool, async_url, driver_url
from lockserver.db.tables import metadata
from lockserver.db.unit_of_work import PostgresTransactions
from tests.sim.memory import MemoryStore, MemoryTransactions, Pause, interleave
from tests.support.database import Database

Values = dict[str, Any]


class Workbench(Protocol):
    """What both can do."""

    name: str

    def transactions(self, role: str = "") -> ports.Transactions:
        """Units of work as a role; as who may do anything where none is named."""
        ...

    def rows(self, table: str, **equal: Any) -> list[Values]:
        """Committed rows, columns by their keys."""
        ...

    def force(self, table: str, where: Values | None = None, **changes: Any) -> int:
        """Change rows with the laws off; how many there were."""
        ...

    def plant(self, table: str, **values: Any) -> None:
        """Insert a row with the laws off."""
        ...

    def heard(self) -> list[tuple[str, str]]:
        """What was told since this was asked last: channel, payload."""
        ...

    def changes(self) -> AbstractAsyncContextManager[ports.Changes]:
        """Listen, as a process does."""
        ...

    async def together(self, *coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run these at the same time; what each returned or raised."""
        ...


async def give_way(_effect: str) -> None:
    """Let others go on before every effect."""
    await Pause()


class MemoryBench:
    """The memory."""

    name = "memory"

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.seed = 0
        self._heard = 0

    def transactions(self, role: str = "") -> ports.Transactions:
        return MemoryTransactions(self.store, role)

    def rows(self, table: str, **equal: Any) -> list[Values]:
        return self.store.rows(table, **equal)

    def force(self, table: str, where: Values | None = None, **changes: Any) -> int:
        return self.store.force(table, where, **changes)

    def plant(self, table: str, **values: Any) -> None:
        self.store.plant(table, **values)

    def heard(self) -> list[tuple[str, str]]:
        new = self.store.heard[self._heard :]
        self._heard = len(self.store.heard)
        return new

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[ports.Changes]:
        yield self.store

    async def together(self, *coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        """In turns, which change at every effect."""
        before, self.store.boundary = self.store.boundary, give_way
        try:
            return list(interleave(random.Random(self.seed).randrange, *coroutines))
        finally:
            self.store.boundary = before


class PostgresBench:
    """A real PostgreSQL."""

    name = "postgres"

    def __init__(self, database: Database) -> None:
        self.database = database
        self._engine = create_engine(async_url(database.superuser), poolclass=NullPool)
        self._ear: psycopg.Connection[Any] | None = None
        self._as: dict[str, PostgresTransactions] = {}

    def listen(self) -> None:
        """Hear every channel from now on."""
        self._ear = psycopg.connect(driver_url(self.database.superuser), autocommit=True)
        for channel in (*get_args(Channel), "so_far"):
            self._ear.execute(f"LISTEN {channel}".encode())

    def close(self) -> None:
        if self._ear is not None:
            self._ear.close()
        self._engine.dispose()

    def transactions(self, role: str = "") -> ports.Transactions:
        if role not in self._as:
            pool = Pool(self.database.url(role) if role else self.database.superuser, size=4)
            self.database.pools.append(pool)
            self._as[role] = PostgresTransactions(pool)
        return self._as[role]

    def rows(self, table: str, **equal: Any) -> list[Values]:
        of = metadata.tables[table]
        statement = select(of).where(*(of.c[name] == value for name, value in equal.items()))
        with self._engine.connect() as connection:
            return [
                {str(column.key): value for column, value in zip(of.columns, row, strict=True)}
                for row in connection.execute(statement)
            ]

    def force(self, table: str, where: Values | None = None, **changes: Any) -> int:
        of = metadata.tables[table]
        chosen = [of.c[name] == value for name, value in (where or {}).items()]
        with self._engine.begin() as connection:
            _lawless(connection)
            return connection.execute(update(of).where(*chosen).values(changes)).rowcount

    def plant(self, table: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            _lawless(connection)
            connection.execute(insert(metadata.tables[table]).values(values))

    def copy(self, store: MemoryStore) -> None:
        """Keep exactly what the memory keeps (its audit log apart)."""
        with self._engine.begin() as connection:
            _lawless(connection)
            named = ", ".join(table.name for table in metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {named}"))
            for table in metadata.sorted_tables:
                rows = store.rows(table.name)
                if rows and table.name != "audit_log":
                    connection.execute(insert(table), rows)

    def heard(self) -> list[tuple[str, str]]:
        assert self._ear is not None
        self._ear.execute("SELECT pg_notify('so_far', '')")
        new: list[tuple[str, str]] = []
        for notice in self._ear.notifies(timeout=10):
            if notice.channel == "so_far":
                break
            new.append((notice.channel, notice.payload))
        return new

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[ports.Changes]:
        async with PostgresChanges(self.database.url("api")) as changes:
            yield changes

    async def together(self, *coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        return list(await asyncio.gather(*coroutines, return_exceptions=True))


def _lawless(connection: Connection) -> None:
    connection.execute(text("SET LOCAL session_replication_role = replica"))
