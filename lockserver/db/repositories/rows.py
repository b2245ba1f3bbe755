"""The pattern of every repository: a table, a record, and the handful of statements between them.

A record is a frozen dataclass of `lockserver.domain` whose field names are column names of the
table (a subset of them: what a role may not read is simply not in its record).

    class PlantRows(Rows[Plant]):
        table = table_of(PlantRow)
        record = Plant

        async def of_garden(self, garden_id: UUID) -> Sequence[Plant]:
            return await self.all(self.select().where(self.table.c.garden_id == garden_id))
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import ColumnElement, Executable, Select, Table, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.domain.errors import ConflictError, IntegrityRefusedError, NotFoundError

Record = TypeVar("Record")

UNIQUE = "23505"
EXCLUSION = "23P01"
LOCK_TIMEOUT = "55P03"
DEADLOCK = "40P01"


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the database refuses into refusals with a code; other faults pass through.

    Unique and exclusion rules, and lost races, are conflicts; the rest of the integrity rules
    (CHECK, foreign key, our own triggers) are laws. `rule` in the detail names the constraint.
    """
    try:
        yield
    except (DBAPIError, psycopg.Error) as fault:
        cause = fault.orig if isinstance(fault, DBAPIError) else fault
        state = getattr(cause, "sqlstate", None)
        diag = getattr(cause, "diag", None)
        rule = getattr(diag, "constraint_name", None) or getattr(diag, "message_primary", None)
        if state in (UNIQUE, EXCLUSION, LOCK_TIMEOUT, DEADLOCK):
            raise ConflictError(rule=rule) from fault
        if isinstance(fault, IntegrityError | psycopg.IntegrityError):
            raise IntegrityRefusedError(rule=rule) from fault
        raise


class Rows(Generic[Record]):
    """Records of one table, by id, inside one transaction."""

    table: ClassVar[Table]
    record: ClassVar[type[Any]]
    key: ClassVar[str] = "id"

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the record's field names, which are the columns it reads and writes."""
        return tuple(field.name for field in fields(cls.record))

    @classmethod
    def columns(cls) -> tuple[ColumnElement[Any], ...]:
        """Return the columns of the record."""
        return tuple(cls.table.c[name] for name in cls.names())

    @classmethod
    def select(cls) -> Select[Any]:
        """Return a SELECT of the record's columns."""
        return select(*cls.columns())

    @classmethod
    def values(cls, record: Record) -> dict[str, Any]:
        """Return what a record writes."""
        return {name: getattr(record, name) for name in cls.names()}

    async def run(self, statement: Executable) -> int:
        """Carry out a statement; return how many rows it touched."""
        with refusals():
            result = await self.connection.execute(statement)
        return int(getattr(result, "rowcount", 0))

    async def all(self, statement: Executable) -> Sequence[Record]:
        """Return the records that a SELECT of `columns` finds."""
        with refusals():
            result = await self.connection.execute(statement)
        return [self.record(*row) for row in result]

    async def first(self, statement: Executable) -> Record | None:
        """Return the first record that a SELECT of `columns` finds, or None."""
        with refusals():
            row = (await self.connection.execute(statement)).first()
        return None if row is None else self.record(*row)

    async def scalar(self, statement: Executable) -> Any:  # noqa: ANN401 - a column's own type
        """Return the first column of the first row, or None."""
        with refusals():
            return (await self.connection.execute(statement)).scalar()

    async def add(self, record: Record) -> None:
        """Insert it; raises ConflictError where a unique rule refuses it."""
        await self.run(insert(self.table).values(self.values(record)))

    async def get(self, row_id: UUID) -> Record | None:
        """Return the record, or None."""
        return await self.first(self.select().where(self.table.c[self.key] == row_id))

    async def one(self, row_id: UUID) -> Record:
        """Return the record; raises NotFoundError."""
        found = await self.get(row_id)
        if found is None:
            raise NotFoundError
        return found

    async def lock(self, row_id: UUID) -> Record:
        """Return the record and hold it until the transaction ends; raises NotFoundError."""
        statement = self.select().where(self.table.c[self.key] == row_id)
        found = await self.first(statement.with_for_update(key_share=True))
        if found is None:
            raise NotFoundError
        return found

    async def save(self, record: Record) -> None:
        """Write every field of an existing record; raises NotFoundError, ConflictError."""
        values = self.values(record)
        row_id = values.pop(self.key)
        statement = update(self.table).where(self.table.c[self.key] == row_id).values(values)
        if await self.run(statement) == 0:
            raise NotFoundError
