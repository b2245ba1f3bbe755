"""Grants that one person gives another: inside his own, for one phone, at one door or several."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from lockserver.app import give_grants
from lockserver.domain.canonical import b64url
from lockserver.protocol.claims import Capability, Claims, HolderClass
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import Door
from tests.support.house_party import DAY, Party, a_party, key_of

WORKDAYS = {
    "zone": "Asia/Shanghai",
    "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "until": "12:00"}],
}


def from_to(begins: str, ends: str | None, time: str = "T00:00:00Z") -> dict[str, Any]:
    return {"window": {"from": begins + time, "until": ends and ends + time}}


def on(days: list[str], begins: str, ends: str) -> dict[str, Any]:
    return {"schedule": WORKDAYS | {"weekly": [{"days": days, "from": begins, "until": ends}]}}


OUTSIDE: list[tuple[dict[str, Any], str, str]] = [
    (from_to("2026-03-05", "2026-03-04"), "window_invalid", "window.until"),
    (from_to("2026-03-05", "2026-03-05"), "window_invalid", "window.until"),
    (from_to("2026-03-05", "2026-03-06", "T00:00:00"), "window_invalid", "window.from"),
    (from_to("2026-02-01", "2026-02-02"), "window_past", "window.until"),
    (from_to("2026-03-03", "2036-02-02"), "window_wide", "window"),
    (from_to("2026-03-01", "2026-03-05"), "window_wide", "window"),
    (from_to("2026-03-03", None), "window_wide", "window"),
    (from_to("2026-03-03", "2026-03-09") | {"uses": 1}, "window_wide", "window.until"),
    ({"capabilities": ["unlock", "hold_open"]}, "capability_wide", "capabilities"),
    ({"capabilities": ["unlock", "administer"]}, "capability_wide", "capabilities"),
    ({"capabilities": ["read_journal"]}, "capability_wide", "capabilities"),
    ({"schedule": WORKDAYS | {"zone": "Europe/Berlin"}}, "schedule_zone", "schedule.zone"),
    ({"schedule": WORKDAYS | {"weekly": []}}, "schedule_invalid", "schedule.weekly"),
    (on(["mon"], "12:00", "08:00"), "schedule_invalid", "schedule.weekly.0.until"),
    (on(["mo"], "08:00", "12:00"), "schedule_invalid", "schedule.weekly.0.days"),
    (on(["mon"], "8", "12:00"), "schedule_invalid", "schedule.weekly.0.from"),
]


async def refused(party: Party, by: Any, guest: Any, *doors: str, **changes: Any) -> dict[str, Any]:
    """The problem with which naming a guest is refused."""
    answer = await by.send("POST", "/grants", party.named(by, guest, *doors, **changes))
    assert answer.status_code >= 400, answer.text
    problem: dict[str, Any] = answer.json()
    return problem


class TestNaming:
    async def test_a_tenant_lets_a_guest_in_at_gate_and_room_with_one_wish(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        given = await party.name(party.tenant, guest, party.room, party.gate, schedule=WORKDAYS)
        assert [one["door_id"] for one in given] == [party.room, party.gate]
        assert len({one["bundle_id"] for one in given}) == 1
        room, gate = [await party.key(guest, where) for where in (party.room, party.gate)]
        assert isinstance(room, Claims)
        assert isinstance(gate, Claims)
        assert (room.holder_class, room.epoch, gate.epoch) == (HolderClass.GUEST, 1, None)
        assert room.capabilities == Capability.UNLOCK
        assert room.schedule is not None
        assert (room.schedule.offset, room.schedule.windows[0]) == (480, (480, 720))
        assert room.holder_public != gate.holder_public or room.lock_id != gate.lock_id
        phones = await guest.ok("GET", "/phones")
        assert [(one["state"], one["proved_by"]) for one in phones] == [("active", "grantor")]

    async def test_the_guest_sees_his_own_and_the_grantor_what_he_gave(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        [given] = await party.name(party.tenant, guest, party.room)
        [seen] = await guest.ok("GET", "/grants")
        assert (seen["id"], seen["role"], seen["class"]) == (given["id"], "holder", "guest")
        mine = await party.tenant.ok("GET", "/grants")
        assert {(one["class"], one["role"]) for one in mine} == {("tenant", "holder"), ("guest", "grantor")}
        landlords = await party.landlord.ok("GET", "/grants")
        assert given["id"] not in {one["id"] for one in landlords}
        assert (await party.landlord.send("GET", f"/grants/{given['id']}")).status_code == 404
        [notice] = await guest.ok("GET", "/notices")
        assert (notice["kind"], notice["seen_at"]) == ("grant_given", None)
        await guest.ok("POST", f"/notices/{notice['id']}/seen")
        [notice] = await guest.ok("GET", "/notices")
        assert notice["seen_at"] is not None

    async def test_only_who_lives_there_names_a_rooms_guests(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        assert (await refused(party, party.landlord, guest, party.room))["code"] == "guest_of_room"
        empty = party.house["rooms"][1]
        assert (await refused(party, party.landlord, guest, empty))["code"] == "guest_of_room"
        assert (await refused(party, party.tenant, guest, empty))["code"] == "not_found"
        [at_gate] = await party.name(
            party.landlord, guest, party.gate, window=party.window() | {"until": None}
        )
        assert at_gate["window"]["until"] is None
        assert isinstance(await party.key(guest, party.gate), Claims)

    async def test_a_guest_names_nobody(self, door: Door) -> None:
        party = await a_party(door)
        guest, friend = await party.guest(), await party.guest()
        await party.name(party.tenant, guest, party.room)
        await party.kit(guest)
        assert (await refused(party, guest, friend, party.room))["code"] == "not_allowed"

    async def test_a_minor_names_nobody(self, door: Door) -> None:
        party = await a_party(door, capacity=3)
        adult, child = await door.person(), await door.person()
        await child.enrol_phone()
        minor = {"phone": child.number, "is_minor": True, "guardian_phone": adult.number}
        room = party.house["rooms"][1]
        lease = await party.landlord.ok(
            "POST", "/tenancies", party.landlord.lease(room, tenants=[adult.number, minor])
        )
        party.lives_here(child, lease["id"])
        assert (await refused(party, child, await party.guest(), room))["code"] == "not_allowed"

    async def test_staff_get_keys_from_the_owner_and_may_name_guests_at_the_gate(self, door: Door) -> None:
        party = await a_party(door)
        caretaker, plumber = await party.guest(), await party.guest()
        changes = {"class": "staff", "capabilities": ["unlock", "lock"]}
        assert (await refused(party, party.tenant, caretaker, party.gate, **changes))["code"] == "not_allowed"
        given = await party.name(party.landlord, caretaker, party.gate, party.house["rooms"][1], **changes)
        assert {one["class"] for one in given} == {"staff"}
        key = await party.key(caretaker, party.gate)
        assert isinstance(key, Claims)
        assert key.holder_class is HolderClass.STAFF
        [named] = await party.name(caretaker, plumber, party.gate, window=party.window(1))
        assert isinstance(await party.key(plumber, party.gate), Claims)
        assert named["id"] in {one["id"] for one in await party.landlord.ok("GET", "/grants")}
        problem = await refused(party, caretaker, plumber, party.house["rooms"][1], window=party.window(1))
        assert problem["code"] == "guest_of_room"

    async def test_staff_named_with_the_key_of_their_phone_need_no_other_proof_of_it(
        self, door: Door
    ) -> None:
        party = await a_party(door)
        caretaker = await party.guest()
        path = f"/houses/{party.house['id']}/staff"
        body = {"phone": caretaker.number, "staff_key": key_of(caretaker)}
        signed = party.landlord.wished(WishOperation.NAME_STAFF, party.house["id"], body)
        stranger = await party.guest()
        swapped = await party.landlord.send("POST", path, signed | {"staff_key": key_of(stranger)})
        assert swapped.json()["code"] == "wish_invalid"
        await party.landlord.ok("POST", path, signed)
        for app, state in ((caretaker, "active"), (stranger, "pending")):
            await party.kit(app)
            assert [one["state"] for one in await app.ok("GET", "/phones")] == [state]


class TestBounds:
    """L-05: a right that is passed on lies inside the one it comes from; the refusal says what to change."""

    async def test_L05_what_reaches_outside_is_refused_and_named(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        for changes, code, field in OUTSIDE:
            problem = await refused(party, party.tenant, guest, party.room, **changes)
            assert (problem["code"], problem.get("field")) == (code, field), changes
            says = set(problem) - {"type", "title", "status", "code", "field"}
            assert says, "it says what to change it to"
        assert await guest.ok("GET", "/grants") == []

    async def test_L05_the_gates_grant_bounds_what_is_given_at_the_gate(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        problem = await refused(
            party, party.tenant, guest, party.room, party.gate, capabilities=["unlock", "lock"]
        )
        assert (problem["code"], problem["door_id"], problem["over"]) == (
            "capability_wide",
            party.gate,
            ["lock"],
        )
        assert await guest.ok("GET", "/grants") == [], "all doors or none"

    async def test_L05_mutant_a_server_that_asks_not_how_far_is_caught_and_the_issuer_asks_again(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        party = await a_party(door)
        guest = await party.guest()
        monkeypatch.setattr(give_grants, "check_inside", lambda *_: None)
        wide = from_to("2026-03-03", "2036-02-02")
        [given] = await party.name(party.tenant, guest, party.room, **wide)
        assert given["window"]["until"] == "2036-02-02T00:00:00Z"
        await party.pass_time(DAY)
        assert await party.key(guest, party.room) == "grant_unfounded"

    async def test_a_key_that_no_phone_has_or_ones_own_is_refused(self, door: Door) -> None:
        party = await a_party(door)
        tenant = party.tenant
        problem = await refused(party, tenant, tenant, party.room)
        assert (problem["code"], problem["problem"]) == ("invalid_input", "own_phone")
        nobody = {"guest_key": b64url(bytes(32))}
        assert (await refused(party, tenant, tenant, party.room, **nobody))["code"] == "phone_unknown"

    async def test_doors_of_others_are_not_there(self, door: Door) -> None:
        party, other = await a_party(door), await a_party(door)
        guest = await party.guest()
        assert (await refused(party, party.tenant, guest, other.room))["code"] == "not_found"
        assert (await refused(party, party.tenant, guest, party.room, other.gate))["code"] == "not_found"


class TestOneTime:
    async def test_a_one_time_grant_has_exactly_one_key_ever(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        [given] = await party.name(party.tenant, guest, party.room, uses=1, window=party.window(3))
        first = await party.key(guest, party.room)
        assert isinstance(first, Claims)
        assert first.uses == 1
        door.clock.move(timedelta(hours=40))  # any other key would be renewed at half its life
        again = await party.key(guest, party.room)
        assert isinstance(again, Claims)
        assert again.cti == first.cti
        await party.tenant.log_in()
        await party.act(party.tenant, "freeze", given["id"])
        await party.act(party.tenant, "unfreeze", given["id"])
        assert await party.key(guest, party.room) == "one_time_issued"
        assert first.cti in await party.listed(party.room)
        rows = door.database.execute("SELECT count(*) FROM credentials WHERE grant_id = %s", given["id"])
        assert rows == [(1,)]

    async def test_the_database_takes_no_second_key_of_it(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        await party.name(party.tenant, guest, party.room, uses=1)
        await party.kit(guest)
        copy = (
            "INSERT INTO credentials (id, grant_id, phone_id, lock_id, not_before, expires_at, issued_at, uses, raw)"
            " SELECT gen_random_uuid(), grant_id, phone_id, lock_id, not_before, expires_at, issued_at, uses, raw"
            " FROM credentials WHERE uses = 1"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            door.database.execute(copy)

    async def test_the_window_is_what_the_key_says(self, door: Door) -> None:
        party = await a_party(door)
        guest = await party.guest()
        window = party.window(1, begins=0.5)
        await party.name(party.tenant, guest, party.room, window=window)
        key = await party.key(guest, party.room)
        assert isinstance(key, Claims)
        now = int(door.clock.now().timestamp())
        assert key.nbf == pytest.approx(now + DAY.total_seconds() / 2, abs=5)
        assert key.exp - key.nbf == DAY.total_seconds()
