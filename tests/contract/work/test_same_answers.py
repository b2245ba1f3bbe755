"""Whatever a use case may ask, PostgreSQL and the memory answer alike, refuse alike, and keep alike.

Questions are drawn from the ports' own signatures over a town that is planted into both; both are asked
in step, and afterwards every row of every table is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from psycopg.errors import InFailedSqlTransaction
from sqlalchemy.exc import DBAPIError

from lockserver.app.ports import Steps, Transactions
from lockserver.db.repositories.rows import refusals
from lockserver.domain.errors import DomainError
from tests.contract.work.questions import NEW, Question, Questions, asked, is_there, methods, repositories
from tests.contract.work.town import NOW, Town
from tests.sim.memory import AbortedError, MemoryStore, commands, run
from tests.sim.memory.schema import TABLES, UNREAD
from tests.sim.memory.steps import Steps as MemorySteps
from tests.support.database import Database
from tests.support.workbench import MemoryBench, PostgresBench

pytestmark = pytest.mark.contract

IN_NO_ORDER = {
    ("locks", "active"),
    ("locks", "releasing"),
    ("locks", "at_turning_doors"),
    ("locks", "with_stale_access"),
    ("lock_documents", "lagging"),
    ("commands", "open_locks"),
    ("commands", "carried_out_or_refused"),
    ("wishes", "wishers"),
    ("wishes", "spent_at"),
    ("notices", "told"),
    ("houses", "staff_wishes"),
    ("slots", "settle"),
    ("slots", "locks_to_refresh"),
    ("gateways", "active"),
    ("gateway_credentials", "wanting"),
    ("gateway_credentials", "with_stale"),
    ("lock_states", "connected"),
    ("tenancies", "over_at"),
    ("duties", "open_due_before"),
    ("case_files", "drop_parts"),
    ("case_files", "withdrawn_with_face"),
    ("case_files", "kept_idle_since"),
    ("case_files", "kept_and_receipted"),
}
"""No order is promised (or none among equals): compared as a bag."""
SILENT = {
    "abandon", "add", "add_code", "add_occupant", "add_staff", "add_verdict", "advance", "allow_again", "append",
    "bring", "disconnected", "end", "file", "finish", "keep_secret", "keep_secrets", "keep_terms",
    "note_ways", "open", "place", "put", "raise_version", "refuse", "revoke", "save", "save_code",
    "save_occupant", "save_part", "saw", "says", "see", "settle", "spend", "touch", "void_keys_of_retired",
    "withdraw", "withdraw_entry", "write",
}  # fmt: skip
"""Methods that only write."""
DRAWN = {("audit_log", "id"), ("audit_log", "txid")}
"""Columns whose values each keeper draws for itself."""


def timeless(value: Any) -> Any:
    """A value without what only tells when the test ran: the town lived long before."""
    if isinstance(value, datetime):
        return "now" if value > NOW + timedelta(days=90) else value
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value), *[timeless(getattr(value, field.name)) for field in fields(value)])
    if isinstance(value, list | tuple):
        return [timeless(one) for one in value]
    return {name: timeless(one) for name, one in value.items()} if isinstance(value, dict) else value


def told(question: Question, outcome: Any) -> Any:
    """An outcome, so that two of them can be compared."""
    if isinstance(outcome, DomainError):
        return (outcome.code, outcome.detail)
    if isinstance(outcome, AbortedError | DBAPIError | InFailedSqlTransaction):
        return "aborted"
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, Sequence) and not isinstance(outcome, str | bytes):
        found = [timeless(one) for one in outcome]
        in_no_order = (question.repository, question.method) in IN_NO_ORDER
        return sorted(found, key=repr) if in_no_order else found
    return timeless(outcome)


async def outcomes(transactions: Transactions, questions: Sequence[Question], *, undo: bool) -> list[Any]:
    """Put the questions in one transaction; what came of each, and of the commit."""
    said: list[Any] = []
    try:
        async with transactions.begin() as work:
            for question in questions:
                try:
                    with refusals():
                        said.append(told(question, await question.put_to(work)))
                except (DomainError, AbortedError, DBAPIError, InFailedSqlTransaction) as refused:
                    said.append(told(question, refused))
            if undo:
                raise InterruptedError  # noqa: TRY301 - the way out of a transaction that is not to be
    except InterruptedError:
        said.append("undone")
    except DomainError as refused:
        said.append((refused.code, refused.detail))
    return said


def kept(bench: PostgresBench | MemoryBench) -> dict[str, list[dict[str, Any]]]:
    """Every row, without what only tells the time of its writing."""
    found = {}
    for name in TABLES:
        rows = [
            {column: timeless(value) for column, value in row.items() if (name, column) not in DRAWN}
            for row in bench.rows(name)
        ]
        found[name] = sorted(rows, key=repr)
    return found


def differing(one: MemoryBench, other: PostgresBench) -> dict[str, Any]:
    """Rows that only one of them keeps so, by table."""
    mine, theirs = kept(one), kept(other)
    return {
        name: (
            [row for row in mine[name] if row not in theirs[name]],
            [row for row in theirs[name] if row not in mine[name]],
        )
        for name in TABLES
        if mine[name] != theirs[name]
    }


@pytest_asyncio.fixture
async def postgres_bench(database: Database) -> AsyncIterator[PostgresBench]:
    bench = PostgresBench(database)
    yield bench
    bench.close()


@pytest.mark.parametrize("seed", range(2))
async def test_both_answer_refuse_and_keep_alike(postgres_bench: PostgresBench, seed: int) -> None:
    store = MemoryStore()
    Town(store, seed)
    postgres_bench.copy(store)
    memory, random, tally = MemoryBench(store), Random(seed), Counter[str]()
    every = asked() * 2
    random.shuffle(every)
    while every:
        chosen = [every.pop() for _ in range(min(len(every), random.randrange(1, 5)))]
        drawer = Questions(store, random)
        questions = [drawer.draw(*one) for one in chosen]
        undo = random.random() < 0.3
        wanted = await outcomes(postgres_bench.transactions(), questions, undo=undo)
        given = await outcomes(memory.transactions(), questions, undo=undo)
        assert given == wanted, questions
        tally.update("refused" if isinstance(one, tuple) else "answered" for one in wanted)
    assert differing(memory, postgres_bench) == {}
    assert tally["refused"] > 20, tally
    assert tally["answered"] > 100, tally


def test_no_question_is_idle() -> None:
    """Every method is asked what it has an answer to, sooner or later: else agreement says nothing."""
    waiting = {one for one in asked() if one[1] not in SILENT}
    for seed in range(30):
        store = MemoryStore()
        Town(store, seed)
        memory, drawer = MemoryBench(store), Questions(store, Random(seed))
        for one in sorted(waiting) * 4:
            [said, *_] = run(outcomes(memory.transactions(), [drawer.draw(*one)], undo=True))
            if said and not (isinstance(said, tuple) and isinstance(said[0], str)):
                waiting.discard(one)
        if not waiting:
            break
    assert waiting == set(), "plant what they find (furnishing.py), or name them SILENT if they only write"


async def test_mutant_a_query_that_forgets_a_condition_is_caught(
    postgres_bench: PostgresBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "useless", lambda *_: False)
    store = MemoryStore()
    Town(store, 0)
    postgres_bench.copy(store)
    memory, drawer = MemoryBench(store), Questions(store, Random(0))
    differ = 0
    for _ in range(60):
        questions = [drawer.draw("credentials", "stale")]
        wanted = await outcomes(postgres_bench.transactions(), questions, undo=True)
        differ += await outcomes(memory.transactions(), questions, undo=True) != wanted
    assert differ


def test_nothing_of_the_schema_is_left_out() -> None:
    assert UNREAD == []


def test_the_memory_has_every_method_of_every_port() -> None:
    every = [(name, method) for name, port in repositories().items() for method in methods(port)]
    lacking = [one for one in every if not is_there(*one)]
    lacking += [("steps", name) for name in methods(Steps) if not hasattr(MemorySteps, name)]
    assert lacking == [], "tests/sim/memory has a repository for each; a few lines each"


def test_new_records_are_added_by_methods_that_exist() -> None:
    assert {method for _, method in asked()} >= NEW - {"make"}
