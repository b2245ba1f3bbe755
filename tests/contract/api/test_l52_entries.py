"""L-52: owner and staff enter an occupied room by its people's consent or a declared emergency, and not else."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi import Response

from lockserver.app import found_entry, issue_credential
from lockserver.domain.ids import uuid7
from lockserver.protocol.claims import Capability, Claims
from lockserver.protocol.wish import Arg, WishOperation
from mobile_api.routes import locks as routes
from tests.support.app_door import App, Door
from tests.support.house_party import Party, a_party

HOUR = 3600
REASON = "水管爆裂，水已漫到楼下，须立即关阀"


def now_of(party: Party) -> int:
    return int(party.door.clock.now().timestamp())


async def consent(party: Party, by: App, **changes: Any) -> Any:
    """What is answered to a resident's consent; `changes` to what his wish says."""
    now = now_of(party)
    args: dict[str, Any] = {"from": now, "until": now + 2 * HOUR, "class": 1} | changes
    return await declare(party, by, WishOperation.CONSENT_ENTRY, args)


async def emergency(party: Party, by: App, **changes: Any) -> Any:
    args: dict[str, Any] = {"reason": REASON, "until": now_of(party) + 2 * HOUR} | changes
    return await declare(party, by, WishOperation.EMERGENCY_ENTRY, args)


async def declare(party: Party, by: App, operation: WishOperation, args: dict[str, Any]) -> Any:
    lock_id = str(party.locks[party.room])
    said = {name: arg for name, arg in args.items() if arg is not None}
    return await by.send(
        "POST", f"/locks/{lock_id}/entries", {"wish": by.wish(operation, lock_id, args=said)}
    )


async def moved_in(door: Door, tenants: int = 2) -> Party:
    """The tenant has opened his room, so the lock knows that somebody lives there."""
    party = await a_party(door, tenants=tenants)
    await party.listed(party.room)
    assert await party.opens(party.tenant, party.room) == "open"
    return party


async def opened_by(party: Party, who: App) -> str:
    await party.pass_time(timedelta(seconds=2))
    return await party.opens(who, party.room)


async def test_L52_an_owner_opens_an_occupied_room_only_while_somebody_lets_him_in(door: Door) -> None:
    party = await moved_in(door)
    flatmate = party.lease["people"][1]
    assert await opened_by(party, party.landlord) == "occupied"
    made = await consent(party, party.tenant)
    assert made.status_code == 201, made.text
    entry = made.json()
    assert (entry["kind"], entry["class"], entry["lives"]) == ("consent", "owner", True)
    key = await party.key(party.landlord, party.room)
    assert isinstance(key, Claims)
    assert Capability.ENTRY in key.capabilities
    assert key.exp <= now_of(party) + 2 * HOUR
    assert await opened_by(party, party.landlord) == "open"
    assert [one["kind"] for one in await flatmate.ok("GET", "/notices")] == ["entry_consent"]
    # Any adult who lives there takes it back, and the key goes onto the list.
    wish = flatmate.wish(WishOperation.REVOKE, entry["id"])
    ended = await flatmate.ok("POST", f"/entries/{entry['id']}/end", {"wish": wish})
    assert (ended["lives"], ended["ended_at"] is None) == (False, False)
    assert key.cti in await party.listed(party.room)
    assert await party.opens(party.tenant, party.room) == "open", "the tenant's phone brings the list"
    assert await opened_by(party, party.landlord) == "occupied"
    kinds = [one["kind"] for one in await party.landlord.ok("GET", "/notices")]
    assert kinds == ["entry_ended"]


async def test_L52_an_emergency_tells_everybody_at_once_and_ends_by_itself(door: Door) -> None:
    party = await moved_in(door)
    caretaker = await party.guest()
    made = await emergency(party, party.landlord)
    assert made.status_code == 201, made.text
    assert await opened_by(party, party.landlord) == "open"
    for one in party.lease["people"]:
        [notice] = await one.ok("GET", "/notices")
        assert (notice["kind"], notice["detail"]["reason"]) == ("entry_emergency", REASON)
        [seen] = await one.ok("GET", f"/locks/{party.locks[party.room]}/entries")
        assert seen["reason"] == REASON
    old = await party.at(party.landlord, party.room)
    await party.pass_time(timedelta(hours=2))
    for one in (party.landlord, party.tenant, caretaker):
        await one.log_in()
    assert old is not None
    assert party.tries(party.landlord, party.room, old) == "expired"
    assert await opened_by(party, party.landlord) == "occupied"
    assert (await caretaker.send("GET", f"/locks/{party.locks[party.room]}/entries")).status_code == 404


