"""A question to a lock costs its battery: not for every visitor, and not without end."""

from __future__ import annotations

import pytest

from mobile_api import limits
from tests.contract.api.test_l51_journal import household
from tests.support.app_door import Door


async def asked(door: Door) -> list[int]:
    """What landlord and tenant are answered who ask one lock again and again."""
    home = await household(door)
    path = f"/locks/{home.lock}/inventory"
    who = (home.landlord, home.first)
    return [(await who[number % 2].send("POST", path)).status_code for number in range(8)]


async def test_a_lock_is_asked_a_few_times_whoever_asks(door: Door) -> None:
    answers = await asked(door)
    assert answers[: limits.PHONE_CODE_TRIES] == [202] * limits.PHONE_CODE_TRIES
    assert set(answers[limits.PHONE_CODE_TRIES :]) == {429}


async def test_mutant_without_the_count_it_is_asked_without_end(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits.Limits, "try_once", lambda *_: None)
    assert set(await asked(door)) == {202}
