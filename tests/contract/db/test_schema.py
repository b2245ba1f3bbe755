"""The migrated schema is the models' schema, and each role can do its own work and no other's."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine

from lockserver.db import migrate as room
from lockserver.db.connection import async_url
from lockserver.db.migrate import downgrade, migrate, upgrade
from lockserver.db.roles import USERS
from lockserver.db.tables import metadata
from tests.support.database import PASSWORDS, Database

pytestmark = pytest.mark.contract

CATALOGUE = """
    SELECT 'column', table_name, column_name, data_type, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 't' AND conrelid <> 0
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'
"""
LAWS = """
    SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function', proname, md5(prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


def catalogue(database: str) -> set[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        rows = connection.execute(CATALOGUE).fetchall()
    ours = {tuple(row) for row in rows if not str(row[1]).startswith("procrastinate_")}
    return {row for row in ours if row[1] != "alembic_version"}


async def test_L41_what_migrations_make_is_what_the_models_say(
    database: Database, empty_database: str
) -> None:
    functions = (Path(room.__file__).parent / "migrations" / "sql" / "0001_functions.sql").read_text()
    engine = create_engine(async_url(empty_database))
    with engine.begin() as connection:
        connection.exec_driver_sql(functions)
        metadata.create_all(connection)
    engine.dispose()
    # Before the first release: python -m lockserver.db.migrations.draft; later: a migration of its own.
    migrated, models = catalogue(database.superuser), catalogue(empty_database)
    assert len(models) > 300
    assert migrated - models == set()
    assert models - migrated == set()


async def test_L41_down_and_up_again_is_the_same_schema(database: Database) -> None:
    before, laws = catalogue(database.superuser), set(database.execute(LAWS))
    downgrade(database.url("migrate"), "base")
    assert database.execute("SELECT to_regclass('tenancies')") == [(None,)]
    upgrade(database.url("migrate"))
    assert catalogue(database.superuser) == before
    assert set(database.execute(LAWS)) == laws


async def test_migrating_again_changes_nothing(postgres: str, database: Database) -> None:
    before = catalogue(database.superuser)
    migrate(postgres, PASSWORDS, database=database.name)
    assert catalogue(database.superuser) == before


FORBIDDEN = [
    ("api", "SELECT number_index FROM registrations"),
    ("api", "SELECT sealed FROM case_parts"),
    ("api", "SELECT sealed_key FROM cases"),
    ("api", "SELECT confirmed_digest FROM cases"),
    ("api", "SELECT sealed FROM outbox"),
    ("api", "SELECT seed_sealed FROM locks"),
    ("api", "SELECT verifier FROM slots"),
    ("api", "SELECT digits_sealed FROM slots"),
    ("api", "UPDATE slots SET state = 'set'"),
    ("api", "DELETE FROM offline_pins"),
    ("bridge", "SELECT verifier FROM slots"),
    ("bridge", "INSERT INTO slots (id) VALUES (gen_random_uuid())"),
    ("bridge", "UPDATE slots SET wanted_version = 0"),
    ("bridge", "UPDATE captures SET state = 'taken'"),
    ("jobs", "UPDATE slots SET state = 'unset'"),
    ("api", "SELECT broker_secret_hash FROM locks"),
    ("api", "INSERT INTO verdicts DEFAULT VALUES"),
    ("api", "INSERT INTO credentials DEFAULT VALUES"),
    ("api", "UPDATE commands SET state = 'done'"),
    ("api", "UPDATE registrations SET state = 'accepted'"),
    ("api", "INSERT INTO receipts DEFAULT VALUES"),
    ("api", "INSERT INTO lock_documents DEFAULT VALUES"),
    ("api", "SELECT * FROM audit_log"),
    ("api", "UPDATE houses SET owner_holder_id = NULL"),
    ("api", "UPDATE occupants SET holder_id = NULL"),
    ("api", "UPDATE duties SET state = 'open'"),
    ("issuer", "INSERT INTO grants DEFAULT VALUES"),
    ("verify", "INSERT INTO cases DEFAULT VALUES"),
    ("verify", "SELECT body FROM requests"),
    ("relay", "SELECT body FROM requests"),
    ("jobs", "SELECT body FROM requests"),
    ("jobs", "INSERT INTO requests DEFAULT VALUES"),
    ("issuer", "SELECT sealed FROM case_parts"),
    ("issuer", "SELECT sealed FROM outbox"),
    ("issuer", "SELECT phone_index FROM accounts"),
    ("issuer", "SELECT access_hash FROM sessions"),
    ("issuer", "INSERT INTO verdicts DEFAULT VALUES"),
    ("issuer", "UPDATE commands SET state = 'done'"),
    ("verify", "SELECT seed_sealed FROM locks"),
    ("verify", "INSERT INTO credentials DEFAULT VALUES"),
    ("verify", "UPDATE verdicts SET outcome = 'approved'"),
    ("verify", "SELECT sealed FROM outbox"),
    ("bridge", "SELECT seed_sealed FROM locks"),
    ("bridge", "SELECT sealed FROM case_parts"),
    ("bridge", "SELECT sealed FROM outbox"),
    ("bridge", "INSERT INTO wishes DEFAULT VALUES"),
    ("bridge", "INSERT INTO credentials DEFAULT VALUES"),
    ("bridge", "DELETE FROM journal"),
    ("relay", "SELECT number_index FROM registrations"),
    ("relay", "SELECT * FROM cases"),
    ("relay", "INSERT INTO registrations DEFAULT VALUES"),
    ("relay", "UPDATE outbox SET sealed = '\\x00'"),
    ("jobs", "SELECT sealed FROM outbox"),
    ("jobs", "SELECT number_index FROM registrations"),
    ("jobs", "UPDATE audit_log SET verb = 'x'"),
    ("jobs", "UPDATE audit_checkpoints SET count = 0"),
    ("audit", "INSERT INTO audit_log (actor, verb, object, detail) VALUES ('a', 'b', 'c', '{}')"),
    ("audit", "DELETE FROM tenancies"),
    ("migrate", "TRUNCATE audit_log"),
    ("migrate", "DELETE FROM audit_log"),
    *((role, "CREATE TABLE mine (id int)") for role in USERS if role != "migrate"),
    *((role, "SET ROLE ls_migrate") for role in USERS if role != "migrate"),
    *((role, "DELETE FROM audit_log") for role in USERS if role not in {"migrate", "audit"}),
]


@pytest.mark.parametrize(("role", "statement"), FORBIDDEN)
def test_what_a_role_cannot_do(migrated: str, postgres: str, role: str, statement: str) -> None:
    """Against the template itself: nothing here changes a row."""
    url = room.role_url(postgres, role, PASSWORDS[role], database=migrated)
    with psycopg.connect(url) as connection:
        if statement.startswith(("DELETE FROM audit_log", "TRUNCATE")) and role == "migrate":
            connection.execute(
                "INSERT INTO audit_log (actor, verb, object, detail) VALUES ('a', 'b', 'c', '{}')"
            )
        refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
        with pytest.raises(refusals):
            connection.execute(statement)
        connection.rollback()


async def test_L34_a_superuser_meets_the_trigger_too(database: Database) -> None:
    database.execute(
        "INSERT INTO audit_log (actor, verb, object, detail) VALUES ('a', 'b', 'c', '{}')", role="api"
    )
    for statement in ("UPDATE audit_log SET verb = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only ever added to"):
            database.execute(statement)
    assert database.execute("SELECT verb FROM audit_log") == [("b",)]


async def test_L34_mutant_without_the_trigger_the_log_is_rewritten(database: Database) -> None:
    database.execute("INSERT INTO audit_log (actor, verb, object, detail) VALUES ('a', 'b', 'c', '{}')")
    database.execute("DROP TRIGGER only_added ON audit_log")
    database.execute("UPDATE audit_log SET verb = 'x'")
    assert database.execute("SELECT verb FROM audit_log") == [("x",)]
