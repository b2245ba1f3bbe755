"""Connections: one pool per role over SQLAlchemy's asyncio engine on psycopg 3.

Statements are SQLAlchemy Core, built from the SQLModel tables. On hot paths `driver` hands out the
psycopg connection underneath, inside the same transaction, and `singles` has connections for steps
that are one statement (`lockserver.db.singles`). Roles log in as themselves: the URL
names the user, and a role's pool can do only what its grants allow.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from lockserver.db.singles import Singles

LOCK_TIMEOUT_MS = 10_000
"""Nobody waits longer for a row: a stuck transaction must not stack up requests behind it."""
IDLE_TIMEOUT_MS = 30_000
"""A transaction left open by a paused process is ended by the server, so that locks come free."""


def async_url(url: str) -> URL:
    """Return the SQLAlchemy URL of any `postgresql://` URL."""
    return make_url(url).set(drivername="postgresql+psycopg")


def driver_url(url: str) -> str:
    """Return the URL as psycopg and libpq take it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def with_user(url: str, user: str, password: str) -> str:
    """Return the same server and database, as another user."""
    changed = make_url(url).set(username=user, password=password)
    return changed.render_as_string(hide_password=False)


class Pool:
    """One role's connections."""

    def __init__(self, url: str, *, size: int = 8, application: str = "lockserver") -> None:
        self.url = driver_url(url)
        options = (
            f"-c lock_timeout={LOCK_TIMEOUT_MS}"
            f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS} -c timezone=UTC"
        )
        self.engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=size,
            max_overflow=max(2, size // 2),
            pool_pre_ping=False,  # costs a round trip each; a dead connection is dropped on use
            connect_args={"application_name": application, "options": options},
        )
        self.singles = Singles(self.url, size=size, application=application, options=options)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction: committed when the context is left well, rolled back otherwise."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection on which every statement is a transaction of its own.

        For one statement, or for looking: it spares the round trips of a transaction's two ends.
        """
        async with self.engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        """Close every connection."""
        await self.singles.close()
        await self.engine.dispose()


async def driver(connection: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    """Return the psycopg connection underneath, in the same transaction.

    For hot paths (COPY, unnest, pipelines). Do not commit or close it.
    """
    raw = await connection.get_raw_connection()
    native = raw.driver_connection
    if not isinstance(native, psycopg.AsyncConnection):  # pragma: no cover - another driver
        raise TypeError("the engine does not run on psycopg")
    return native
