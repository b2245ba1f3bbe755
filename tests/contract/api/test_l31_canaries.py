"""L-31: what a registration leaves in the database, the logs and the answers, searched for its secrets."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
import structlog
from psycopg import sql

from tests.contract.api.test_registration_api import duty_of, moved_in
from tests.support.app_door import Door, fields

NAME, ADDRESS = "金丝雀", "金丝雀省金丝雀市金丝雀路八号"


def spellings(secret: str) -> Iterator[bytes]:
    """A secret as it may lie about: plain, wide, escaped, hexed, in base64 at every offset."""
    for raw in (secret.encode(), secret.encode("utf-16-le"), secret.encode("utf-16-be")):
        yield raw
        yield raw.hex().encode()
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
            inner = encoded[4 if shift else 0 : -1]
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")
    yield json.dumps(secret)[1:-1].encode()


def found_in(haystack: bytes, secrets: dict[str, str]) -> set[str]:
    return {name for name, secret in secrets.items() if any(one in haystack for one in needles(secret))}


@functools.cache
def needles(secret: str) -> tuple[bytes, ...]:
    return tuple(spellings(secret))


def leaks_in_database(door: Door, secrets: dict[str, str]) -> set[str]:
    """`table.column: secret` for every decoded value that holds one."""
    leaks = set()
    with psycopg.connect(door.database.superuser) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        ).fetchall()
        assert len(tables) > 25
        for (table,) in tables:
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                for column, value in zip(names, row, strict=True):
                    raw = bytes(value) if isinstance(value, bytes | memoryview) else b""
                    plain = raw + repr(value).encode() + str(value).encode()
                    leaks |= {f"{table}.{column}: {name}" for name in found_in(plain, secrets)}
    return leaks


async def registered(door: Door) -> tuple[dict[str, str], list[bytes], list[bytes]]:
    """Register somebody; his secrets, what was sent as JSON, and every answer."""
    sent: list[bytes] = []
    answered: list[bytes] = []

    async def keep_request(request: httpx.Request) -> None:
        if request.headers.get("content-type") == "application/json":
            sent.append(request.content)

    async def keep_answer(response: httpx.Response) -> None:
        answered.append(await response.aread())

    _, tenant, signed = await moved_in(door)
    door.http.event_hooks = {"request": [keep_request], "response": [keep_answer]}
    card = fields(name=NAME, address=ADDRESS)
    refused = await tenant.send("POST", "/cases", {"duty_id": card["number"], "phone_id": NAME})
    assert refused.status_code == 422
    case_id = await tenant.capture(duty_of(signed), card)
    case = await tenant.declare(case_id, card)
    await tenant.ok("GET", f"/registrations/{case['registration_id']}")
    await tenant.ok("GET", "/ledger")
    secrets = {"number": card["number"], "name": NAME, "address": ADDRESS}
    sent = [one for one in sent if card["number"].encode() not in one or b"duty_id" not in one]
    return secrets, sent, answered


async def test_L31_nothing_of_the_person_stands_in_database_logs_or_answers(door: Door) -> None:
    with structlog.testing.capture_logs() as logs:
        secrets, sent, answered = await registered(door)
    assert leaks_in_database(door, secrets) == set()
    for name, lines in (("sent", sent), ("answered", answered), ("logs", [repr(logs).encode()])):
        assert lines, name
        assert found_in(b"\n".join(lines), secrets) == set(), name


@pytest.mark.parametrize("place", ["cases.scores", "audit_log.detail", "case_parts.advice", "outbox.sealed"])
async def test_L31_mutant_a_planted_canary_is_found(door: Door, place: str) -> None:
    secrets, _, _ = await registered(door)
    table, column = place.split(".")
    values: dict[str, Any] = {
        "scores": json.dumps({"number": secrets["number"]}),
        "detail": json.dumps({"who": NAME}),
        "advice": base64.b64encode(secrets["number"].encode()).decode(),
        "sealed": ("not sealed at all: " + secrets["number"]).encode(),
    }
    if table == "audit_log":
        door.database.execute(
            "INSERT INTO audit_log (actor, verb, object, detail) VALUES ('x', 'y', 'z', %s)", values["detail"]
        )
    else:
        door.database.execute(f"UPDATE {table} SET {column} = %s", values[column])
    assert {leak.split(":")[0] for leak in leaks_in_database(door, secrets)} == {place}


async def test_L32_a_part_moved_to_another_case_does_not_open(door: Door) -> None:
    """Verify's own boxes are bound to case and part."""
    _, one, signed = await moved_in(door)
    _, other, signed_too = await moved_in(door)
    card = fields()
    first = (await one.open_case(duty_of(signed)))["id"]
    second = (await other.open_case(duty_of(signed_too)))["id"]
    for app, case_id in ((one, first), (other, second)):
        await app.image(case_id, "front", card)
        await door.verify()
    door.database.execute(
        "UPDATE case_parts SET sealed = (SELECT sealed FROM case_parts WHERE case_id = %s) WHERE case_id = %s",
        first, second,
    )  # fmt: skip
    await other.image(second, "selfie", {"score": 1.0})
    await door.verify()
    parts = {part["kind"]: part for part in (await other.case(second))["parts"]}
    assert (parts["selfie"]["state"], parts["selfie"]["code"]) == ("refused", "ciphertext_moved")
