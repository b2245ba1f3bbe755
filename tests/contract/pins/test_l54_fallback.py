"""L-54: who would stand outside is named before he does; who has a PIN in the lock gets in whatever fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from firmware_sim.core.events import Sign
from lockserver.app import name_risks
from lockserver.db.risks import count_at_risk
from tests.support.house_party import DAY
from tests.support.keypad_house import GOOD, KeypadHouse

pytestmark = pytest.mark.contract
HOUR = timedelta(hours=1)


async def fallback(house: KeypadHouse) -> str:
    lease = await house.party.tenant.ok("GET", f"/tenancies/{house.party.lease['id']}")
    return str(lease["fallback"])


async def named(house: KeypadHouse) -> int:
    """Run the hourly job; how many were told anew."""
    async with house.door.database.transactions("jobs").begin() as work:
        return await name_risks.name_risks(work, house.party.issuing.random, house.door.clock.now())


async def risks(house: KeypadHouse) -> dict[str, Any]:
    await house.party.landlord.log_in()
    found: dict[str, Any] = await house.party.landlord.ok("GET", f"/houses/{house.party.house['id']}/risks")
    return found


async def test_L54_a_tenant_is_asked_for_a_pin_until_the_lock_holds_one(house: KeypadHouse) -> None:
    assert await fallback(house) == "none"
    house.airs[house.room].online = False
    await house.choose(house.party.tenant, house.room, GOOD)
    assert await fallback(house) == "setting"
    house.airs[house.room].online = True
    await house.converge(house.room)
    assert await fallback(house) == "set"
    landlord = await house.party.landlord.ok("GET", f"/tenancies/{house.party.lease['id']}")
    assert landlord["fallback"] is None, "not his to know"


async def test_L54_a_sleeping_phone_is_named_before_its_key_dies_and_not_a_day_early(
    house: KeypadHouse,
) -> None:
    tenant = house.party.tenant
    await house.party.kit(tenant)
    assert (await named(house), (await risks(house))["count"]) == (0, 0)
    house.door.clock.move(35 * HOUR)
    assert await named(house) == 0
    house.door.clock.move(2 * HOUR)
    assert (await named(house), await named(house)) == (1, 0), "told once for each key"
    shown = await risks(house)
    assert shown["count"] == 1
    assert set(shown["holders"][0]) == {"phone_mask", "door", "until"}
    assert tenant.number not in str(shown)
    await tenant.log_in()
    assert "access_at_risk" in [one["kind"] for one in await tenant.ok("GET", "/notices")]
    await house.party.kit(tenant)
    assert (await risks(house))["count"] == 0, "it has synced"


async def slept(house: KeypadHouse) -> tuple[int, str]:
    """Two weeks asleep with a PIN in the lock: how many are named at risk, and what the door answers."""
    await house.party.kit(house.party.tenant)
    await house.choose(house.party.tenant, house.room, GOOD)
    await house.converge(house.room)
    house.unplug(house.room)
    await house.party.pass_time(14 * DAY)
    count = (await risks(house))["count"]
    return count, house.key_in(house.room, GOOD).value


async def test_L54_who_has_a_pin_sleeps_two_weeks_through_an_outage_and_gets_in(house: KeypadHouse) -> None:
    assert await slept(house) == (0, Sign.OPEN.value)
    assert count_at_risk(house.door.database.url("audit"))[0] in (0, 1)


async def test_L54_mutant_an_alarm_that_asks_only_whether_a_pin_was_wanted_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PIN that the lock never heard of lets nobody in."""
    await house.party.kit(house.party.tenant)
    house.airs[house.room].online = False
    await house.choose(house.party.tenant, house.room, GOOD)
    house.door.clock.move(40 * HOUR)
    assert (await risks(house))["count"] == 1
    monkeypatch.setattr(name_risks, "fallback_of", lambda slots: "set" if slots else "none")
    assert (await risks(house))["count"] != 1


async def test_L54_mutant_an_alarm_at_the_keys_death_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_risks, "AHEAD", timedelta(0))
    await house.party.kit(house.party.tenant)
    house.door.clock.move(37 * HOUR)
    assert await named(house) == 0