async def test_L52_staff_enter_only_as_the_consent_says(door: Door) -> None:
    party = await moved_in(door, tenants=1)
    caretaker, other = await party.guest(), await party.guest()
    for one in (caretaker, other):
        await party.name(party.landlord, one, party.room, **{"class": "staff"})
    await party.pass_time(timedelta(seconds=3))
    assert await opened_by(party, caretaker) == "occupied"
    ((subject,),) = door.database.execute(
        "SELECT h.subject FROM holders h JOIN phones p ON p.holder_id = h.id WHERE p.id = %s",
        caretaker.phone_id,
    )
    made = await consent(party, party.tenant, **{"class": 2, "who": bytes(subject)})
    assert made.status_code == 201, made.text
    said = [await opened_by(party, one) for one in (caretaker, other, party.landlord)]
    assert said == ["open", "occupied", "occupied"]


async def test_L52_what_a_consent_or_emergency_must_say(door: Door) -> None:
    party = await moved_in(door, tenants=1)
    now = now_of(party)
    stranger = await party.guest()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"class": 3}, "class"),
        ({"class": None}, "class"),
        ({"until": now}, "until"),
        ({"until": now - HOUR, "from": now - 2 * HOUR}, "until"),
        ({"until": now + 8 * 24 * HOUR}, "until"),
        ({"from": now + 40 * 24 * HOUR, "until": now + 41 * 24 * HOUR}, "from"),
        ({"from": None}, "from"),
        ({"until": "soon"}, "until"),
        ({"more": 1}, "more"),
    ]
    for changes, field in wrong:
        problem = (await consent(party, party.tenant, **changes)).json()
        assert (problem["code"], problem["field"]) == ("entry_invalid", field), changes
    assert (await consent(party, party.tenant, who=bytes(16))).json()["code"] == "invalid_input"
    for changes, field in (
        ({"reason": "漏水"}, "reason"),
        ({"reason": " " * 20}, "reason"),
        ({"reason": None}, "reason"),
        ({"until": now + 5 * HOUR}, "until"),
        ({"until": now - 1}, "until"),
    ):
        problem = (await emergency(party, party.landlord, **changes)).json()
        assert (problem["code"], problem["field"]) == ("entry_invalid", field), changes
    assert (await emergency(party, party.tenant)).json()["code"] == "phone_unknown"
    assert (await consent(party, party.landlord)).json()["code"] == "phone_unknown"
    assert (await consent(party, stranger)).json()["code"] == "not_found"
    for _ in range(3):
        assert (await emergency(party, party.landlord)).status_code == 201
    often = await emergency(party, party.landlord)
    assert (often.status_code, often.json()["code"], often.json()["most_a_day"]) == (
        429,
        "entry_too_often",
        3,
    )


async def test_L52_an_empty_room_needs_no_entry(door: Door) -> None:
    party = await moved_in(door, tenants=1)
    empty = party.house["rooms"][1]
    lock_id = uuid7(door.clock.now(), secrets.token_bytes(10))
    door.database.execute(
        "INSERT INTO locks (id, door_id, serial, sign_pub, ecdh_pub, factory_fingerprint, shard, state)"
        " SELECT %s, %s, 'LSIM-EMPTY', sign_pub, ecdh_pub, factory_fingerprint, shard, 'active' FROM locks LIMIT 1",
        lock_id, empty,
    )  # fmt: skip
    args: dict[str, Arg] = {"reason": REASON, "until": now_of(party) + HOUR}
    wish = party.landlord.wish(WishOperation.EMERGENCY_ENTRY, str(lock_id), args=args)
    answer = await party.landlord.send("POST", f"/locks/{lock_id}/entries", {"wish": wish})
    assert answer.json()["code"] == "room_vacant"


async def remote(party: Party, by: App, verb: str = "unlock") -> str:
    """With which code a remote act is refused; `queued` where it is not (no bridge runs here)."""
    lock_id = str(party.locks[party.room])
    operation = WishOperation[verb.replace("-", "_").upper()]
    wish = by.wish(operation, lock_id, life=15)
    before = party.door.database.execute("SELECT count(*) FROM commands")
    answer = await by.send("POST", f"/locks/{lock_id}/{verb}", {"wish": wish})
    after = party.door.database.execute("SELECT count(*) FROM commands")
    return "queued" if after != before else str(answer.json()["code"])


