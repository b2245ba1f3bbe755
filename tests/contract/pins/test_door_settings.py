"""A gate's open hours and auto-lock: by the owner's signature, which the issuer reads again."""

from __future__ import annotations

from typing import Any

import pytest

from lockserver.app import issue_access_documents, set_door
from lockserver.app.set_door import DoorSettings
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import AccessState, read_access_state
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import App
from tests.support.keypad_house import KeypadHouse

pytestmark = pytest.mark.contract
MORNINGS = {"zone": "Asia/Shanghai", "weekly": [{"days": ["mon", "fri"], "from": "08:00", "until": "10:00"}]}


async def settle(house: KeypadHouse, app: App, door: str, **body: Any) -> Any:
    said = {"hold_open": None, "auto_lock": None} | body
    wished = app.wished(WishOperation.EDIT_GRANT, door, said)
    return await app.send("PUT", f"/doors/{door}/settings", wished)


async def state_of(house: KeypadHouse, door: str) -> AccessState:
    await house.converge(door)
    async with house.party.issuing.transactions.begin() as work:
        latest = await work.lock_documents.latest(house.party.locks[door], "state")
    assert latest is not None
    return read_access_state(latest.raw, keys_by_id((house.party.issuing.signer.public,)))


async def test_the_owners_signature_opens_a_gate_in_its_hours_and_no_room(house: KeypadHouse) -> None:
    owner, gate = house.party.landlord, house.gate
    answer = await settle(house, owner, gate, hold_open=MORNINGS, auto_lock=30)
    assert answer.status_code == 200, answer.text
    state = await state_of(house, gate)
    assert state.auto_lock == 30
    assert state.hold_open is not None
    assert (await settle(house, owner, house.room, hold_open=MORNINGS)).json()["code"] == "not_allowed"
    assert (await settle(house, owner, house.room, auto_lock=60)).status_code == 200
    assert (await settle(house, owner, gate)).status_code == 200
    state = await state_of(house, gate)
    assert (state.hold_open, state.auto_lock) == (None, None)
    assert (await settle(house, house.party.tenant, gate)).json()["code"] == "not_found"
    elsewhere = MORNINGS | {"zone": "Europe/Berlin"}
    assert (await settle(house, owner, gate, hold_open=elsewhere)).json()["code"] == "schedule_zone"


async def held_open_by_a_row(house: KeypadHouse) -> bool:
    """Who took over role api writes the hours himself; whether the gate's state says so."""
    await settle(house, house.party.landlord, house.gate, auto_lock=30)
    house.door.database.execute(
        "UPDATE doors SET hold_open = jsonb_build_object('offset', 480, 'windows', '[[0, 10080]]'::jsonb)"
        " WHERE id = %s",
        house.gate, role="api",
    )  # fmt: skip
    return (await state_of(house, house.gate)).hold_open is not None


async def test_L19_a_row_opens_no_gate(house: KeypadHouse) -> None:
    assert not await held_open_by_a_row(house)


async def test_L19_mutant_an_issuer_that_believes_the_row_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believes(_work: Any, door: Any) -> DoorSettings:
        return DoorSettings(door.hold_open, door.auto_lock)

    monkeypatch.setattr(issue_access_documents, "founded_settings", believes)
    assert await held_open_by_a_row(house)


@pytest.mark.parametrize("seconds", [1, 4])
async def test_L45_a_landlord_sets_no_auto_lock_that_leaves_no_time_to_open(
    house: KeypadHouse, seconds: int
) -> None:
    owner, room = house.party.landlord, house.room
    answer = await settle(house, owner, room, auto_lock=seconds)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_input"
    assert (await settle(house, owner, room, auto_lock=set_door.LEAST_AUTO_LOCK)).status_code == 200


async def test_L45_mutant_an_auto_lock_of_a_second_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_door, "LEAST_AUTO_LOCK", 1)
    with pytest.raises(AssertionError):
        await test_L45_a_landlord_sets_no_auto_lock_that_leaves_no_time_to_open(house, 1)
