"""L-44: a landlord who has a crowd of locks asked for their button keeps no other request from being answered.

Each such question waits half a minute at the bridge, whose hands also take in what phones carried from locks.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from lockserver.db.changes import PostgresChanges
from lockserver.db.requests import PostgresRequests, serve_requests
from lockserver.domain.errors import ConflictError, DomainError
from lockserver.mqtt import offers as module
from lockserver.mqtt.offers import Offers
from lockserver.run.roles import bridge
from tests.support.database import Database
from tests.support.people import fresh

pytestmark = pytest.mark.contract

PATIENCE = 20.0


async def taken_meanwhile(database: Database, crowd: int) -> tuple[bool, int]:
    """(whether a phone's report was taken while a crowd of offers waited, how many of these wait on)."""
    waiting = Offers(lambda _serial, _message: True)
    stop = asyncio.Event()

    async def offer(body: dict[str, Any]) -> dict[str, Any]:
        return {"offer": await waiting.offer(body["serial"], bytes(65), PATIENCE)}

    async def report(_: dict[str, Any]) -> dict[str, Any]:
        return {"taken": True}

    async def crowding(requests: PostgresRequests, number: int) -> None:
        with pytest.raises(DomainError):
            await requests.ask("bridge", "offer", {"serial": f"LSIM-{number:04d}"}, PATIENCE)

    async with (
        PostgresChanges(database.url("bridge"), "requests_bridge") as heard,
        PostgresChanges(database.url("api"), "answers") as answers,
    ):
        handlers = {"offer": offer, "report": report}
        serving = asyncio.create_task(
            serve_requests(
                "bridge", handlers, stop, pool=database.pool("bridge"), changes=heard, workers=bridge.WORKERS
            )
        )
        requests = PostgresRequests(database.pool("api"), answers, fresh)
        crowds = [asyncio.create_task(crowding(requests, number)) for number in range(crowd)]
        while not waiting._waiting:
            await asyncio.sleep(0.05)
        try:
            taken = bool((await requests.ask("bridge", "report", {}, PATIENCE / 2))["taken"])
        except DomainError:
            taken = False
        held = len(waiting._waiting)
        for task in crowds:
            task.cancel()
        await asyncio.gather(*crowds, return_exceptions=True)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    return taken, held


async def test_L44_a_crowd_that_waits_for_buttons_keeps_no_report_waiting(database: Database) -> None:
    taken, held = await taken_meanwhile(database, 30)
    assert taken
    assert 0 < held <= module.AT_ONCE


async def test_L44_mutant_hands_that_all_wait_for_buttons_are_caught(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1_000)
    taken, _ = await taken_meanwhile(database, 30)
    assert not taken


async def test_whoever_comes_when_all_places_are_taken_is_told_at_once() -> None:
    waiting = Offers(lambda _serial, _message: True)
    asked = [
        asyncio.create_task(waiting.offer(secrets.token_hex(8).upper(), bytes(65), 60))
        for _ in range(module.AT_ONCE)
    ]
    await asyncio.sleep(0)
    with pytest.raises(ConflictError):
        await waiting.offer("LSIM-1", bytes(65), 60)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert not waiting._waiting
