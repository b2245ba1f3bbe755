"""L-38: whoever learnt the id of somebody's wish (role api keeps them) reads no PIN with it by another phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lockserver.app import assign_backup, give_offline_pin
from lockserver.protocol.wish import Arg, WishOperation
from tests.support.app_door import App, open_door
from tests.support.database import Database
from tests.support.keypad_house import KeypadHouse, a_keypad_house

pytestmark = pytest.mark.contract

WISH_ID = bytes(range(16))


@pytest_asyncio.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[KeypadHouse]:
    async with open_door(database, tmp_path) as door, a_keypad_house(door) as made:
        yield made


async def asked(house: KeypadHouse, app: App, kind: str, wish_id: bytes = WISH_ID) -> Any:
    lock = house.lock(house.room)
    start = int(house.door.clock.now().timestamp()) + 7200
    args: dict[str, Arg] = {"code": 1, "start": start} if kind == "offline" else {"backup": 1}
    wish = app.wish(WishOperation.READ_PIN, lock, args=args, wish_id=wish_id)
    return await app.send("POST", f"/locks/{lock}/pins/{kind}", {"wish": wish})


async def thief_of(house: KeypadHouse) -> App:
    """The tenant's number, swapped, and a phone that somebody vouched for in a house of the thief's own."""
    thief = App(house.door, house.party.tenant.number)
    await thief.log_in()
    await thief.enrol_phone()
    sql = "UPDATE phones SET state = 'active', proved_by = 'staff' WHERE id = %s"
    house.door.database.execute(sql, thief.phone_id)
    return thief


@pytest.mark.parametrize("kind", ["offline", "backup"])
async def test_L38_the_id_of_a_spent_wish_reads_no_pin_for_another_phone(
    house: KeypadHouse, kind: str
) -> None:
    tenant = house.party.tenant
    mine = await asked(house, tenant, kind)
    assert mine.status_code == 201, mine.text
    answer = await asked(house, await thief_of(house), kind)
    assert (answer.status_code, answer.json().get("code")) == (409, "wish_used"), answer.text
    again = await asked(house, tenant, kind)
    assert house.digits(tenant, house.room, again) == house.digits(tenant, house.room, mine)


@pytest.mark.parametrize("kind", ["offline", "backup"])
async def test_L38_mutant_an_answer_to_whoever_knows_the_id_is_caught(
    house: KeypadHouse, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def anybody(*_: Any) -> None:
        """Asks nothing."""

    monkeypatch.setattr(give_offline_pin, "check_same_phone", anybody)
    monkeypatch.setattr(assign_backup, "check_same_phone", anybody)
    with pytest.raises(AssertionError):
        await test_L38_the_id_of_a_spent_wish_reads_no_pin_for_another_phone(house, kind)
