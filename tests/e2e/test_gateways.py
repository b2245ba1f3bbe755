"""A lock without a network, opened from afar through a gateway: real GATT, real NATS, real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.database import Database
from tests.support.doorway import Person, SimLock
from tests.support.gateways import Lane, lane

pytestmark = [pytest.mark.e2e]


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Lane]:
    async with lane(database, tmp_path) as made:
        yield made


async def a_door(world: Lane) -> tuple[Person, SimLock, object]:
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = await world.ble_lock(owner, gate)
    kit = await world.sync(owner)
    assert [one["withheld"] for one in kit["doors"]] == [None]
    return owner, lock, gate.house_id


async def test_a_lock_without_a_network_is_opened_through_a_gateway(world: Lane) -> None:
    owner, lock, house_id = await a_door(world)
    station = await world.gateway(owner, house_id)
    await world.heard(lock)
    answer = await world.unlock(owner, lock)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["via"], answer.json()["fault"]) == ("done", "gateway", None)
    assert lock.openings == 1
    ((via,),) = world.database.execute("SELECT via FROM commands")
    assert via.replace("-", "") == station.state()["gateway_id"]
