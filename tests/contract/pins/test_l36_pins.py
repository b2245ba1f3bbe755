"""L-36: a PIN that is asked for again after a crash of ours is one PIN."""

from __future__ import annotations

from typing import Any

import pytest

from lockserver.db.repositories.platform import Idempotency
from lockserver.db.repositories.slots import GivenPins
from lockserver.protocol.wish import WishOperation
from tests.support.keypad_house import GOOD, KeypadHouse

pytestmark = pytest.mark.contract
KEY = "the-same-intent-again"


async def asked_twice(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> tuple[set[str], set[str], int, int]:
    """Both kinds of PIN, each asked for once more after the api died before it kept the answer."""
    tenant, room = house.party.tenant, house.room
    lock = house.lock(room)
    start = int(house.door.clock.now().timestamp())
    read = {"wish": tenant.wish(WishOperation.READ_PIN, lock, args={"code": 2, "start": start})}
    chosen = house.chosen(tenant, room, GOOD)
    honest = Idempotency.finish

    async def dies(*_: Any) -> None:
        raise ConnectionError("killed before the commit")

    async def both() -> list[Any]:
        return [
            await tenant.send("POST", f"/locks/{lock}/pins/offline", read, key=KEY + "-1"),
            await tenant.send("POST", f"/locks/{lock}/pins", chosen, key=KEY + "-2"),
        ]

    monkeypatch.setattr(Idempotency, "finish", dies)
    assert [one.status_code for one in await both()] == [500, 500]
    monkeypatch.setattr(Idempotency, "finish", honest)
    answers = [await both() for _ in range(2)]
    digits = {house.digits(tenant, room, one[0]) for one in answers if one[0].status_code == 201}
    slots = {one[1].json().get("id") for one in answers}
    [(pins,)] = house.door.database.execute("SELECT count(*) FROM offline_pins")
    [(places,)] = house.door.database.execute("SELECT count(*) FROM slots WHERE purpose = 'own'")
    return digits, slots, pins, places


async def test_L36_a_crash_between_issuer_and_api_makes_no_second_pin(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits, slots, pins, places = await asked_twice(house, monkeypatch)
    assert (len(digits), len(slots), pins, places) == (1, 1, 1, 1)


async def test_L36_mutant_an_issuer_that_forgets_what_it_gave_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgets(*_: Any) -> None:
        return None

    monkeypatch.setattr(GivenPins, "by_wish", forgets)
    digits, *_ = await asked_twice(house, monkeypatch)
    assert len(digits) != 1, "the holder is left without the digits of his own PIN"
