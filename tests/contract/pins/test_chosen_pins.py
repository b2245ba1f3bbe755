"""PINs that people choose: refused beforehand where they must be, `set` when the lock says so, gone likewise."""

from __future__ import annotations

from datetime import timedelta

import pytest

from firmware_sim.core.events import Sign
from lockserver.protocol.limits import MAX_SLOTS
from tests.support.keypad_house import BETTER, GOOD, KeypadHouse

pytestmark = pytest.mark.contract

WEAK = {
    "1111111": "same_digit",
    "8123459": "run",
    "9876502": "run",
    "123123123": "block",
    "19900307": "date",
    "7717717": "block",
    "22233322": "few_digits",
}


async def test_a_tenants_pin_opens_once_the_lock_has_said_so_and_not_before(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    answer = await house.choose(tenant, room, GOOD)
    assert (answer.status_code, answer.json()["state"]) == (202, "setting"), answer.text
    assert house.key_in(room, GOOD) is Sign.DENIED
    await house.converge(room)
    assert await house.states(tenant, room) == ["set"]
    assert house.key_in(room, GOOD) is Sign.OPEN
    assert house.desk(room).openings == 1


async def test_what_is_wrong_with_a_pin_is_said_before_anybody_stands_at_the_door(house: KeypadHouse) -> None:
    tenant, landlord, room = house.party.tenant, house.party.landlord, house.room
    rules = await tenant.ok("GET", "/pin-rules")
    for pin, rule in WEAK.items():
        answer = await house.choose(tenant, room, pin)
        assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (
            422,
            "pin_weak",
            rule,
        ), pin
        assert rule in rules["rules"]
    for pin in ("274916", "2749163580", "27491a3"):
        answer = await house.choose(tenant, room, pin)
        assert (answer.json()["code"], answer.json()["least"]) == ("pin_length", rules["least_digits"]), pin
    elsewhere = house.chosen(tenant, house.gate, GOOD)["wish"]
    moved = await tenant.send("POST", f"/locks/{house.lock(room)}/pins", {"wish": elsewhere})
    assert moved.json()["code"] == "wish_invalid"
    assert (await house.choose(landlord, room, GOOD)).status_code == 202
    taken = await house.choose(tenant, room, GOOD)
    assert (taken.status_code, taken.json()["code"]) == (409, "pin_taken")
    assert await house.states(tenant, room) == []


async def test_pin_taken_is_not_told_for_ever(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    await house.choose(house.party.landlord, room, GOOD)
    codes = [(await house.choose(tenant, room, GOOD)).json()["code"] for _ in range(11)]
    assert codes == ["pin_taken"] * 10 + ["too_many_tries"]
    house.door.clock.move(timedelta(days=1, hours=1))
    await tenant.log_in()
    assert (await house.choose(tenant, room, BETTER)).status_code == 202


async def test_a_full_lock_says_so_beforehand_and_what_is_leaving_still_counts(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    lock_id = house.lock(room)
    execute = house.door.database.execute
    have = execute("SELECT count(*) FROM slots WHERE lock_id = %s AND kind = 'pin'", lock_id)[0][0]
    for number in range(100, 100 + MAX_SLOTS - have):
        execute(
            "INSERT INTO slots (id, lock_id, number, kind, purpose, class, holder_id, grant_id, given_by, lower,"
            " upper, state, wanted_version, asked_at, verifier) SELECT gen_random_uuid(), %s, %s, 'pin', 'own',"
            " 'owner', g.holder_id, g.id, g.holder_id, g.lower, g.lower + interval '9 days', 'setting', 1, now(),"
            " decode(md5(%s::text), 'hex') FROM grants g WHERE g.class = 'owner' AND g.door_id = %s",
            lock_id, number, number, room,
        )  # fmt: skip
    full = await house.choose(tenant, room, GOOD)
    assert (full.status_code, full.json()["code"], full.json()["most"]) == (409, "slots_full", MAX_SLOTS)
    execute(
        "UPDATE slots SET state = 'removing', why = 'wish', wanted_version = 4000000000 WHERE number = 100"
    )
    assert (await house.choose(tenant, room, GOOD)).json()["code"] == "slots_full"


async def test_a_new_pin_takes_the_old_ones_place_and_one_of_them_always_works(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    await house.choose(tenant, room, GOOD)
    await house.converge(room)
    house.airs[room].online = False
    second = await house.choose(tenant, room, BETTER)
    assert second.status_code == 202
    await house.converge(room)
    assert house.key_in(room, GOOD) is Sign.OPEN, "offline, the lock holds the old one"
    house.door.clock.move(timedelta(minutes=2))
    waiting = {one["state"]: one for one in await house.slots(tenant, room) if one["whose"] == "mine"}
    assert set(waiting) == {"setting", "removing"}
    assert waiting["setting"]["unconfirmed_s"] >= 119
    numbers = {one["number"] for one in waiting.values()}
    assert len(numbers) == 2, "a number is dealt out again only when the lock has let go of it"
    house.airs[room].online = True
    await house.converge(room)
    assert (house.key_in(room, GOOD), house.key_in(room, BETTER)) == (Sign.DENIED, Sign.OPEN)
    assert await house.states(tenant, room) == ["set"]


async def test_the_same_wish_twice_makes_one_pin(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    body = house.chosen(tenant, room, GOOD)
    first = await tenant.ok("POST", f"/locks/{house.lock(room)}/pins", body)
    again = await tenant.ok("POST", f"/locks/{house.lock(room)}/pins", body)
    assert first["id"] == again["id"]


async def test_it_is_removed_by_its_holder_and_ends_with_the_lease(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    made = (await house.choose(tenant, room, GOOD)).json()
    await house.converge(room)
    gone = await house.remove(tenant, made["id"])
    assert (gone.status_code, gone.json()["state"], gone.json()["why"]) == (202, "removing", "wish")
    assert (await house.remove(tenant, made["id"])).json()["code"] == "slot_gone"
    assert house.key_in(room, GOOD) is Sign.OPEN, "the lock has not heard of it yet"
    await house.converge(room)
    assert house.key_in(room, GOOD) is Sign.DENIED
    assert await house.slots(tenant, room) == [
        one for one in await house.slots(tenant, room) if one["whose"] != "mine"
    ]

    await house.choose(tenant, room, BETTER)
    await house.converge(room)
    assert house.key_in(room, BETTER) is Sign.OPEN
    await house.end_lease()
    await house.converge(room)
    assert house.key_in(room, BETTER) is Sign.DENIED
    states = house.door.database.execute(
        "SELECT DISTINCT state FROM slots WHERE lock_id = %s", house.lock(room)
    )
    assert states == [("unset",)]


async def test_a_frozen_grants_pin_leaves_and_comes_back(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    await house.choose(tenant, room, GOOD)
    await house.converge(room)
    [(grant,)] = house.door.database.execute(
        "SELECT id::text FROM grants WHERE class = 'tenant' AND door_id = %s", room
    )
    await house.party.act(tenant, "freeze", grant)
    await house.converge(room)
    assert house.key_in(room, GOOD) is Sign.DENIED
    await house.party.act(tenant, "unfreeze", grant)
    await house.converge(room)
    assert house.key_in(room, GOOD) is Sign.OPEN
    assert await house.states(tenant, room) == ["set"]


async def test_a_guest_with_hours_has_no_pin_of_his_own_and_one_without_has_until_he_leaves(
    house: KeypadHouse,
) -> None:
    party, room = house.party, house.room
    guest = await party.guest()
    weekly = {"zone": "Asia/Shanghai", "weekly": [{"days": ["mon"], "from": "08:00", "until": "12:00"}]}
    await party.name(party.tenant, guest, room, schedule=weekly)
    await party.kit(guest)
    assert (await house.choose(guest, room, GOOD)).json()["code"] == "not_allowed"
    other = await party.guest()
    [given] = await party.name(party.tenant, other, room)
    assert (await house.choose(other, room, GOOD)).json()["code"] == "phone_unknown"
    await party.pass_time(timedelta(minutes=1))
    await party.kit(other)  # the phone that the tenant named has shown that it is that one
    made = await house.choose(other, room, GOOD)
    assert made.status_code == 202, made.text
    await house.converge(room)
    await party.pass_time(timedelta(minutes=1))
    assert house.key_in(room, GOOD) is Sign.OPEN
    assert (await house.remove(party.landlord, made.json()["id"])).json()["code"] == "tenant_protected"
    assert (await house.remove(party.tenant, made.json()["id"])).status_code == 202, given
    await house.converge(room)
    assert house.key_in(room, GOOD) is Sign.DENIED
