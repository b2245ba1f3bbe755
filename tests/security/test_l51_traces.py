"""L-51: what a resident's phone does to an offline lock by the way tells nobody when he stood at his door."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lockserver.app import read_lock
from lockserver.protocol.journal import How, What
from tests.contract.api.test_l51_journal import Household, household
from tests.support.app_door import App, Door

pytestmark = pytest.mark.contract


async def a_visit(door: Door) -> Household:
    """He brings documents and the time along, opens, and takes the journal back."""
    home = await household(door)
    door.clock.move(timedelta(minutes=23, seconds=45))
    for brought in (What.CLOCK_SET, What.KEYS_APPLIED, What.REVOCATION_APPLIED, What.STATE_APPLIED):
        home.wrote(brought, how=How.BLE)
    home.wrote(What.UNLOCKED, home.first)
    home.wrote(What.BATTERY_LOW, how=How.SELF)
    return home


async def entries(home: Household, reader: App) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await reader.ok("GET", f"/locks/{home.lock}/journal"))["entries"]
    return found


async def test_L51_what_a_residents_phone_brought_is_no_trace_of_his_coming(door: Door) -> None:
    home = await a_visit(door)
    for outsider in (home.landlord, home.caretaker, home.second):
        assert {one["what"] for one in await entries(home, outsider)} == {"battery_low"}
    assert {one["what"] for one in await entries(home, home.first)} == {"unlocked", "battery_low"}


async def test_L51_nor_is_when_his_phone_brought_the_journal_back(door: Door) -> None:
    home = await a_visit(door)
    for outsider in (home.landlord, home.caretaker):
        [fault] = await entries(home, outsider)
        assert fault["received_at"][14:19] == "00:00", "to the hour, as when the lock was seen"


async def test_L51_mutant_documents_shown_by_whoever_brought_them_are_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_lock, "BROUGHT", frozenset())
    with pytest.raises(AssertionError):
        await test_L51_what_a_residents_phone_brought_is_no_trace_of_his_coming(door)


async def test_L51_mutant_a_journal_received_to_the_second_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_lock, "_blurred", lambda line: line)
    with pytest.raises(AssertionError):
        await test_L51_nor_is_when_his_phone_brought_the_journal_back(door)
