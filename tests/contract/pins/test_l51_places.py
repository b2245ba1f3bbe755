"""L-51: entries of PINs and cards are read by whose they are; a landlord does not see when his tenant came home."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lockserver.app import name_places
from tests.support.app_door import App
from tests.support.keypad_house import GOOD, KeypadHouse

pytestmark = pytest.mark.contract


async def read(house: KeypadHouse, app: App) -> list[tuple[str, str]]:
    await app.log_in()
    found = (await app.ok("GET", f"/locks/{house.lock(house.room)}/journal"))["entries"]
    return [(one["how"], one["whose"]) for one in found if one["how"] == "pin" and one["what"] == "unlocked"]


async def came_home(house: KeypadHouse) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The tenant keys in his PIN, a guest the one that he read out; what tenant and landlord see of it."""
    tenant, room = house.party.tenant, house.room
    await house.choose(tenant, room, GOOD)
    guests = house.digits(tenant, room, await house.read_out(tenant, room, 1, timedelta(hours=1)))
    await house.party.pass_time(timedelta(hours=1))
    await house.converge(room)
    for digits in (GOOD, guests):
        house.key_in(room, digits)
    await house.connect(room)
    return await read(house, tenant), await read(house, house.party.landlord)


async def test_L51_a_pins_entry_is_its_holders_and_its_givers(house: KeypadHouse) -> None:
    tenants, landlords = await came_home(house)
    assert sorted(tenants) == [("pin", "guest"), ("pin", "mine")]
    assert landlords == []


async def test_L51_mutant_places_that_are_the_owners_are_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = name_places._holder

    async def his(work: Any, slots: Any, at: Any) -> Any:
        from dataclasses import replace

        owner = await honest(work, slots, at)
        return None if owner is None else replace(owner, class_="owner")

    monkeypatch.setattr(name_places, "_holder", his)
    _, landlords = await came_home(house)
    assert landlords != []
