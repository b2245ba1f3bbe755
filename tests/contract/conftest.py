"""The two keepers of rows that one set of assertions is put to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.database import a_copy
from tests.support.workbench import MemoryBench, PostgresBench, Workbench


@pytest_asyncio.fixture(params=["postgres", "memory"])
async def workbench(request: pytest.FixtureRequest) -> AsyncIterator[Workbench]:
    """A fresh keeper of rows: PostgreSQL's, then the memory's."""
    if request.param == "memory":
        yield MemoryBench()
        return
    postgres, migrated = request.getfixturevalue("postgres"), request.getfixturevalue("migrated")
    with a_copy(postgres, migrated) as database:
        made = PostgresBench(database)
        made.listen()
        yield made
        made.close()
        await database.close()
