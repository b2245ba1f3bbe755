"""Laws that the database keeps within a row's life, by direct SQL as a superuser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from typing import get_args

import psycopg
import pytest
from psycopg import sql

from lockserver.domain.command import LEGAL_STEPS, NEEDS_EVIDENCE, CommandState
from tests.support.database import Database, a_copy
from tests.support.end_state import EndState, an_end_state

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def house(postgres: str, migrated: str) -> Iterator[EndState]:
    async def write(database: Database) -> EndState:
        made = await an_end_state(database)
        await database.close()
        return made

    with a_copy(postgres, migrated) as database:
        yield asyncio.run(write(database))


@pytest.fixture
def work(house: EndState) -> Iterator[psycopg.Connection]:
    with closing(psycopg.connect(house.database.superuser)) as connection:
        yield connection
        connection.rollback()


def put_in(work: psycopg.Connection, state: CommandState) -> None:
    """Set the one command into a state, laws off."""
    work.execute("SET LOCAL session_replication_role = replica")
    work.execute(
        "UPDATE commands SET state = %s, evidence = NULL, code = CASE WHEN %s = 'refused' THEN 'x' END,"
        " sent_at = now(), settled_at = CASE WHEN %s IN ('queued', 'sent') THEN NULL ELSE now() END",
        (state, state, state),
    )
    work.execute("SET LOCAL session_replication_role = origin")


def step(work: psycopg.Connection, state: CommandState, evidence: bytes | None) -> None:
    settled = sql.SQL("NULL" if state in {"queued", "sent"} else "now()")
    work.execute(
        sql.SQL("UPDATE commands SET state = %s, code = 'x', settled_at = {}, evidence = %s").format(settled),
        (state, evidence),
    )


STATES = get_args(CommandState)
STEPS = [(before, after) for before, after in product(STATES, STATES) if before != after]


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_L17_the_database_knows_the_same_steps(
    work: psycopg.Connection, before: CommandState, after: CommandState
) -> None:
    if before == "done":
        work.execute("ALTER TABLE commands DROP CONSTRAINT commands_evidence_check")
    put_in(work, before)
    if (before, after) in LEGAL_STEPS:
        step(work, after, b"signed")
    else:
        with pytest.raises(psycopg.errors.CheckViolation):
            step(work, after, b"signed")


@pytest.mark.parametrize(("before", "after"), sorted(NEEDS_EVIDENCE))
def test_L22_no_end_without_the_locks_word(
    work: psycopg.Connection, before: CommandState, after: CommandState
) -> None:
    put_in(work, before)
    with pytest.raises(psycopg.errors.CheckViolation):
        step(work, after, None)


def test_L22_mutant_without_the_trigger_expired_needs_no_proof(work: psycopg.Connection) -> None:
    put_in(work, "sent")
    work.execute("DROP TRIGGER command_steps ON commands")
    step(work, "expired", None)


REFUSED = [
    ("a command is born done", ("INSERT INTO commands SELECT gen_random_uuid(), lock_id, holder_id, grant_id,"
     " credential_id, gen_random_uuid(), kind, 9, state, code, not_after, sent_at, settled_at, evidence"
     " FROM commands")),
    ("a settled command's evidence is replaced", "UPDATE commands SET evidence = '\\x00'"),
    ("a command's deadline is moved", "UPDATE commands SET not_after = not_after + interval '1 minute'"),
    ("a command changes its lock's counter", "UPDATE commands SET counter = counter + 1"),
    ("a wish is used twice", "INSERT INTO wishes SELECT * FROM wishes"),
    ("a wish is rewritten", "UPDATE wishes SET not_after = now()"),
    ("a command counter falls", "UPDATE locks SET command_counter = 5; UPDATE locks SET command_counter = 3"),
    ("two active locks at one door", ("INSERT INTO locks (id, door_id, serial, sign_pub, ecdh_pub,"
     " factory_fingerprint, shard, state) SELECT gen_random_uuid(), door_id, 'SN-2', sign_pub, ecdh_pub,"
     " factory_fingerprint, shard, state FROM locks")),
    ("a phone changes hands", "UPDATE phones SET holder_id = (SELECT signed_by FROM tenancies)"),
    ("a phone moves to another session", "UPDATE phones SET session_id = (SELECT max(id::text)::uuid FROM sessions)"),
    ("a house changes hands", "UPDATE houses SET owner_holder_id = (SELECT holder_id FROM occupants)"),
    ("a grant gets another holder", "UPDATE grants SET holder_id = (SELECT signed_by FROM tenancies)"),
    ("a tenant's grant becomes an owner's", "UPDATE grants SET class = 'owner', tenancy_id = NULL, epoch = NULL"),
    ("a lease gets another occupant", "UPDATE occupants SET holder_id = (SELECT signed_by FROM tenancies)"),
    ("a duty becomes somebody else's", "UPDATE duties SET holder_id = (SELECT signed_by FROM tenancies)"),
    ("a case becomes another phone's", "UPDATE cases SET phone_id = gen_random_uuid()"),
    ("a lock gets another key", "UPDATE locks SET sign_pub = ecdh_pub"),
    ("a phone gets another key", "UPDATE phones SET sign_pub = ecdh_pub"),
    ("an active phone without proof", "UPDATE phones SET proved_by = NULL"),
    ("a verdict is rewritten", "UPDATE verdicts SET outcome = 'declined'"),
    ("a receipt is rewritten", "UPDATE receipts SET raw = '\\x00'"),
    ("a revoked grant lives again", "UPDATE grants SET state = 'active', revoked_at = NULL WHERE state = 'revoked'"),
    ("a grant moves to another phone", "UPDATE grants SET guest_key = sha256('x')"),
    ("a grant hangs elsewhere", "UPDATE grants SET parent_id = id"),
    ("a lease under another wish", ("UPDATE tenancies SET wish_id = NULL; UPDATE tenancies SET wish_id ="
     " (SELECT id FROM wishes WHERE operation = 'unlock')")),
    ("a frozen grant that nobody froze", "UPDATE grants SET state = 'frozen', revoked_at = NULL"),
    ("a guest whom nobody named", ("INSERT INTO grants (id, holder_id, door_id, class, capabilities, lower, state)"
     " SELECT gen_random_uuid(), holder_id, door_id, 'guest', 1, lower, 'active' FROM grants")),
    ("a wish by a phone that is gone", ("UPDATE phones SET state = 'revoked', revoked_at = now();"
     " INSERT INTO wishes (id, holder_id, phone_id, operation, target, not_after, raw)"
     " SELECT gen_random_uuid(), holder_id, phone_id, 'freeze', target, not_after, raw FROM wishes")),
    ("a journal entry is rewritten", "UPDATE journal SET how = 1"),
    ("a journal entry is dropped", "DELETE FROM journal"),
    ("a tenant's ledger is rewritten", ("INSERT INTO ledger (id, holder_id, to_whom, ground, field_names, digests)"
     " SELECT gen_random_uuid(), id, 'x', 'y', '{}', '{}' FROM holders; DELETE FROM ledger")),
    ("an ended tenancy is moved", "UPDATE tenancies SET upper = upper + interval '1 day'"),
    ("a destroyed case has a key", "UPDATE cases SET destroyed_at = now(), sealed_key = '\\x00'"),
    ("a parked entry without a reason", "UPDATE outbox SET state = 'parked'"),
    ("an exemption without a code", "UPDATE duties SET requirement = 'exempt'"),
    ("a key of another length", "UPDATE locks SET sign_pub = '\\x04'"),
    ("a lock in a shard that is none", "UPDATE locks SET shard = '40'"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "statement"), REFUSED, ids=[what for what, _ in REFUSED])
def test_the_database_refuses(work: psycopg.Connection, what: str, statement: str) -> None:
    with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.InsufficientPrivilege)):
        work.execute(statement.encode())


@pytest.mark.parametrize("role", ["api", "bridge", "relay", "jobs"])
def test_L38_a_role_that_sees_no_proof_makes_no_phone_active(
    house: EndState, work: psycopg.Connection, role: str
) -> None:
    work.execute("SET LOCAL session_replication_role = replica")
    work.execute("UPDATE phones SET state = 'pending', proved_by = NULL")
    work.execute("SET LOCAL session_replication_role = origin")
    work.execute(
        sql.SQL("GRANT UPDATE ON phones TO {0}; SET LOCAL ROLE {0}").format(sql.Identifier(f"ls_{role}"))
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="proves no phone"):
        work.execute("UPDATE phones SET state = 'active', proved_by = 'face'")


def test_L38_mutant_without_the_trigger_the_api_makes_a_phone_active(work: psycopg.Connection) -> None:
    work.execute("ALTER TABLE phones DISABLE TRIGGER phone_proof; UPDATE phones SET state = 'pending'")
    work.execute("SET LOCAL ROLE ls_api; UPDATE phones SET state = 'active', proved_by = 'face'")
    assert work.execute("SELECT DISTINCT state FROM phones").fetchall() == [("active",)]
