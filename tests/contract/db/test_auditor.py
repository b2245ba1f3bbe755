# ruff: noqa: E501 - one breach a line reads as the table that it is
"""The auditor finds nothing in a lawful end state, and each breach in an unlawful one.

Every case below is a mutant of the end state: one row tampered with, laws switched off.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from lockserver.db.auditor import Finding, audit, examine
from lockserver.db.auditor import canaries as room
from lockserver.db.auditor.canaries import Search, check_columns, spellings
from lockserver.db.auditor.finding import Evidence
from tests.support.database import Database, a_copy
from tests.support.end_state import (
    DIGEST,
    EndState,
    a_receipt,
    an_end_state,
    result_evidence,
    signer,
)
from tests.support.people import fresh

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def lawful(postgres: str, migrated: str) -> Iterator[EndState]:
    """One lawful end state; every test breaks its own uncommitted copy of it."""

    async def write(database: Database) -> EndState:
        made = await an_end_state(database)
        await database.close()
        return made

    with a_copy(postgres, migrated) as database:
        yield asyncio.run(write(database))


@pytest.fixture
def state(lawful: EndState) -> Iterator[EndState]:
    with closing(psycopg.connect(lawful.database.superuser)) as breaker:
        yield replace(lawful, ledger=deepcopy(lawful.ledger), breaker=breaker)
        breaker.rollback()


def findings(state: EndState) -> list[Finding]:
    assert state.breaker is not None
    return examine(state.breaker, province_keys=state.province_keys, ledger=state.ledger, drained=True)


def search(state: EndState, **canaries: str) -> list[Finding]:
    assert state.breaker is not None
    return list(check_columns(Evidence(state.breaker), Search(canaries)))


def test_a_lawful_end_state_has_no_findings(lawful: EndState, state: EndState) -> None:
    assert findings(state) == []
    whole = audit(
        lawful.database.url("audit"),
        province_keys=lawful.province_keys,
        ledger=lawful.ledger,
        drained=True,
        canaries={"a number": CANARY},
    )
    assert whole == []


OTHER = fresh()
CASES: list[tuple[str, str, Callable[[EndState], None]]] = [
    ("L-23", "0 arrival duties", lambda s: s.tamper("DELETE FROM duties WHERE kind = 'arrival'")),
    ("L-23", "nobody lives there", lambda s: s.tamper("DELETE FROM occupants; DELETE FROM duties")),
    ("L-23", "does not live there", lambda s: s.tamper("UPDATE duties SET holder_id = %s", fresh())),
    ("L-23", "0 departure duties", lambda s: s.tamper("DELETE FROM duties WHERE kind = 'departure'")),
    ("L-23", "1 departure duties", lambda s: s.tamper("UPDATE tenancies SET state = 'signed', ended_at = NULL, end_reason = NULL")),
    ("L-23", "people behind one gate", lambda s: s.tamper("UPDATE doors SET kind = 'gate', epoch = NULL, capacity = NULL")),
    ("L-08", "not its own", lambda s: s.tamper("UPDATE doors SET epoch = 0 WHERE kind = 'room'")),
    ("L-45", "its tenancy has ended", lambda s: s.tamper("UPDATE grants SET state = 'active', revoked_at = NULL")),
    ("L-22", "without what that state needs", lambda s: s.tamper("UPDATE commands SET state = 'refused', code = 'x', evidence = NULL")),
    ("L-22", "not signed by its lock", lambda s: s.tamper("UPDATE commands SET evidence = evidence || '\\x00'")),
    ("L-22", "not signed by its lock", lambda s: s.tamper("UPDATE locks SET sign_pub = %s", signer().public)),
    ("L-22", "about another command", lambda s: s.tamper("UPDATE commands SET evidence = %s", result_evidence(s, fresh()))),
    ("L-22", "says DONE", lambda s: s.tamper("UPDATE commands SET state = 'refused', code = 'x'")),
    ("L-22", "its command is shown as refused", lambda s: s.tamper("UPDATE commands SET state = 'refused', code = 'x'")),
    ("L-22", "names another credential", lambda s: s.tamper("UPDATE commands SET credential_id = %s", fresh())),
    ("L-15", "after its deadline", lambda s: s.tamper("UPDATE journal SET at = at + interval '1 hour' WHERE number = 2")),
    ("L-15", "had no clock", lambda s: s.tamper("UPDATE journal SET at = NULL WHERE number = 2")),
    ("L-15", "no command of it was alive", lambda s: s.tamper(REPLAY.format("interval '1 hour'"))),
    ("L-16", "second movement", lambda s: s.tamper(REPLAY.format("interval '1 second'"))),
    ("L-16", "shares entry 2", lambda s: s.tamper(
        "INSERT INTO commands SELECT %s, lock_id, holder_id, grant_id, credential_id, gen_random_uuid(), kind, 2, state,"
        " code, not_after, sent_at, settled_at, evidence, created_at FROM commands;"
        " UPDATE commands SET evidence = %s WHERE counter = 2", OTHER, result_evidence(s, OTHER))),
    ("L-19", "nobody asked for", lambda s: s.tamper("DELETE FROM commands")),
    ("L-19", "not signed by the phone", lambda s: s.tamper("UPDATE wishes SET raw = raw || '\\x00'")),
    ("L-19", "somebody else's", lambda s: s.tamper("UPDATE wishes SET holder_id = %s", fresh())),
    ("L-19", "had run out", lambda s: s.tamper("UPDATE commands SET not_after = not_after + interval '1 minute'")),
    ("L-05", "not signed by an issuer", lambda s: s.tamper("UPDATE site_keys SET public = %s WHERE kind = 'issuer'", signer().public)),
    ("L-05", "another window", lambda s: s.tamper("UPDATE credentials SET expires_at = expires_at + interval '1 day'")),
    ("L-05", "outside its grant", lambda s: s.tamper("UPDATE grants SET upper = lower + interval '1 day'")),
    ("L-05", "conveys more", lambda s: s.tamper("UPDATE grants SET capabilities = 4")),
    ("L-05", "another epoch", lambda s: s.tamper("UPDATE grants SET epoch = 2")),
    ("L-05", "not the grantee's", lambda s: s.tamper("UPDATE phones SET sign_pub = %s WHERE proved_by = 'staff'", signer().public)),
    ("L-52", "no consent or emergency", lambda s: s.tamper("DELETE FROM entries")),
    ("L-52", "no consent or emergency", lambda s: s.tamper("UPDATE entries SET class = 'staff'")),
    ("L-52", "no consent or emergency", lambda s: s.tamper("UPDATE entries SET upper = upper - interval '1 minute'")),
    ("L-52", "no consent or emergency", lambda s: s.tamper("UPDATE entries SET ended_at = lower - interval '1 minute'")),
    ("L-38", "without a verdict", lambda s: s.tamper("UPDATE verdicts SET outcome = 'declined'")),
    ("L-38", "nobody recorded", lambda s: s.tamper("DELETE FROM verdicts")),
    ("L-21", "entries 2 to 2 are missing", lambda s: s.tamper("DELETE FROM journal WHERE number = 2")),
    ("L-21", "entry 2 is not what the lock wrote", lambda s: s.tamper("UPDATE journal SET how = 3 WHERE number = 2")),
    ("L-21", "does not follow", lambda s: s.tamper("UPDATE journal SET prev_hash = hash WHERE number = 3")),
    ("L-21", "acknowledged up to 3", lambda s: s.tamper("DELETE FROM journal WHERE number = 3")),
    ("L-24", "absent there", lambda s: s.ledger["records"][0]["filings"].pop()),
    ("L-24", "absent there", lambda s: s.ledger["records"].clear()),
    ("L-24", "2 times at the province", lambda s: s.ledger["records"].append(deepcopy(s.ledger["records"][0]))),
    ("L-24", "unknown here", lambda s: s.ledger["records"].append({"client_no": "0198c0de-0000-7000-8000-000000000002", "filings": []})),
    ("L-24", "differs from every attempt", lambda s: s.ledger["records"][0]["filings"][0].update(content_digest="x")),
    ("L-24", "another receipt there", lambda s: s.ledger["records"][0]["filings"][0].update(receipt_no="x")),
    ("L-24", "parked here", lambda s: s.tamper("UPDATE outbox SET state = 'parked', park_reason = 'x' WHERE seq = 2")),
    ("L-24", "never put into the outbox", lambda s: s.tamper("DELETE FROM outbox; DELETE FROM attempts; DELETE FROM receipts")),
    ("L-25", "without a receipt", lambda s: s.tamper("DELETE FROM receipts WHERE version = 2")),
    ("L-25", "no receipt says so", lambda s: s.tamper("DELETE FROM receipts WHERE version = 1")),
    ("L-25", "nothing was signed", lambda s: s.tamper("DELETE FROM receipts")),
    ("L-25", "does not hold: signature", lambda s: s.tamper(
        "UPDATE receipts SET raw = %s WHERE version = 1", a_receipt(signer(), "SL20260302-0000000001", 1, "register"))),
    ("L-25", "does not hold: other_payload", lambda s: s.tamper(
        "UPDATE receipts SET raw = %s WHERE version = 1",
        a_receipt(s.province, "SL20260302-0000000001", 1, "register", DIGEST.replace("ab", "cd")))),
    ("L-27", "overtook", lambda s: s.tamper("UPDATE attempts SET started_at = started_at - interval '1 hour'")),
    ("L-30", "0 are recorded", lambda s: s.tamper("DELETE FROM attempts WHERE n = 1")),
    ("L-30", "no delivery was ever recorded", lambda s: s.tamper("UPDATE attempts SET action = 'ask'")),
    ("L-34", "a line that it covers was changed", lambda s: s.tamper("UPDATE audit_log SET actor = 'holder:2' WHERE verb = 'unlock'")),
    ("L-34", "signed over 3 lines, 2 are there", lambda s: s.tamper("DELETE FROM audit_log WHERE verb = 'unlock'")),
    ("L-34", "signed over 3 lines, 4 are there", lambda s: s.tamper(
        "INSERT INTO audit_log (actor, verb, object, detail, txid) SELECT actor, verb, object, detail, txid"
        " FROM audit_log WHERE verb = 'unlock'")),
    ("L-34", "is not signed", lambda s: s.tamper("UPDATE audit_checkpoints SET count = 9")),
    ("L-34", "should be number 1", lambda s: s.tamper("DELETE FROM audit_checkpoints WHERE number = 1")),
]  # fmt: skip
REPLAY = (
    "INSERT INTO journal SELECT lock_id, 4, what, how, subject, denial, at + {}, uncertainty, count,"
    " prev_hash, hash, via, received_at FROM journal WHERE number = 2"
)


@pytest.mark.parametrize(("law", "says", "breach"), CASES)
def test_a_breach_is_found(state: EndState, law: str, says: str, breach: Callable[[EndState], None]) -> None:
    breach(state)
    found = findings(state)
    assert any(one.law == law and says in one.says for one in found), [str(one) for one in found]


CANARY = "CANARY-11010519491231002X"
NAME = "诸葛亮亮"


@pytest.mark.parametrize("spelling", [*sorted(spellings(NAME)), "base64 in a sentence"])
def test_L31_a_planted_value_is_found_in_a_column(state: EndState, spelling: str) -> None:
    planted = spellings(NAME).get(spelling) or b"so: " + base64.b64encode(b"xy" + NAME.encode() + b"z")
    state.tamper("UPDATE receipts SET raw = raw || %s", planted)
    found = search(state, name=NAME)
    assert {(one.law, one.where) for one in found} >= {("L-31", "receipts.raw")}
    assert NAME not in "".join(map(str, found))


@pytest.mark.parametrize(
    ("where", "statement"),
    [
        ("audit_log.detail", 'UPDATE audit_log SET detail = \'{"a": "%s"}\''),
        ("houses.name", "UPDATE houses SET name = 'x %s y'"),
        ("attempts.field_names", "UPDATE attempts SET field_names = ARRAY['%s']"),
    ],
)
def test_L31_in_text_json_and_arrays(state: EndState, where: str, statement: str) -> None:
    state.tamper(statement.replace("%s", CANARY))
    found = search(state, number=CANARY)
    assert [one.where for one in found if one.law == "L-31"] == [where]


def test_L31_nothing_planted_nothing_found(state: EndState) -> None:
    assert search(state, number=CANARY, name=NAME) == []


def test_L31_files_are_searched_across_chunks_and_key_folders_spared(tmp_path: Path) -> None:
    needles = Search({"a number": CANARY})
    edge = room.CHUNK - 5
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_bytes(b" " * edge + CANARY.encode("utf-16-le") + b" " * 10)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "k").write_text(CANARY)
    found = list(room.check_files([tmp_path], needles, except_for=[tmp_path / "keys"]))
    assert [(Path(one.where).name, one.says) for one in found] == [("a.log", "shows a number as utf-16-le")]
    assert len(list(room.check_files([tmp_path], needles))) == 2


def test_L31_a_canary_that_chance_could_find_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        spellings("abc")
