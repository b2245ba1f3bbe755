"""A remote unlock, from the holder's signature to the bolt and back, on real parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.database import Database
from tests.support.doorway import doorway

pytestmark = [pytest.mark.e2e]


async def test_a_holder_opens_his_door_from_afar(database: Database, tmp_path: Path) -> None:
    async with doorway(database, tmp_path) as world:
        owner = await world.person()
        gate, _ = await world.house(owner)
        lock = await world.settled_lock(owner, gate)
        kit = await world.sync(owner)
        assert [door["withheld"] for door in kit["doors"]] == [None]

        answer = await world.unlock(owner, lock)

        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "done"
        assert lock.openings == 1
