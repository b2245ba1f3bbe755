"""Whatever somebody writes into one column of one row, PostgreSQL and the memory refuse it by the same rule.

Rows of every table are changed, or added once more, one column at a time: nothing in it, what another row
has there, a little more or less, a word that is none. Deferred laws are made to speak at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Table, create_engine, insert, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from lockserver.db.connection import async_url
from lockserver.db.tables import metadata
from lockserver.domain.errors import ConflictError, IntegrityRefusedError
from tests.contract.work.town import Town
from tests.sim.memory import MemoryStore, run
from tests.sim.memory.schema import TABLES
from tests.sim.memory.transaction import Transaction
from tests.sim.memory.triggers import OnlyAddedError
from tests.support.database import Database
from tests.support.workbench import PostgresBench

pytestmark = pytest.mark.contract

Row = dict[str, Any]
CHANGES = 900
APART = {"requests", "audit_log", "audit_checkpoints", "attempts", "receipts"}
"""Tables that no use case at the door writes by itself; the town has no rows of theirs."""


def others(table: str, column: str, row: Row, store: MemoryStore, random: Random) -> Iterator[Any]:
    """What might be written there instead."""
    was = row[column]
    if column not in TABLES[table].copied:  # there is a null of JSON's own
        yield None
    kept = [one[column] for one in store.tables[table].rows.values() if one[column] is not None]
    if kept:
        yield random.choice(kept)
    match was:
        case bool():
            yield not was
        case int():
            yield random.choice([was + 1, was - 1, 0, -1])
        case datetime():
            yield was + timedelta(days=random.choice([-400, -1, 1, 400]))
        case UUID():
            yield UUID(int=random.getrandbits(128))
        case bytes():
            yield was + b"\0"
        case str():
            yield random.choice(["nonsense", was])


def drawn(store: MemoryStore, random: Random) -> list[tuple[str, Row, Row]]:
    """(table, row, changes); a row with a new key is to be added, any other to be changed."""
    found: list[tuple[str, Row, Row]] = []
    for table, laws in TABLES.items():
        rows = store.rows(table)
        for row in random.sample(rows, k=min(3, len(rows))):
            fresh = {"id": UUID(int=random.getrandbits(128))} if laws.key == ("id",) else {}
            found += [(table, row, fresh)] if fresh else []
            for column in laws.columns:
                if column in laws.key:
                    continue
                for other in others(table, column, row, store, random):
                    found.append((table, row, {column: other}))
                    if fresh:
                        found.append((table, row, {**fresh, column: other}))
    return random.sample(found, k=min(CHANGES, len(found)))


def in_memory(store: MemoryStore, table: str, row: Row, changes: Row) -> str:
    """What the memory says to it."""

    async def write() -> None:
        work = Transaction(store)
        try:
            key = TABLES[table].key_of(row)
            if TABLES[table].key_of({**row, **changes}) == key:
                await work.update(table, key, changes)
            else:
                await work.insert(table, {**row, **changes})
            await work.judge()
        finally:
            work.end()

    try:
        run(write())
    except (ConflictError, IntegrityRefusedError) as refused:
        return str(refused.detail["rule"])
    except OnlyAddedError:
        return "only_added"
    return ""


def in_postgresql(connection: Connection, table: Table, row: Row, changes: Row) -> str:
    """What PostgreSQL says to it."""
    key = list(table.primary_key.columns)
    chosen = [column == row[str(column.key)] for column in key]
    adds = any(str(column.key) in changes for column in key)
    inside = connection.begin_nested()
    try:
        connection.execute(text("SET CONSTRAINTS ALL DEFERRED"))
        statement = insert(table).values({**row, **changes}) if adds else update(table).where(*chosen)
        connection.execute(statement if adds else statement.values(changes))
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    except DBAPIError as fault:
        diag = fault.orig.diag  # type: ignore[union-attr]  # psycopg's own errors have it
        return str(diag.constraint_name or diag.message_primary)
    finally:
        inside.rollback()
    return ""


def asked_of_both(database: Database, seed: int) -> Counter[str]:
    """Draw changes and put them to both; how often each rule spoke."""
    store, random = MemoryStore(), Random(seed)
    Town(store, seed)
    bench, tally = PostgresBench(database), Counter[str]()
    bench.copy(store)
    engine = create_engine(async_url(database.superuser), poolclass=NullPool)
    with engine.connect() as connection:
        for table, row, changes in drawn(store, random):
            if table in APART:
                continue
            wanted = in_postgresql(connection, metadata.tables[table], row, changes)
            given = in_memory(store, table, row, changes)
            assert given == wanted, (table, row, changes)
            tally[wanted] += 1
    engine.dispose()
    bench.close()
    return tally


def test_both_refuse_by_the_same_rule(database: Database) -> None:
    tally = asked_of_both(database, 1)
    assert tally[""] > 100, tally
    assert len(tally) > 60, tally


def test_mutant_a_memory_without_a_trigger_is_caught(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TABLES["grants"], "before", [])
    with pytest.raises(AssertionError, match="grants"):
        asked_of_both(database, 1)


def test_mutant_a_memory_without_a_unique_rule_is_caught(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for laws in TABLES.values():
        monkeypatch.setattr(laws, "unique", laws.unique[:1])
    with pytest.raises(AssertionError):
        asked_of_both(database, 1)
