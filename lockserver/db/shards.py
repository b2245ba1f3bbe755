"""Which bridge serves which locks: advisory locks of one session, gone the moment it is gone.

A shard is two hex digits. While the session lives nobody else can own it, so a lock's reports and
commands pass through one process in order; when the process dies the server frees them by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from lockserver.db.connection import driver_url

log = structlog.get_logger(__name__)

CLASS: Final = 0x4C4B  # "LK": the advisory locks of this file, apart from all others
RETRY_S: Final = 0.5
PROBE_S: Final = 2.0


class OwnedShards:
    """Shards that are ours while the session lives."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], shards: frozenset[str]) -> None:
        self._connection = connection
        self.shards = shards

    async def lost(self) -> None:
        """Return when the session is gone."""
        while True:
            await asyncio.sleep(PROBE_S)
            try:
                async with asyncio.timeout(PROBE_S * 5):
                    await self._connection.execute("SELECT 1")
            except (psycopg.Error, TimeoutError) as fault:
                log.warning("shards.session_lost", error=type(fault).__name__)
                return


@asynccontextmanager
async def own_shards(url: str, wanted: frozenset[str]) -> AsyncIterator[OwnedShards]:
    """Own these shards for as long as the context is open; waits until all of them are free."""
    connection = await _connect(url)
    try:
        owned: set[str] = set()
        while True:
            owned |= await _try(connection, wanted - owned)
            if owned == wanted:
                break
            log.info("shards.waiting", missing=len(wanted - owned))
            await asyncio.sleep(RETRY_S)
        yield OwnedShards(connection, frozenset(owned))
    finally:
        await connection.close()


async def _connect(url: str) -> psycopg.AsyncConnection[Any]:
    # A dead peer is noticed within seconds: until then nobody else can serve these locks.
    info = make_conninfo(driver_url(url), keepalives_idle=5, keepalives_interval=2, keepalives_count=3)
    while True:
        try:
            return await psycopg.AsyncConnection.connect(
                info, autocommit=True, application_name="lockserver-shards"
            )
        except psycopg.OperationalError as fault:
            log.warning("shards.no_database", error=type(fault).__name__)
            await asyncio.sleep(RETRY_S)


async def _try(connection: psycopg.AsyncConnection[Any], wanted: frozenset[str] | set[str]) -> set[str]:
    rows = await connection.execute(
        "SELECT number, pg_try_advisory_lock(%s, number) FROM unnest(%s::int[]) AS number",
        (CLASS, [int(one, 16) for one in sorted(wanted)]),
    )
    return {f"{number:02x}" for number, got in await rows.fetchall() if got}
