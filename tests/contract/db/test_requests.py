"""One role asks another: answers, refusals, silence, lost notifications, blanked bodies, death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from lockserver.app.ports import Handler
from lockserver.db.changes import PostgresChanges
from lockserver.db.requests import PostgresRequests, answer_one, serve_requests
from lockserver.domain.errors import RoleFailedError, RoleSilentError, WishUsedError
from tests.support.database import Database
from tests.support.people import fresh

pytestmark = pytest.mark.contract


async def echo(body: dict[str, Any]) -> Mapping[str, Any]:
    return {"heard": body["say"], "key": b"\x01\xff"}


async def refuse(body: dict[str, Any]) -> None:
    raise WishUsedError(wish=body["say"])


async def break_down(body: dict[str, Any]) -> None:
    raise ZeroDivisionError


HANDLERS: dict[str, Handler] = {"echo": echo, "refuse": refuse, "break": break_down}


@asynccontextmanager
async def serving(database: Database, handlers: Mapping[str, Handler]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with PostgresChanges(database.url("issuer")) as changes:
        worker = asyncio.create_task(
            serve_requests("issuer", handlers, stop, pool=database.pool("issuer"), changes=changes, workers=2)
        )
        yield
        stop.set()
        await worker


@asynccontextmanager
async def asking(database: Database) -> AsyncIterator[PostgresRequests]:
    async with PostgresChanges(database.url("api")) as changes:
        yield PostgresRequests(database.pool("api"), changes, fresh)


async def test_an_answer_comes_back_and_nothing_of_it_stays(database: Database) -> None:
    async with serving(database, HANDLERS), asking(database) as requests:
        answer = await requests.ask("issuer", "echo", {"say": "你好"}, 5)
    assert answer == {"heard": "你好", "key": "Af8"}
    assert database.execute("SELECT state, body, response FROM requests") == [("done", None, None)]


async def test_a_refusal_travels_as_itself(database: Database) -> None:
    async with serving(database, HANDLERS), asking(database) as requests:
        with pytest.raises(WishUsedError) as refused:
            await requests.ask("issuer", "refuse", {"say": "w1"}, 5)
        assert refused.value.detail == {"wish": "w1"}
        with pytest.raises(RoleFailedError):
            await requests.ask("issuer", "break", {}, 5)
        with pytest.raises(RoleFailedError):
            await requests.ask("issuer", "unheard of", {}, 5)
        assert (await requests.ask("issuer", "echo", {"say": 1}, 5))["heard"] == 1


async def test_silence_is_said_and_the_request_is_not_begun_later(database: Database) -> None:
    async with asking(database) as requests:
        with pytest.raises(RoleSilentError):
            await requests.ask("issuer", "echo", {"say": 1}, 0.2)
    assert not await answer_one("issuer", HANDLERS, database.pool("issuer"))
    assert database.execute("SELECT state FROM requests") == [("new",)]


async def test_a_lost_notification_costs_a_poll_and_nothing_more(database: Database) -> None:
    async with serving(database, HANDLERS), asking(database) as requests:
        database.execute("CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS ''")
        database.execute(
            "ALTER ROLE ls_api IN DATABASE " + database.name + " SET search_path = public, pg_catalog"
        )
        database.execute(
            "ALTER ROLE ls_issuer IN DATABASE " + database.name + " SET search_path = public, pg_catalog"
        )
        quiet = PostgresRequests(database.pool("api"), requests._changes, fresh)
        assert (await quiet.ask("issuer", "echo", {"say": 2}, 5))["heard"] == 2


async def test_a_worker_that_dies_leaves_the_request_to_the_next(database: Database) -> None:
    begun = asyncio.Event()

    async def hang(body: dict[str, Any]) -> None:
        begun.set()
        await asyncio.sleep(60)

    async with asking(database) as requests:
        asked = asyncio.create_task(requests.ask("issuer", "echo", {"say": 3}, 10))
        while not database.execute("SELECT 1 FROM requests"):
            await asyncio.sleep(0.02)
        dying = asyncio.create_task(answer_one("issuer", {"echo": hang}, database.pool("issuer")))
        await begun.wait()
        pool = database.pool("issuer")
        assert not await answer_one("issuer", HANDLERS, pool)  # held: nobody else takes it
        dying.cancel()
        await asyncio.wait({dying})
        assert await answer_one("issuer", HANDLERS, pool)
        assert (await asked)["heard"] == 3


async def test_listeners_are_woken_after_their_connection_was_cut(database: Database) -> None:
    async with (
        PostgresChanges(database.url("api")) as changes,
        changes.watch("outbox") as all_of_it,
        changes.watch("outbox", "b") as only_b,
    ):
        database.execute("NOTIFY outbox, 'a'; NOTIFY outbox, 'b'")
        assert [await all_of_it.next(5), await all_of_it.next(5)] == ["a", "b"]
        assert await only_b.next(5) == "b"
        assert await only_b.next(0.01) is None
        waiting = asyncio.create_task(all_of_it.next(10))
        await asyncio.sleep(0)
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'lockserver-changes' AND datname = current_database()"
        )
        assert await waiting is None
        database.execute("NOTIFY outbox, 'c'")
        assert await all_of_it.next(10) == "c"


async def test_a_listener_without_a_server_says_so_at_once() -> None:
    with pytest.raises(psycopg.OperationalError):
        async with PostgresChanges("postgresql://nobody@127.0.0.1:1/none"):
            pass
