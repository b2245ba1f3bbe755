from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.app_door import open_door
from tests.support.database import Database
from tests.support.keypad_house import KeypadHouse, a_keypad_house


@pytest_asyncio.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[KeypadHouse]:
    async with open_door(database, tmp_path) as door, a_keypad_house(door) as made:
        yield made
