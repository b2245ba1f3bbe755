"""Roles in one process: ready when all serve, stopped together, failures told."""

from __future__ import annotations

import asyncio
import io
import json
import os
from typing import TYPE_CHECKING

import pytest

from lockserver.run import serve
from lockserver.settings import Role, Settings, load

if TYPE_CHECKING:
    from lockserver.run.roles import Ready, RoleMain

URL = "postgresql://u:p@127.0.0.1/lockserver"


def two() -> list[Settings]:
    return [load(Role.API, database_url=URL), load(Role.ISSUER, database_url=URL)]


def roles(monkeypatch: pytest.MonkeyPatch, **mains: RoleMain) -> None:
    monkeypatch.setattr(serve, "find", lambda role: mains[role.value])


async def obedient(_settings: Settings, ready: Ready, stop: asyncio.Event) -> None:
    ready()
    await stop.wait()


async def broken(_settings: Settings, _ready: Ready, _stop: asyncio.Event) -> None:
    raise ConnectionError("no database")


async def quitter(_settings: Settings, ready: Ready, _stop: asyncio.Event) -> None:
    ready()


async def stubborn(_settings: Settings, ready: Ready, _stop: asyncio.Event) -> None:
    ready()
    await asyncio.Event().wait()


async def test_ready_once_when_all_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    roles(monkeypatch, api=obedient, issuer=obedient)
    stop = asyncio.Event()
    task = asyncio.create_task(serve.serve(two(), stop, lambda: told.append("ready")))
    while not told:
        await asyncio.sleep(0)
    stop.set()
    await task
    assert told == ["ready"]


async def test_one_failure_ends_all_and_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    roles(monkeypatch, api=obedient, issuer=broken)
    with pytest.raises(ConnectionError, match="no database"):
        await serve.serve(two(), asyncio.Event(), lambda: told.append("ready"))
    assert told == []


async def test_a_role_that_ends_unasked_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    roles(monkeypatch, api=quitter, issuer=obedient)
    with pytest.raises(RuntimeError, match="api ended without being asked"):
        await serve.serve(two(), asyncio.Event(), lambda: None)


async def test_a_role_that_hangs_does_not_hold_up_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "STOP_S", 0.05)
    roles(monkeypatch, api=stubborn, issuer=obedient)
    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(serve.serve(two(), stop, lambda: None), 20)


def test_ready_word_goes_to_the_supervisor_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setenv("LOCKSERVER_READY_FD", str(writer))
    printed = io.StringIO()
    stdout = serve.ReadyOnStdout(printed)
    print("starting", file=stdout)
    print('{"url": "http://127.0.0.1:1"}', file=stdout)
    print('{"url": "again"}', file=stdout)
    with os.fdopen(reader) as told:
        assert [json.loads(one) for one in told] == [{"url": "http://127.0.0.1:1"}]
    assert printed.getvalue().count("\n") == 3
    assert "LOCKSERVER_READY_FD" not in os.environ
