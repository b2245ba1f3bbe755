"""Whoever got into the API's database user names guests and staff by rows; the issuer reads the wishes."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from lockserver.app import found_grant, issue_credential
from lockserver.domain.canonical import dumps, unb64url
from lockserver.domain.ids import uuid7
from lockserver.protocol.claims import Claims
from lockserver.protocol.cose import peek
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import App, Door
from tests.support.house_party import Party, a_party, key_of

pytestmark = pytest.mark.contract


@dataclass
class Break:
    """A party with one rightful guest, and an intruder in role api with a phone of his own."""

    party: Party
    guest: App
    intruder: App
    given: dict[str, Any]

    def run(self, statement: str, *args: object) -> list[tuple[Any, ...]]:
        """As the API's database user, whose triggers and grants hold."""
        return self.party.door.database.execute(statement, *args, role="api")

    def holder(self, app: App) -> Any:
        return self.party.door.database.execute("SELECT holder_id FROM phones WHERE id = %s", app.phone_id)[
            0
        ][0]

    def copy_grant(self, **changes: object) -> None:
        """A second grant beside the rightful one, with `changes` (SQL values) in it."""
        [row] = self.party.door.database.execute(
            "SELECT to_jsonb(g) FROM grants g WHERE id = %s", self.given["id"]
        )
        told = {**row[0], "id": str(uuid7(self.party.door.clock.now(), secrets.token_bytes(10))), **changes}
        self.run(
            "INSERT INTO grants SELECT (jsonb_populate_record(NULL::grants, %s::jsonb)).*", json.dumps(told)
        )

    async def answer(self, app: App, door: str | None = None) -> str:
        """What the issuer then says to this phone."""
        key = await self.party.key(app, door or self.party.room)
        return "a key" if isinstance(key, Claims) else key


async def broken_in(door: Door, **changes: Any) -> Break:
    party = await a_party(door, tenants=2)
    guest, intruder = await party.guest(), await party.guest()
    [given] = await party.name(party.tenant, guest, party.room, **changes)
    return Break(party, guest, intruder, given)


async def a_wish_of(hand: Break, by: App, operation: WishOperation, target: str, body: dict[str, Any]) -> str:
    """A sound wish over this body by somebody's phone, kept with its terms, as the API does it; its id."""
    signed = by.wished(operation, target, body)
    raw = unb64url(signed["wish"])
    told: Any = peek(raw)
    wish_id = str(UUID(bytes=told[1]))
    hand.run(
        "INSERT INTO wishes (id, holder_id, phone_id, operation, target, not_after, raw)"
        " VALUES (%s, %s, %s, %s, %s, now(), %s)",
        wish_id, hand.holder(by), by.phone_id, operation.name.lower(), target, raw,
    )  # fmt: skip
    hand.run(
        "INSERT INTO wish_terms (wish_id, body, salt) VALUES (%s, %s, %s)",
        wish_id, dumps(body), unb64url(signed["salt"]),
    )  # fmt: skip
    return wish_id


async def test_the_rightful_guest_has_his_key(door: Door) -> None:
    hand = await broken_in(door)
    assert await hand.answer(hand.guest) == "a key"
    assert await hand.answer(hand.intruder) == "no_grant"


async def test_a_copied_grant_for_another_phone_is_no_key(door: Door) -> None:
    hand = await broken_in(door)
    with pytest.raises(psycopg.errors.UniqueViolation):
        hand.copy_grant(holder_id=str(hand.holder(hand.intruder)))
    # At another door the wish is not used yet: the tenant's gate, say, which its terms do not name.
    gate_grants = {one["door_id"]: one["id"] for one in await hand.party.tenant.ok("GET", "/grants")}
    key = "\\x" + unb64url(key_of(hand.intruder)).hex()
    changes: dict[str, object] = {
        "door_id": hand.party.gate,
        "parent_id": gate_grants[hand.party.gate],
        "epoch": None,
    }
    hand.copy_grant(**changes, holder_id=str(hand.holder(hand.intruder)), guest_key=key)
    assert await hand.answer(hand.intruder, hand.party.gate) == "grant_unfounded"
    phones = await hand.intruder.ok("GET", "/phones")
    assert phones[0]["state"] == "pending", "no row makes a phone active"


