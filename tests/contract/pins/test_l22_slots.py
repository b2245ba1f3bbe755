"""L-22: nobody but the lock makes a slot `set`, or says that it is gone."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from lockserver.app import accept_report
from tests.support.keypad_house import GOOD, KeypadHouse

pytestmark = pytest.mark.contract


async def shown(house: KeypadHouse) -> list[str]:
    return await house.states(house.party.tenant, house.room)


async def test_L22_a_pin_is_set_only_by_the_locks_own_word(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    house.airs[room].online = False
    made = (await house.choose(tenant, room, GOOD)).json()
    await house.converge(room)
    assert await shown(house) == ["setting"], "sent is not held"
    house.airs[room].online = True
    sent = house.heard[room]
    from lockserver.app.converge_access import converge_access

    await converge_access(house.bridges[room], house.party.locks[room])
    assert await shown(house) == ["setting"], "held is not said"
    assert len(house.desk(room).lock.published) > sent
    await house.hear(room)
    assert await shown(house) == ["set"]
    house.airs[room].online = False
    await house.remove(tenant, made["id"])
    await house.converge(room)
    assert await shown(house) == ["removing"]


@pytest.mark.parametrize("role", ["api", "bridge", "issuer", "jobs", "verify"])
async def test_L22_no_role_writes_set_before_the_lock_has_spoken(house: KeypadHouse, role: str) -> None:
    house.airs[house.room].online = False
    slot = (await house.choose(house.party.tenant, house.room, GOOD)).json()["id"]
    with pytest.raises(psycopg.Error):
        house.door.database.execute("UPDATE slots SET state = 'set' WHERE id = %s", slot, role=role)
    assert await shown(house) == ["setting"]


async def test_L22_mutant_a_bridge_that_settles_what_it_sent_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent counts as set: the trigger, and the test above, say no."""
    house.airs[house.room].online = False
    await house.choose(house.party.tenant, house.room, GOOD)
    async with house.bridges[house.room].transactions.begin() as work:
        with pytest.raises(Exception, match=r"integrity|law|refuses"):
            await work.slots.settle(house.party.locks[house.room], 1 << 31, house.door.clock.now())
    house.door.database.execute("ALTER TABLE slots DISABLE TRIGGER slot_steps")
    async with house.bridges[house.room].transactions.begin() as work:
        await work.slots.settle(house.party.locks[house.room], 1 << 31, house.door.clock.now())
    assert await shown(house) == ["set"], "without the trigger the mutant shows itself"


async def test_L22_mutant_a_report_that_settles_nothing_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(*_: Any) -> None:
        """Hears nothing."""

    monkeypatch.setattr(accept_report, "settle_slots", deaf)
    await house.choose(house.party.tenant, house.room, GOOD)
    await house.converge(house.room)
    assert await shown(house) != ["set"]
