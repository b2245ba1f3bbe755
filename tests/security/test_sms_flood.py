"""L-39: a number is sent so many codes an hour, also when they are asked for all at once."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from lockserver.app.send_login_code import CODES_MAX
from lockserver.db.repositories.people import Accounts
from tests.support.app_door import Door

pytestmark = pytest.mark.contract
AT_ONCE = 16


async def sent(door: Door) -> int:
    """Messages that a stranger's phone gets from a burst."""
    asks = [door.http.post("/v1/login/codes", json={"phone": "13900000077"}) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*asks)
    assert {answer.status_code for answer in answers} <= {202, 429}
    return sum(answer.status_code == 202 for answer in answers)


async def test_L39_a_burst_of_requests_sends_no_more_codes_than_the_hours_share(door: Door) -> None:
    assert await sent(door) == CODES_MAX


async def test_L39_mutant_a_count_that_nobody_waits_for_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def early(_self: Accounts, _index: bytes, _since: datetime) -> int:
        return 0  # what all of them read before the first has written

    monkeypatch.setattr(Accounts, "codes_since", early)
    assert await sent(door) == AT_ONCE
