"""L-36: one key, one effect, one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.app.ports import Answer
from lockserver.db.repositories.platform import Idempotency
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.domain.account import Account
from lockserver.domain.errors import IdempotencyMismatchError, IdempotencyRunningError
from tests.support.database import Database
from tests.support.people import fresh

pytestmark = pytest.mark.contract

SAME, OTHER = b"\x01" * 32, b"\x02" * 32
Make = Callable[[AsyncConnection], Idempotency]


async def act(
    transactions: PostgresTransactions,
    *,
    caller: str = "holder:a",
    key: str = "k1",
    body: bytes = SAME,
    route: str = "POST /v1/houses",
    make: Make = Idempotency,
    crash: bool = False,
    pause: asyncio.Event | None = None,
    begun: asyncio.Event | None = None,
) -> Answer:
    """A request that acts: makes an account, and answers with its id."""
    async with transactions.begin() as work:
        idempotency = make(work.connection)
        known = await idempotency.begin(caller, key, route, body)
        if known is not None:
            return known
        made = Account(fresh(), fresh().bytes * 2, "138****0000")
        await work.accounts.add(made)
        if begun is not None:
            begun.set()
        if pause is not None:
            await pause.wait()
        answer = Answer(201, {"Location": f"/v1/accounts/{made.id}"}, made.id.bytes)
        await idempotency.finish(caller, key, answer)
        if crash:
            raise ConnectionError("the process dies before the commit")
    return answer


def effects(database: Database) -> int:
    return int(database.execute("SELECT count(*) FROM accounts")[0][0])


async def test_L36_the_same_request_gets_the_same_answer_and_one_effect(database: Database) -> None:
    transactions = database.transactions("api")
    first = await act(transactions)
    assert await act(transactions) == first
    assert effects(database) == 1


async def test_L36_another_body_or_route_is_refused(database: Database) -> None:
    transactions = database.transactions("api")
    await act(transactions)
    with pytest.raises(IdempotencyMismatchError):
        await act(transactions, body=OTHER)
    with pytest.raises(IdempotencyMismatchError):
        await act(transactions, route="POST /v1/locks")
    assert effects(database) == 1


async def test_L36_mutant_without_the_bodys_hash_the_wrong_answer_is_given(database: Database) -> None:
    class Careless(Idempotency):
        async def begin(self, caller: str, key: str, route: str, body_hash: bytes) -> Answer | None:
            return await super().begin(caller, key, route, SAME)

    transactions = database.transactions("api")
    first = await act(transactions)
    assert await act(transactions, body=OTHER, make=Careless) == first


async def test_L36_while_the_first_still_runs_the_second_is_told_so(database: Database) -> None:
    transactions = database.transactions("api")
    begun, pause = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(act(transactions, begun=begun, pause=pause))
    await begun.wait()
    with pytest.raises(IdempotencyRunningError):
        await act(transactions)
    pause.set()
    assert await act(transactions) == await first if first.done() else await first
    assert await act(transactions) == await first
    assert effects(database) == 1


async def test_L36_many_at_once_have_one_effect(database: Database) -> None:
    transactions = database.transactions("api")
    outcomes = await asyncio.gather(*(act(transactions) for _ in range(6)), return_exceptions=True)
    answers = {repr(outcome) for outcome in outcomes if isinstance(outcome, Answer)}
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Answer)]
    assert len(answers) == 1
    assert all(isinstance(outcome, IdempotencyRunningError) for outcome in refused)
    assert effects(database) == 1


async def test_L36_another_callers_key_is_his_own(database: Database) -> None:
    transactions = database.transactions("api")
    first = await act(transactions)
    second = await act(transactions, caller="holder:b", body=OTHER)
    assert second != first
    assert effects(database) == 2


async def test_L36_after_a_crash_the_retry_has_the_one_effect(database: Database) -> None:
    transactions = database.transactions("api")
    with pytest.raises(ConnectionError):
        await act(transactions, crash=True)
    assert effects(database) == 0
    first = await act(transactions)
    assert first.status == 201
    assert await act(transactions) == replace(first)
    assert effects(database) == 1


async def test_L36_mutant_with_its_own_transaction_a_crash_blocks_the_key(database: Database) -> None:
    transactions = database.transactions("api")

    class Apart(Idempotency):
        """Commits its row before the effect: what a crash leaves behind says "running" for ever."""

        async def begin(self, caller: str, key: str, route: str, body_hash: bytes) -> Answer | None:
            async with transactions.begin() as own:
                return await Idempotency(own.connection).begin(caller, key, route, body_hash)

    with pytest.raises(ConnectionError):
        await act(transactions, crash=True, make=Apart)
    with pytest.raises(IdempotencyRunningError):
        await act(transactions)
    assert effects(database) == 0
