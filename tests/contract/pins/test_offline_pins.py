"""PINs that work with no network: who may read out which, for when; and the lock opens for the digits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from firmware_sim.core.events import Sign
from tests.support.app_door import App
from tests.support.keypad_house import GOOD, KeypadHouse

pytestmark = pytest.mark.contract
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def code_of(house: KeypadHouse, app: App, door: str, code: int, begins: timedelta = 2 * HOUR) -> Any:
    answer = await house.read_out(app, door, code, begins)
    return answer.json().get("code") if answer.status_code != 201 else "given"


async def test_the_digits_open_the_real_lock_in_their_hour_and_once(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    answer = await house.read_out(tenant, room, 0, 2 * HOUR)
    assert answer.status_code == 201, answer.text
    digits = house.digits(tenant, room, answer)
    assert (len(digits), digits.isdecimal(), digits in answer.text) == (9, True, False)
    house.unplug(room)
    assert house.key_in(room, digits) is Sign.DENIED, "its hour has not come"
    await house.party.pass_time(2 * HOUR)
    assert house.key_in(room, digits) is Sign.OPEN
    assert house.key_in(room, digits) is Sign.DENIED
    assert house.desk(room).openings == 1


async def test_the_same_wish_is_answered_with_the_same_pin_and_an_hour_has_two(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    wish_id = bytes(range(16))
    answers = [await house.read_out(tenant, room, 1, 2 * HOUR, wish_id=wish_id) for _ in range(2)]
    digits = {house.digits(tenant, room, one) for one in answers}
    assert len(digits) == 1
    second = await house.read_out(tenant, room, 1, 2 * HOUR)
    assert house.digits(tenant, room, second) not in digits
    third = await house.read_out(tenant, room, 1, 2 * HOUR)
    assert (third.status_code, third.json()["code"]) == (409, "pin_hour_full")
    assert await code_of(house, tenant, room, 2) == "given"
    [(kept,)] = house.door.database.execute("SELECT count(*) FROM offline_pins")
    assert kept == 3


async def test_who_may_read_out_which(house: KeypadHouse) -> None:
    party, room, gate = house.party, house.room, house.gate
    owner, tenant = party.landlord, party.tenant
    assert {code: await code_of(house, owner, room, code) for code in range(9)} == {
        **dict.fromkeys(range(7), "tenant_protected"), 7: "tenancy_lives", 8: "tenant_protected",
    }  # fmt: skip
    assert {code: await code_of(house, tenant, room, code) for code in (0, 4, 7, 8)} == {
        0: "given", 4: "given", 7: "grant_missing", 8: "given",
    }  # fmt: skip
    assert [await code_of(house, owner, gate, code) for code in (0, 6, 7, 8)] == [
        "given", "given", "not_allowed", "given",
    ]  # fmt: skip
    assert [await code_of(house, tenant, gate, code) for code in (0, 8)] == ["given", "grant_missing"]
    guest = await party.guest()
    await party.name(tenant, guest, room)
    await party.pass_time(timedelta(minutes=1))
    await party.kit(guest)
    assert await code_of(house, guest, room, 0) == "tenant_protected"
    stranger = await party.guest()
    assert await code_of(house, stranger, room, 0) == "not_found"


async def test_its_window_lies_in_the_givers_and_begins_now_or_within_a_month(house: KeypadHouse) -> None:
    tenant, room, execute = house.party.tenant, house.room, house.door.database.execute
    assert await code_of(house, tenant, room, 0, -2 * HOUR) == "window_past"
    assert await code_of(house, tenant, room, 0, 31 * DAY) == "window_far"
    assert await code_of(house, tenant, room, 0, timedelta()) == "given", "what is over of it is nobody's"
    leaves = house.door.clock.now() + 10 * DAY
    execute("UPDATE grants SET upper = %s WHERE class = 'tenant' AND door_id = %s", leaves, room)
    found = {code: await code_of(house, tenant, room, code) for code in range(7)}
    assert found == {**dict.fromkeys(range(6), "given"), 6: "window_wide"}
    assert await code_of(house, tenant, room, 1, 9 * DAY + 22 * HOUR) == "window_wide"
    wide = await house.read_out(tenant, room, 6, 2 * HOUR)
    assert set(wide.json()) >= {"from", "until"}


async def test_a_clear_code_ends_guests_pins_and_no_residents(house: KeypadHouse) -> None:
    """L-45: what a landlord, or a co-tenant, keys in takes nobody's own way in."""
    tenant, room = house.party.tenant, house.room
    await house.choose(tenant, room, GOOD)
    await house.converge(room)
    guests = house.digits(tenant, room, await house.read_out(tenant, room, 4, HOUR))
    clear = house.digits(tenant, room, await house.read_out(tenant, room, 8, 2 * HOUR))
    await house.party.pass_time(2 * HOUR)
    assert house.key_in(room, guests) is Sign.OPEN
    assert house.key_in(room, clear) is Sign.CLEARED
    assert (house.key_in(room, guests), house.key_in(room, GOOD)) == (Sign.DENIED, Sign.OPEN)


async def test_an_owner_lets_himself_into_a_vacant_room_only(house: KeypadHouse) -> None:
    owner, room = house.party.landlord, house.room
    await house.end_lease()
    await house.converge(room)
    answer = await house.read_out(owner, room, 7, HOUR)
    assert answer.status_code == 201, answer.text
    await house.party.pass_time(HOUR)
    assert house.key_in(room, house.digits(owner, room, answer)) is Sign.OPEN
    await owner.log_in()
    assert await code_of(house, owner, room, 0) == "tenant_protected", (
        "guests of a room are nobody's but its tenant's"
    )
    later = house.party.landlord.lease(
        room, "13900000009", lower=house.door.clock.now() + 5 * HOUR, upper=house.door.clock.now() + 40 * DAY
    )
    await owner.ok("POST", "/tenancies", later)
    assert await code_of(house, owner, room, 7) == "tenancy_lives", (
        "it would open after somebody has moved in"
    )
