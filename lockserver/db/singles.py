"""Connections for steps that are one statement each, on which every statement is its own transaction.

SQLAlchemy's engine costs about a millisecond of CPU a statement with its transaction, more than the
statement itself; a remote unlock cannot afford it six times. Here psycopg is spoken to bare. The
connection used last is taken first: its plans are prepared and its server process is warm.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus


class Singles:
    """At most `size` connections, opened when they are first needed."""

    def __init__(self, url: str, *, size: int, application: str, options: str) -> None:
        self._url = url
        self._named: dict[str, Any] = {
            "application_name": application,
            # A step finds its rows by their keys, whatever the values: one plan serves them all.
            "options": f"{options} -c plan_cache_mode=force_generic_plan",
            "prepare_threshold": 0,
        }
        self._room = asyncio.Semaphore(size)
        self._idle: list[psycopg.AsyncConnection[Any]] = []
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Lend a connection; one that comes back broken is dropped, and its idle sisters with it.

        Raises psycopg.OperationalError where the server is not there.
        """
        async with self._room:
            taken = self._idle.pop() if self._idle else await self._connect()
            try:
                yield taken
            finally:
                await self._take_back(taken)

    async def close(self) -> None:
        """Close every connection that is idle, and each other one when it comes back."""
        self._closed = True
        await self._close_idle()

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self._url, autocommit=True, **self._named)

    async def _take_back(self, given: psycopg.AsyncConnection[Any]) -> None:
        if given.closed:
            await self._close_idle()  # the server has gone: what else was open is no better
        elif self._closed or given.pgconn.transaction_status != TransactionStatus.IDLE:
            await given.close()
        else:
            self._idle.append(given)

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()
