"""The pattern of every repository here: a table, a record, and looks and writes over a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, TypeVar
from uuid import UUID

from lockserver.domain.errors import ConflictError, IntegrityRefusedError, NotFoundError
from tests.sim.memory.schema import TABLES, Row
from tests.sim.memory.store import MemoryStore
from tests.sim.memory.transaction import NO_KEY_UPDATE, AbortedError, Transaction
from tests.sim.memory.triggers import OnlyAddedError

Record = TypeVar("Record")


class Connection:
    """Where statements go: into one transaction, or each into one of its own (`transaction` None)."""

    def __init__(self, store: MemoryStore, role: str = "", transaction: Transaction | None = None) -> None:
        self.store = store
        self.role = role
        self.transaction = transaction

    def statement(self, effect: str = "") -> Statement:
        """Return the context of one statement; one that writes names its effect, a boundary."""
        return Statement(self, effect)


class Statement:
    """One statement: all of it, or its transaction is spoilt."""

    def __init__(self, connection: Connection, effect: str) -> None:
        self._connection = connection
        self._effect = effect
        self._work: Transaction | None = None

    async def __aenter__(self) -> Transaction:
        shared = self._connection.transaction
        if shared is not None and shared.failed:
            raise AbortedError
        if self._effect:
            await self._connection.store.boundary(self._effect)
        self._work = shared or Transaction(self._connection.store, self._connection.role)
        return self._work

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        work = self._work
        assert work is not None
        if self._connection.transaction is not None:
            if isinstance(error, _SPOILING):
                work.spoil()
            return
        try:
            if error is None:
                await work.commit()
        finally:
            work.end()


_SPOILING: Final = (ConflictError, IntegrityRefusedError, OnlyAddedError)
_NAMES: Final[dict[type[Any], tuple[str, ...]]] = {}


def names_of(record: type[Any]) -> tuple[str, ...]:
    """Return a record's field names, which are column keys."""
    names = _NAMES.get(record)
    if names is None:
        names = _NAMES[record] = tuple(field.name for field in fields(record))
    return names


def read(record: type[Record], row: Row) -> Record:
    """Return a row as a record of its own, which shares nothing that can change."""
    return record(*[_own(row[name]) for name in names_of(record)])


def _own(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _own(one) for name, one in value.items()}
    return [_own(one) for one in value] if isinstance(value, list) else value


def values(record: object) -> dict[str, Any]:
    """Return what a record writes."""
    return {name: getattr(record, name) for name in names_of(type(record))}


def by(*names: str, newest: bool = False) -> Callable[[Iterable[Row]], list[Row]]:
    """Return ORDER BY these columns."""
    return lambda rows: sorted(rows, key=lambda row: [row[name] for name in names], reverse=newest)


class Rows(Generic[Record]):
    """Records of one table, by id."""

    table: ClassVar[str]
    record: ClassVar[type[Any]]
    key: ClassVar[str] = "id"

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def statement(self, verb: str = "") -> Statement:
        """Return the context of one statement; `verb` where it writes."""
        return self.connection.statement(f"{self.table}.{verb}" if verb else "")

    def read(self, row: Row) -> Record:
        """Return a row as a record."""
        made: Record = read(self.record, row)
        return made

    async def find(
        self,
        where: Callable[[Row], bool] = lambda _row: True,
        order: Callable[[Iterable[Row]], list[Row]] = list,
        limit: int | None = None,
        **equal: Any,
    ) -> list[Record]:
        """Return the records with these values that the condition holds for."""
        async with self.statement() as work:
            rows = order(row for row in work.rows(self.table, **equal) if where(row))
            return [self.read(row) for row in rows[:limit]]

    async def first(
        self,
        where: Callable[[Row], bool] = lambda _row: True,
        order: Callable[[Iterable[Row]], list[Row]] = list,
        **equal: Any,
    ) -> Record | None:
        """Return the first of them, or None."""
        found = await self.find(where, order, 1, **equal)
        return found[0] if found else None

    async def holding(
        self,
        where: Callable[[Row], bool] = lambda _row: True,
        order: Callable[[Iterable[Row]], list[Row]] = list,
        limit: int | None = None,
        mode: int = NO_KEY_UPDATE,
        **equal: Any,
    ) -> list[Record]:
        """Return and hold them."""

        def meant(row: Row) -> bool:
            return all(row[name] == value for name, value in equal.items()) and where(row)

        async with self.statement() as work:
            rows = order(row for row in work.rows(self.table, **equal) if where(row))
            return [self.read(row) for row in await work.held_rows(self.table, rows[:limit], meant, mode)]

    async def add(self, record: Record) -> None:
        """Insert it; raises ConflictError where a unique rule refuses it."""
        async with self.statement("add") as work:
            await work.insert(self.table, values(record))

    async def get(self, row_id: UUID) -> Record | None:
        """Return the record, or None."""
        async with self.statement() as work:
            row = work.row(self.table, row_id)
            return None if row is None else self.read(row)

    async def one(self, row_id: UUID) -> Record:
        """Return the record; raises NotFoundError."""
        found = await self.get(row_id)
        if found is None:
            raise NotFoundError
        return found

    async def lock(self, row_id: UUID) -> Record:
        """Return the record and hold it until the transaction ends; raises NotFoundError."""
        async with self.statement() as work:
            seen = work.row(self.table, row_id)
            held = await work.held_rows(self.table, [] if seen is None else [seen])
        if not held:
            raise NotFoundError
        return self.read(held[0])

    async def save(self, record: Record) -> None:
        """Write every field of an existing record; raises NotFoundError, ConflictError."""
        changes = values(record)
        key = TABLES[self.table].key_of(changes)
        async with self.statement("save") as work:
            written = await work.update(self.table, key, changes)
        if written is None:
            raise NotFoundError

    async def change(self, verb: str, key: Any, **changes: Any) -> bool:
        """Write some columns of one row; tell whether it was there."""
        async with self.statement(verb) as work:
            return await work.update(self.table, key, changes) is not None


def some(found: Sequence[Record]) -> Record | None:
    """Return the first, or None."""
    return found[0] if found else None
