"""Who has to wait for whom: two transactions side by side, in PostgreSQL and in the memory.

The first asks something and stays open. Whether what the second asks can be answered meanwhile, and with
what, both keepers must say alike. PostgreSQL's wait is told by its lock time-out: who need not wait never
meets it, however slow the machine is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from psycopg.errors import InFailedSqlTransaction
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lockserver.db.repositories.rows import refusals
from lockserver.domain.errors import DomainError
from tests.contract.work.questions import NEW, Question, Questions, asked
from tests.contract.work.test_same_answers import SILENT, told
from tests.contract.work.town import Town
from tests.sim.memory import AbortedError, MemoryStore, MemoryTransactions, Wait, run
from tests.sim.memory import transaction as room
from tests.support.database import Database
from tests.support.workbench import PostgresBench

pytestmark = pytest.mark.contract

PAIRS = 150
WAITS = "waits"
HOLDS = {
    "begin", "by_invite", "by_refresh", "children", "claim_received", "codes_since", "hold", "hold_all",
    "last_code", "lock", "next_seq", "of_occupant", "of_tenancy", "overdue", "stale", "unproven", "waiting",
}  # fmt: skip
"""Methods that look and hold what they saw: with those that write over a row, they are asked more often."""


async def put(question: Question, work: Any) -> Any:
    """What comes of a question in an open transaction."""
    try:
        with refusals():
            return told(question, await question.put_to(work))
    except (DomainError, AbortedError, DBAPIError, InFailedSqlTransaction) as refused:
        if isinstance(refused, DomainError) and "lock timeout" in str(refused.detail.get("rule")):
            return WAITS
        return told(question, refused)


async def in_postgresql(bench: PostgresBench, first: Question, second: Question) -> tuple[Any, Any]:
    said: tuple[Any, Any] = (None, None)
    try:
        async with bench.transactions().begin() as one, bench.transactions().begin() as two:
            await two.connection.execute(text("SET LOCAL lock_timeout = '30ms'"))  # type: ignore[attr-defined]
            said = (await put(first, one), await put(second, two))
            raise InterruptedError  # noqa: TRY301 - neither is to be
    except InterruptedError:
        return said


def in_memory(store: MemoryStore, first: Question, second: Question) -> tuple[Any, Any]:
    async def side_by_side() -> tuple[Any, Any]:
        transactions = MemoryTransactions(store)
        async with transactions.begin() as one, transactions.begin() as two:
            said = await put(first, one)
            said = (said, driven(put(second, two)))
            for work in (one, two):
                assert work.connection.transaction is not None
                work.connection.transaction.spoil()  # neither is to be
            return said

    return run(side_by_side())


def driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What it ends with, or that it waits."""
    try:
        given = coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    assert isinstance(given, Wait)
    coroutine.close()
    return WAITS


def pairs(drawer: Questions, random: Random) -> list[tuple[Question, Question]]:
    """Mostly two questions about one row of one repository, else any two."""
    by_repository: dict[str, list[str]] = {}
    for repository, method in asked():
        often = 6 if method in HOLDS or (method in SILENT and method not in NEW) else 1
        by_repository.setdefault(repository, []).extend([method] * often)
    found: list[tuple[Question, Question]] = []
    while len(found) < PAIRS:
        one = random.choice(sorted(by_repository))
        row = drawer.a_row_of(one, always=True)
        other = one if random.random() < 0.8 else random.choice(sorted(by_repository))
        first = drawer.draw(one, random.choice(by_repository[one]), row)
        found.append((first, drawer.draw(other, random.choice(by_repository[other]), row)))
    return found


@pytest_asyncio.fixture
async def postgres_bench(database: Database) -> AsyncIterator[PostgresBench]:
    bench = PostgresBench(database)
    yield bench
    bench.close()


async def differences(bench: PostgresBench, seed: int) -> tuple[list[Any], Counter[bool]]:
    """Pairs that the two keepers answer differently, and how many of all had to wait."""
    store, random = MemoryStore(), Random(seed)
    Town(store, seed)
    bench.copy(store)
    found: list[Any] = []
    waited = Counter[bool]()
    for first, second in pairs(Questions(store, random), random):
        wanted = await in_postgresql(bench, first, second)
        given = in_memory(store, first, second)
        waited[wanted[1] == WAITS] += 1
        if given != wanted:
            found.append((first, second, given, wanted))
    return found, waited


async def test_both_let_the_same_wait(postgres_bench: PostgresBench) -> None:
    found, waited = await differences(postgres_bench, 3)
    assert found == []
    assert waited[True] > 10, waited


async def test_mutant_a_memory_in_which_nobody_waits_is_caught(
    postgres_bench: PostgresBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_CLASH", frozenset())
    found, _ = await differences(postgres_bench, 3)
    assert found