WIDER: dict[str, str] = {
    "later": "UPDATE grants SET upper = upper + interval '9 days' WHERE id = %s",
    "earlier": "UPDATE grants SET lower = lower - interval '20 minutes' WHERE id = %s",
    "more verbs": "UPDATE grants SET capabilities = 5 WHERE id = %s",
    "all hours": "UPDATE grants SET schedule = NULL WHERE id = %s",
    "entry": "UPDATE grants SET capabilities = 33 WHERE id = %s",
}


@pytest.mark.parametrize("how", WIDER)
async def test_a_guests_row_reaches_no_further_than_its_wish(door: Door, how: str) -> None:
    week = {"zone": "Asia/Shanghai", "weekly": [{"days": ["mon"], "from": "00:00", "until": "24:00"}]}
    hand = await broken_in(door, schedule=week)
    hand.run(WIDER[how], hand.given["id"])
    assert await hand.answer(hand.guest) == "grant_unfounded"


async def test_what_was_ended_by_a_wish_is_not_begun_again_by_a_row(door: Door) -> None:
    hand = await broken_in(door)
    await hand.party.act(hand.party.tenant, "freeze", hand.given["id"])
    thaw = "UPDATE grants SET state = 'active', frozen_at = NULL, frozen_by = NULL WHERE id = %s"
    hand.run(thaw, hand.given["id"])
    assert await hand.answer(hand.guest) == "grant_unfounded"
    await hand.party.act(hand.party.tenant, "revoke", hand.given["id"])
    with pytest.raises(psycopg.errors.CheckViolation, match="stays ended"):
        hand.run("UPDATE grants SET state = 'active', revoked_at = NULL WHERE id = %s", hand.given["id"])


async def test_what_was_cut_by_a_wish_is_not_restored_by_a_row(door: Door) -> None:
    hand = await broken_in(door)
    cut = hand.party.window(0.5)["until"]
    assert (
        await hand.party.edit(hand.party.tenant, hand.given["id"], window={"until": cut})
    ).status_code == 200
    hand.run("UPDATE grants SET upper = %s WHERE id = %s", hand.given["window"]["until"], hand.given["id"])
    assert await hand.answer(hand.guest) == "grant_unfounded"


async def by_a_grantor(hand: Break, grantor: App, parent: str, door_id: str, **changes: Any) -> str:
    """The intruder names himself by a wish of this person's own sound phone, under this grant; what comes of it."""
    class_ = changes.pop("class", "guest")
    body = {
        "door_ids": [door_id], "class": class_, "guest_key": key_of(hand.intruder), "window": hand.party.window(),
    } | changes  # fmt: skip
    operation = WishOperation.NAME_GUEST if class_ == "guest" else WishOperation.NAME_STAFF
    target = door_id if class_ == "guest" else hand.party.house["id"]
    wish_id = await a_wish_of(hand, grantor, operation, target, body)
    [(tenancy, epoch)] = hand.party.door.database.execute(
        "SELECT tenancy_id, epoch FROM grants WHERE id = %s", parent
    )
    hand.copy_grant(
        holder_id=str(hand.holder(hand.intruder)), guest_key="\\x" + unb64url(key_of(hand.intruder)).hex(),
        wish_id=wish_id, parent_id=parent, door_id=door_id, tenancy_id=tenancy and str(tenancy), epoch=epoch,
        bundle_id=None, lower=body["window"]["from"], upper=body["window"]["until"], **{"class": class_},
    )  # fmt: skip
    return await hand.answer(hand.intruder, door_id)


def grants_of(listed: list[dict[str, Any]]) -> dict[str, str]:
    return {one["door_id"]: one["id"] for one in listed}


