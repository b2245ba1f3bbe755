"""L-50: `connected` is what the broker knows now, not what was true once; what is old is shown with its age."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lockserver.app import watch_connections
from lockserver.domain.lock import LockStatus
from lockserver.mqtt.callout import Callout
from lockserver.settings import Role
from tests.support.database import Database
from tests.support.doorway import Doorway, Person, SimLock, doorway

pytestmark = [pytest.mark.e2e]


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Doorway]:
    async with doorway(database, tmp_path) as made:
        yield made


async def door(world: Doorway) -> tuple[Person, SimLock]:
    owner = await world.person()
    gate, _ = await world.house(owner)
    return owner, await world.settled_lock(owner, gate)


async def becomes(world: Doorway, lock: SimLock, *, connected: bool, within: float = 5) -> bool:
    """Whether the row says so in time."""
    for _ in range(int(within * 20)):
        ((found,),) = world.database.execute("SELECT connected FROM lock_status WHERE lock_id = %s", lock.id)
        if found is connected:
            return True
        await asyncio.sleep(0.05)
    return False


async def gone_and_back(world: Doorway) -> tuple[bool, bool, bool]:
    """(it was connected, the row said so when it went, and when it came back)."""
    _, lock = await door(world)
    was = await becomes(world, lock, connected=True)
    lock.link.cut_network()
    gone = await becomes(world, lock, connected=False)
    lock.link.heal()
    await lock.online()
    return was, gone, await becomes(world, lock, connected=True)


async def test_L50_connected_follows_the_broker(world: Doorway) -> None:
    assert await gone_and_back(world) == (True, True, True)


async def test_L50_mutant_a_bridge_that_hears_nobody_leave(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(_self: Callout, _message: Any) -> None:
        return

    monkeypatch.setattr(Callout, "_on_disconnect", deaf)
    await world.kill_role(Role.BRIDGE)
    await world.start_role(Role.BRIDGE)
    assert await gone_and_back(world) == (True, False, True)


async def test_L50_silence_ends_a_connection_where_no_broker_says_so(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mosquitto tells nobody who left: whoever was asked and says nothing is gone, within the stated bound."""

    async def deaf(_self: Callout, _message: Any) -> None:
        return

    monkeypatch.setattr(Callout, "_on_disconnect", deaf)
    monkeypatch.setattr("lockserver.mqtt.outbound.CORRECT_EVERY", timedelta(milliseconds=200))
    monkeypatch.setattr(watch_connections, "SILENT", timedelta(seconds=2))
    monkeypatch.setattr(watch_connections, "ANSWER", timedelta(seconds=1))
    await world.kill_role(Role.BRIDGE)
    await world.start_role(Role.BRIDGE)
    _, lock = await door(world)
    assert await becomes(world, lock, connected=True)
    await asyncio.sleep(4)  # it is asked, answers, and stays
    assert await becomes(world, lock, connected=True, within=1)
    lock.link.cut_network()
    assert await becomes(world, lock, connected=False, within=10)


async def test_L50_a_bridges_start_takes_back_what_nobody_heard(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockserver.mqtt.outbound.CORRECT_EVERY", timedelta(seconds=1))
    _, lock = await door(world)
    await world.kill_role(Role.BRIDGE)
    await lock.link.stop()  # it leaves while nobody listens
    await world.start_role(Role.BRIDGE)
    assert await becomes(world, lock, connected=False, within=10)


def test_L50_a_battery_without_the_age_of_its_reading_was_read_nobody_knows_when() -> None:
    from uuid import uuid4

    from lockserver.app.note_hello import said_by
    from lockserver.protocol.bolt import BoltState
    from lockserver.protocol.journal import Head
    from lockserver.protocol.reports import Hello

    now = datetime(2026, 1, 1, tzinfo=UTC)

    def hello(battery: int | None, age: int | None) -> Hello:
        return Hello(
            counter=0, state_version=0, list_number=0, key_set_number=0, epoch=None, occupied=False,
            journal=Head(0, bytes(32)), oldest_unacked=1, time=None, uncertainty=0, attested=False,
            bolt=BoltState.LOCKED, time_nonce=bytes(8), battery=battery, battery_age=age,
        )  # fmt: skip

    first = said_by(hello(80, 30), LockStatus(uuid4()), now)
    assert (first.battery_read_at, first.battery_since) == (now - timedelta(seconds=30), now)
    later = now + timedelta(hours=1)
    same = said_by(hello(80, None), first, later)
    assert (same.battery_read_at, same.battery_since, same.battery_at) == (None, now, later)
    silent = said_by(hello(None, None), first, later)
    assert (silent.battery, silent.battery_at, silent.battery_read_at) == (80, now, first.battery_read_at)
