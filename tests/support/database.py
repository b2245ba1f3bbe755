"""A migrated database of one's own per test: copied from a template that is migrated once.

`database` is the fixture. `database.url("api")` logs in as that role, `database.superuser` as who may
do anything; `database.transactions("api")` is the real unit of work over that role's pool.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import make_url

from lockserver.db.connection import Pool, driver_url
from lockserver.db.migrate import migrate, role_url
from lockserver.db.roles import USERS
from lockserver.db.unit_of_work import PostgresTransactions

PASSWORDS = {role: f"password-of-{role}" for role in USERS}


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        self.at += by


@dataclass
class Database:
    """One migrated database."""

    name: str
    superuser: str
    pools: list[Pool] = field(default_factory=list)

    def url(self, role: str) -> str:
        return role_url(self.superuser, role, PASSWORDS[role], database=self.name)

    def pool(self, role: str) -> Pool:
        pool = Pool(self.url(role), size=4)
        self.pools.append(pool)
        return pool

    def transactions(self, role: str) -> PostgresTransactions:
        return PostgresTransactions(self.pool(role))

    async def close(self) -> None:
        for pool in self.pools:
            await pool.close()
        self.pools.clear()

    def execute(self, statement: str, *args: object, role: str = "") -> list[tuple[Any, ...]]:
        """Run SQL as a role, or as the superuser, in a transaction of its own; rows, if any."""
        url = self.url(role) if role else self.superuser
        # psycopg leaves a connection open whose commit fails, as a deferred law's does
        with closing(psycopg.connect(url)) as connection, connection.transaction():
            cursor = connection.execute(statement, args)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def migrated(postgres: str) -> Iterator[str]:
    """The name of a migrated template database."""
    name = f"t_{secrets.token_hex(6)}_template"
    migrate(postgres, PASSWORDS, database=name)
    yield name
    with psycopg.connect(driver_url(postgres), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def a_copy(postgres: str, migrated: str) -> Iterator[Database]:
    """A fresh migrated database, dropped afterwards; its pools must be closed by then."""
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(driver_url(postgres), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {migrated}")
        for user in USERS.values():
            admin.execute(f"GRANT CONNECT ON DATABASE {name} TO {user}")
    inside = make_url(postgres).set(database=name, drivername="postgresql")
    yield Database(name, inside.render_as_string(hide_password=False))
    with psycopg.connect(driver_url(postgres), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(postgres: str, migrated: str) -> AsyncIterator[Database]:
    """A fresh migrated database; its pools are closed and it is dropped afterwards."""
    with a_copy(postgres, migrated) as made:
        yield made
        await made.close()
