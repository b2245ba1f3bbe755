"""PINs that people choose: refused beforehand where they must be, `set` when the lock says so, gone likewise."""

from __future__ import annotations

import pytest

from firmware_sim.core.events import Sign
from tests.support.keypad_house import GOOD, KeypadHouse

pytestmark = pytest.mark.contract


async def test_a_tenants_pin_opens_once_the_lock_has_said_so_and_not_before(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    answer = await house.choose(tenant, room, GOOD)
    assert (answer.status_code, answer.json()["state"]) == (202, "setting"), answer.text
    assert house.key_in(room, GOOD) is Sign.DENIED
    await house.converge(room)
    assert await house.states(tenant, room) == ["set"]
    assert house.key_in(room, GOOD) is Sign.OPEN
    assert house.desk(room).openings == 1