async def test_nobody_grants_through_another_persons_grant_or_beyond_his_own(door: Door) -> None:
    hand = await broken_in(door)
    party, room, gate = hand.party, hand.party.room, hand.party.gate
    flatmate = party.lease["people"][1]
    tenants, landlords = [grants_of(await one.ok("GET", "/grants")) for one in (party.tenant, party.landlord)]
    stranger = await party.guest()
    door.database.execute(
        "UPDATE phones SET state = 'active', proved_by = 'button' WHERE id = %s", stranger.phone_id
    )
    tried = {
        "a stranger at the gate": (stranger, landlords[gate], gate, {}),
        "a stranger in the room": (stranger, tenants[room], room, {}),
        "a flatmate under another's": (flatmate, tenants[room], room, {}),
        "the landlord in the room": (party.landlord, landlords[room], room, {}),
        "the landlord under the tenant's": (party.landlord, tenants[room], room, {}),
        "the tenant names staff": (party.tenant, tenants[gate], gate, {"class": "staff"}),
        "the tenant under the landlord's": (party.tenant, landlords[gate], gate, {}),
    }
    said = {}
    for name, (grantor, parent, door_id, changes) in tried.items():
        said[name] = await by_a_grantor(hand, grantor, parent, door_id, **changes)
        named = unb64url(key_of(hand.intruder)).hex()
        door.database.execute(
            f"SET session_replication_role = replica; DELETE FROM grants WHERE guest_key = '\\x{named}'"
        )
    assert said == dict.fromkeys(tried, "grant_unfounded")
    assert await by_a_grantor(hand, party.tenant, tenants[room], room) == "a key", "what he may, he does"


async def test_a_wish_of_a_phone_that_is_gone_is_not_kept(door: Door) -> None:
    """The thief of a phone that was declared lost, hand in hand with an intruder in role api."""
    hand = await broken_in(door)
    tenants = grants_of(await hand.party.tenant.ok("GET", "/grants"))
    hand.run(
        "UPDATE phones SET state = 'revoked', revoked_at = now() WHERE id = %s", hand.party.tenant.phone_id
    )
    assert await hand.answer(hand.guest) == "a key", "what he signed before stands"
    with pytest.raises(psycopg.errors.CheckViolation, match="not active"):
        await by_a_grantor(hand, hand.party.tenant, tenants[hand.party.room], hand.party.room)


async def lease_of_a_free_room(hand: Break, *, wish: str | None) -> str:
    """A whole lease of the free room for the intruder, as rows, with a verdict that he passed under his name."""
    room, now = hand.party.house["rooms"][1], hand.party.door.clock.now()
    tenancy, duty, grant = (uuid7(now, secrets.token_bytes(10)) for _ in range(3))
    me = hand.holder(hand.intruder)
    upper = now.replace(year=2028)
    hand.run(
        "WITH d AS (UPDATE doors SET epoch = 1 WHERE id = %(room)s),"
        " t AS (INSERT INTO tenancies (id, door_id, lower, upper, epoch, state, signed_by, key_policy, wish_id)"
        "  VALUES (%(tenancy)s, %(room)s, %(now)s, %(upper)s, 1, 'signed', %(owner)s, 'on_submit', %(wish)s)),"
        " o AS (INSERT INTO occupants (tenancy_id, holder_id, is_minor) VALUES (%(tenancy)s, %(me)s, false)),"
        " u AS (INSERT INTO duties (id, tenancy_id, holder_id, kind, requirement, rule_id, rule_version, due_at,"
        "  state, provisional)"
        "  VALUES (%(duty)s, %(tenancy)s, %(me)s, 'arrival', 'required', 'r', '1', %(upper)s, 'open', false))"
        " INSERT INTO grants (id, holder_id, door_id, class, capabilities, lower, upper, state, tenancy_id, epoch)"
        "  VALUES (%(grant)s, %(me)s, %(room)s, 'tenant', 1, %(now)s, %(upper)s, 'active', %(tenancy)s, 1)"
        .replace("%(room)s", f"'{room}'").replace("%(tenancy)s", f"'{tenancy}'").replace("%(duty)s", f"'{duty}'")
        .replace("%(grant)s", f"'{grant}'").replace("%(me)s", f"'{me}'").replace("%(now)s", f"'{now}'")
        .replace("%(upper)s", f"'{upper}'").replace("%(wish)s", f"'{wish}'" if wish else "NULL")
        .replace("%(owner)s", f"'{hand.holder(hand.party.landlord)}'")
    )  # fmt: skip
    hand.party.lives_here(hand.intruder, str(tenancy))
    hand.party.door.database.execute(
        "INSERT INTO locks (id, door_id, serial, sign_pub, ecdh_pub, factory_fingerprint, shard, state)"
        " SELECT gen_random_uuid(), %s, 'LSIM-FREE', sign_pub, ecdh_pub, factory_fingerprint, shard, 'active'"
        " FROM locks LIMIT 1",
        room,
    )
    return await hand.answer(hand.intruder, room)


