"""What the doctor asks a database: who am I here, is the schema today's, may I do what my role does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory

from lockserver.db.connection import driver_url
from lockserver.db.migrate import MIGRATIONS
from lockserver.db.roles import EVERYBODY, GRANTS

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_S = 3


class DatabaseAwayError(ConnectionError):
    """The database does not answer, or does not let us in; the message says which."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found. `revision` is None where this role may not read it; `missing` are absent grants."""

    user: str
    server: str
    round_trip_ms: float
    clock_ahead_s: float
    revision: str | None
    missing: tuple[str, ...]


def expected_revision() -> str:
    """The newest migration of this version."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config).get_current_head() or ""


def examine_database(url: str, role: str) -> Examined:
    """Connect as a role and look. Raises DatabaseAwayError."""
    try:
        with psycopg.connect(driver_url(url), connect_timeout=CONNECT_S, autocommit=True) as connection:
            return _examine(connection, role)
    except psycopg.OperationalError as error:
        lines = str(error).strip().splitlines() or ["no reason given"]
        raise DatabaseAwayError(lines[0].strip()) from None  # the next lines are advice


def _examine(connection: Connection[tuple[object, ...]], role: str) -> Examined:
    began, at = time.perf_counter(), datetime.now(UTC)
    row = connection.execute(
        "SELECT current_user, current_setting('server_version'), clock_timestamp()"
    ).fetchone()
    took = time.perf_counter() - began
    if row is None or not isinstance(row[2], datetime):  # pragma: no cover - PostgreSQL answers one row
        raise DatabaseAwayError("no answer")
    ahead = (row[2] - at).total_seconds() - took / 2
    return Examined(
        user=str(row[0]),
        server=str(row[1]).split(" ", 1)[0],
        round_trip_ms=took * 1000,
        clock_ahead_s=ahead,
        revision=_revision(connection),
        missing=tuple(_missing(connection, role)),
    )


def _revision(connection: Connection[tuple[object, ...]]) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    except psycopg.errors.UndefinedTable:
        return ""
    return str(row[0]) if row else ""


def _missing(connection: Connection[tuple[object, ...]], role: str) -> list[str]:
    """Grants that the table in `roles` names and the database does not give."""
    missing = []
    for table, privileges in ({**EVERYBODY, **GRANTS[role]} if role in GRANTS else {}).items():
        for privilege, columns in privileges.items():
            try:
                if columns is None:
                    row = connection.execute(
                        "SELECT has_table_privilege(%s, %s)", (table, privilege)
                    ).fetchone()
                else:
                    row = connection.execute(
                        "SELECT bool_and(has_column_privilege(%s, c, %s)) FROM unnest(%s::text[]) c",
                        (table, privilege, list(columns)),
                    ).fetchone()
            except psycopg.errors.ProgrammingError:  # the table or a column is not there at all
                row = (False,)
            if row is None or row[0] is not True:
                missing.append(f"{privilege} on {table}")
    return missing
