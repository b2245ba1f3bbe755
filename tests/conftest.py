"""Fixtures that every tier shares: a real PostgreSQL, a real broker, and nothing beyond loopback."""

from __future__ import annotations

import ipaddress
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.database import database, migrated  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator


def _refuse_the_world(event: str, args: tuple[object, ...]) -> None:
    """Tests speak to this machine only; a forgotten public address must fail here, not be reached."""
    if event not in {"socket.connect", "socket.sendto"}:
        return
    address = args[1]
    if isinstance(address, tuple) and isinstance(address[0], str):
        host = address[0]
        try:
            local = ipaddress.ip_address(host.split("%")[0]).is_loopback
        except ValueError:
            local = host in {"localhost", ""}
        if not local:
            raise PermissionError(f"a test wanted to reach {host}")


sys.addaudithook(_refuse_the_world)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A short-lived folder that PostgreSQL's user can enter too (pytest's own is 0700)."""
    folder = Path(tempfile.mkdtemp(prefix="lockserver-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[str]:
    """The superuser's URL of a PostgreSQL server that lives as long as this test run."""
    from lockserver.db.embedded import EmbeddedPostgres

    given = os.environ.get("LOCKSERVER_TEST_DATABASE_URL")
    if given:  # a server of one's own, as production would have
        yield given
        return
    with EmbeddedPostgres(scratch / "postgres") as server:
        _trade_durability_for_speed(server.url)
        yield server.url


def _trade_durability_for_speed(url: str) -> None:
    """A database a test is made and dropped by the hundred; none of them outlives a power cut.

    What must survive one is tried on installations of their own (`tests/e2e`), which sync as always.
    """
    with psycopg.connect(url, autocommit=True) as superuser:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            superuser.execute(f"ALTER SYSTEM SET {setting} = off")
        superuser.execute("SELECT pg_reload_conf()")


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """The superuser's URL of a fresh, empty database, dropped afterwards."""
    import psycopg

    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield postgres.rsplit("/", 1)[0] + f"/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