async def test_a_lease_that_no_landlord_signed_is_no_key(door: Door) -> None:
    assert await lease_of_a_free_room(await broken_in(door), wish=None) == "grant_unfounded"


async def test_a_lease_under_the_wish_for_another_is_no_key(door: Door) -> None:
    """One wish makes one lease; and one that is about something else makes none."""
    hand = await broken_in(door)
    [(used,)] = door.database.execute("SELECT wish_id FROM tenancies")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await lease_of_a_free_room(hand, wish=str(used))
    [(guests,)] = door.database.execute("SELECT wish_id FROM grants WHERE id = %s", hand.given["id"])
    assert await lease_of_a_free_room(hand, wish=str(guests)) == "grant_unfounded"


async def test_a_lease_reaches_no_further_than_the_landlord_signed(door: Door) -> None:
    hand = await broken_in(door)
    hand.run("UPDATE tenancies SET upper = upper + interval '99 days'")
    assert await hand.answer(hand.party.tenant) == "grant_unfounded"


# ---------------------------------------------------------------------------------------- mutants


async def test_mutant_an_issuer_that_reads_no_wish_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believes(*_: Any) -> bool:
        return True

    hand = await broken_in(door)
    await hand.answer(hand.guest)
    hand.run(WIDER["later"], hand.given["id"])
    monkeypatch.setattr(issue_credential, "is_founded", believes)
    assert await hand.answer(hand.guest) == "a key"


async def test_mutant_an_issuer_that_looks_at_no_later_wish_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgets(_work: Any, grant: Any, given: Any) -> bool:
        return bool(grant.reach.lies_in(given))

    hand = await broken_in(door)
    await hand.party.act(hand.party.tenant, "freeze", hand.given["id"])
    hand.run(
        "UPDATE grants SET state = 'active', frozen_at = NULL, frozen_by = NULL WHERE id = %s",
        hand.given["id"],
    )
    monkeypatch.setattr(found_grant, "_still", forgets)
    assert await hand.answer(hand.guest) == "a key"


async def test_mutant_an_issuer_that_asks_not_whose_grant_it_hangs_under_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def anybody(*_: Any) -> bool:
        return True

    hand = await broken_in(door)
    tenants = grants_of(await hand.party.tenant.ok("GET", "/grants"))
    monkeypatch.setattr(found_grant, "signs_for", anybody)
    flatmate = hand.party.lease["people"][1]
    assert await by_a_grantor(hand, flatmate, tenants[hand.party.room], hand.party.room) == "a key"


async def test_mutant_an_issuer_that_asks_for_no_lease_wish_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def signed(*_: Any) -> bool:
        return True

    monkeypatch.setattr(found_grant, "is_signed", signed)
    assert await lease_of_a_free_room(await broken_in(door), wish=None) == "a key"