async def test_L52_a_remote_unlock_of_an_occupied_room_is_refused_here_already(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answered(*_: Any, **__: Any) -> Response:
        return Response(status_code=202)  # nobody carries it out here: do not wait for it

    monkeypatch.setattr(routes, "waited", answered)
    party = await moved_in(door, tenants=1)
    await party.pass_time(timedelta(seconds=2))
    await party.kit(party.landlord)
    assert [await remote(party, party.landlord, verb) for verb in ("unlock", "hold-open")] == [
        "entry_missing"
    ] * 2
    assert await remote(party, party.landlord, "lock") == "queued", "locking lets nobody in"
    assert (await emergency(party, party.landlord)).status_code == 201
    await party.pass_time(timedelta(seconds=2))
    await party.kit(party.landlord)
    assert await remote(party, party.landlord) == "queued"


async def test_L52_the_database_takes_no_entry_that_nobody_was_told_of(door: Door) -> None:
    party = await moved_in(door)
    assert (await emergency(party, party.landlord)).status_code == 201
    copy = (
        "INSERT INTO entries (id, lock_id, door_id, tenancy_id, kind, class, given_by, wish_id, reason, lower, upper)"
        " SELECT gen_random_uuid(), lock_id, door_id, tenancy_id, kind, class, given_by,"
        " (SELECT id FROM wishes WHERE id NOT IN (SELECT wish_id FROM entries) LIMIT 1), reason, lower, upper"
        " FROM entries"
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="was not told"):
        door.database.execute(copy)
    door.database.execute("UPDATE entries SET ended_at = now()")
    with pytest.raises(psycopg.errors.CheckViolation, match="stays ended"):
        door.database.execute("UPDATE entries SET ended_at = NULL", role="api")


# ---------------------------------------------------------------------------------------- the issuer looks again


async def forged(party: Party, **changes: Any) -> bool:
    """Whether the issuer cuts a key with `entry` from an entry that an intruder in role api wrote.

    He has the landlord's sound wish for an emergency of two hours, and tells everybody, as the database wants.
    """
    made = await emergency(party, party.landlord)
    assert made.status_code == 201
    entry, execute = made.json(), party.door.database.execute
    execute("SET session_replication_role = replica; UPDATE entries SET ended_at = now()")
    row = {"wish": None, "kind": "emergency", "hours": 2, "reason": REASON, "told": True} | changes
    made_id = uuid7(party.door.clock.now(), secrets.token_bytes(10))
    execute("ALTER TABLE entries DROP CONSTRAINT entries_wish_id_key")
    with_notices = (
        "INSERT INTO notices (id, holder_id, kind, about, detail, at)"
        " SELECT gen_random_uuid(), holder_id, kind, %s, detail, at FROM notices WHERE about = %s"
    )
    if row["told"]:
        execute(with_notices, made_id, entry["id"], role="api")
    execute(
        "SET session_replication_role = replica;"
        " INSERT INTO entries (id, lock_id, door_id, tenancy_id, kind, class, given_by, wish_id, reason, lower, upper)"
        f" SELECT '{made_id}', lock_id, door_id, tenancy_id, '{row['kind']}', class, given_by,"
        f" {repr(str(row['wish'])) if row['wish'] else 'wish_id'}, '{row['reason']}', lower,"
        f" lower + interval '{row['hours']} hours' FROM entries WHERE id = '{entry['id']}'"
    )
    key = await party.key(party.landlord, party.room)
    assert isinstance(key, Claims)
    return Capability.ENTRY in key.capabilities


@pytest.mark.parametrize(
    ("changes", "enters"),
    [({}, True), ({"hours": 9}, False), ({"reason": "no reason at all"}, False), ({"told": False}, False)],
)
async def test_L52_the_issuer_believes_the_wish_and_not_the_row(
    door: Door, changes: dict[str, Any], enters: bool
) -> None:
    assert await forged(await moved_in(door), **changes) == enters


async def test_L52_another_wish_is_no_emergency(door: Door) -> None:
    party = await moved_in(door)
    [(lease,)] = door.database.execute("SELECT wish_id FROM tenancies")
    assert not await forged(party, wish=UUID(str(lease)))


async def test_L52_mutant_an_issuer_that_believes_entry_rows_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believes(*_: Any) -> bool:
        return True

    monkeypatch.setattr(found_entry, "_stands", believes)
    assert await forged(await moved_in(door), hours=9)


async def test_L52_mutant_a_key_that_enters_without_being_let_in_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = await moved_in(door, tenants=1)

    async def lets(_work: Any, _grant: Any, _door: Any, now: Any) -> Any:
        return now + timedelta(hours=2)

    monkeypatch.setattr(issue_credential, "_lets_in", lets)
    assert await opened_by(party, party.landlord) == "open"
