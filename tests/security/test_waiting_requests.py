"""What one role asks another is theirs: a third sees neither claim codes nor answers, and forges none."""

from __future__ import annotations

import psycopg
import pytest

from lockserver.db.roles import ASKS, GRANTS, USERS
from tests.support.database import Database
from tests.support.people import fresh

pytestmark = pytest.mark.contract

PUT = (
    "INSERT INTO requests (id, to_role, kind, body, expires_at)"
    " VALUES (%s, %s, 'enrol', 'claim code', now() + interval '1 minute')"
)


@pytest.fixture
def asked(database: Database) -> Database:
    """What the API asked the issuer a moment ago."""
    database.execute(PUT, fresh(), "issuer", role="api")
    return database


def seen(database: Database, role: str) -> int:
    return len(database.execute("SELECT body FROM requests", role=role))


def test_the_bridge_reads_and_answers_nothing_that_the_api_asked_the_issuer(asked: Database) -> None:
    assert (seen(asked, "api"), seen(asked, "issuer"), seen(asked, "bridge")) == (1, 1, 0)
    asked.execute("UPDATE requests SET state = 'done', done_at = now(), response = 'forged'", role="bridge")
    assert asked.execute("SELECT state FROM requests") == [("new",)]


def test_mutant_without_policies_the_bridge_reads_claim_codes(asked: Database) -> None:
    asked.execute("ALTER TABLE requests DISABLE ROW LEVEL SECURITY")
    assert seen(asked, "bridge") == 1


@pytest.mark.parametrize(
    "role", sorted(role for role, tables in GRANTS.items() if "INSERT" in tables.get("requests", {}))
)
def test_nobody_asks_in_anothers_name_or_whom_he_has_nothing_to_ask(database: Database, role: str) -> None:
    for other in ("issuer", "verify", "bridge", "relay", "jobs"):
        if other in ASKS[role] or other == role:
            continue
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(PUT, fresh(), other, role=role)
    impostor = USERS["bridge" if role == "api" else "api"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute(
            "INSERT INTO requests (id, asked_by, to_role, kind, expires_at)"
            " VALUES (%s, %s, 'issuer', 'sync', now())",
            fresh(), impostor, role=role,
        )  # fmt: skip
