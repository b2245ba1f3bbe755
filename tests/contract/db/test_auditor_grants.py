"""The auditor re-derives what one person gave another, and believes no role (L-05, L-38, L-45)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from lockserver.db.auditor import examine
from tests.support.app_door import Door, open_door
from tests.support.database import Database
from tests.support.house_party import Party, a_party

pytestmark = pytest.mark.contract

BREACHES: dict[str, tuple[str, str, str]] = {
    "no wish": (
        "L-38",
        (
            "ALTER TABLE grants DROP CONSTRAINT grants_guest_check;"
            " UPDATE grants SET wish_id = NULL WHERE class = 'guest'"
        ),
        "nobody's signature",
    ),
    "another phone": ("L-38", "UPDATE grants SET guest_key = sha256('x') WHERE class = 'guest'", "another phone"),
    "another's grant": (
        "L-38",
        ("UPDATE grants g SET parent_id = o.id FROM grants o WHERE g.class = 'guest' AND o.class = 'owner'"
        " AND o.door_id = g.door_id"),
        "somebody else's",
    ),
    "longer": ("L-38", "UPDATE grants SET upper = upper + interval '1 day' WHERE class = 'guest'", "further"),
    "more verbs": ("L-38", "UPDATE grants SET capabilities = 5 WHERE class = 'guest'", "further"),
    "often": ("L-38", "UPDATE grants SET uses = NULL WHERE uses = 1", "number of uses"),
    "beyond the grantor's": (
        "L-38",
        "UPDATE grants SET upper = lower + interval '90 minutes' WHERE class = 'tenant'",
        "outside its grantor's",
    ),
    "twice": (
        "L-05",
        ("DROP INDEX credentials_one_time_key; INSERT INTO credentials"
        " SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid()))).* FROM credentials c"
        " WHERE uses = 1"),
        "second one",
    ),
    "a tenant frozen by another": (
        "L-45",
        ("UPDATE grants g SET state = 'frozen', frozen_at = now(), frozen_by = t.signed_by FROM tenancies t"
        " WHERE g.class = 'tenant' AND t.id = g.tenancy_id"),
        "taken",
    ),
}  # fmt: skip


@pytest_asyncio.fixture
async def party(database: Database, tmp_path: Path) -> AsyncIterator[Party]:
    """Guests, frozen, cut and thawed; a tenant who froze his own; an owner who was let in."""
    async with open_door(database, tmp_path) as door:
        yield await a_week(door)


async def a_week(door: Door) -> Party:
    party = await a_party(door, tenants=1)
    guest, once = await party.guest(), await party.guest()
    [given] = await party.name(party.tenant, guest, party.room, capabilities=["unlock", "lock"])
    await party.name(party.tenant, once, party.room, uses=1)
    for app in (guest, once, party.tenant):
        await party.kit(app)
    await party.pass_time(timedelta(seconds=5))
    await party.act(party.tenant, "freeze", given["id"])
    await party.act(party.tenant, "unfreeze", given["id"])
    await party.edit(party.tenant, given["id"], window={"until": party.window(1)["until"]})
    await party.listed(party.room)
    await party.kit(guest)
    mine = {one["door_id"]: one["id"] for one in await party.tenant.ok("GET", "/grants")}
    await party.act(party.tenant, "freeze", mine[party.gate])
    # What follows is looked for in a grant that was never edited.
    third = await party.guest()
    await party.name(party.tenant, third, party.room)
    await party.kit(third)
    return party


def found(party: Party, *statements: str) -> list[tuple[str, str]]:
    """What the auditor says after somebody tampered as the superuser, with the laws switched off."""
    url = party.door.database.superuser
    with psycopg.connect(url) as connection:
        connection.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())
        findings = [(one.law, one.says) for one in examine(connection)]
        connection.rollback()
    return findings


async def test_L05_what_people_gave_each_other_is_in_order(party: Party) -> None:
    assert found(party) == []


async def test_L05_each_breach_is_found(party: Party) -> None:
    missed = {}
    for name, (law, statement, what) in BREACHES.items():
        findings: list[Any] = found(party, statement)
        if not any(one[0] == law and what in one[1] for one in findings):
            missed[name] = findings
    assert missed == {}
