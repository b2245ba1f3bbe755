"""L-01 at the issuer: what a grantor signed is JSON of his own making, kept, and read again at every sync.

Whoever brings a body past the API (an intruder in it, with some phone that has signed it) must not make the
issuer stumble over it, and so keep keys from everybody whom the grant names.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from lockserver.app.set_door import _read
from lockserver.domain.errors import DomainError
from lockserver.domain.terms import read_edit, read_terms
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import Door
from tests.support.house_party import a_party

WEEKLY = {"zone": "Asia/Shanghai", "weekly": [{"days": ["mon"], "from": "08:00", "until": "12:00"}]}
GOOD: dict[str, Any] = {
    "door_ids": ["0198c0de-0000-7000-8000-000000000001"],
    "class": "guest",
    "guest_key": "A" * 43,
    "window": {"from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
    "schedule": WEEKLY,
    "capabilities": ["unlock"],
    "uses": 1,
    "widen": True,
    "hold_open": WEEKLY,
    "auto_lock": 5,
}
BEYOND = "9999-12-31T23:59:59-23:59"
"""An instant whose UTC lies beyond the calendar."""
JUNK: list[Any] = [
    None, True, 0, -1, float("nan"), 10**400, "", "x", [], {}, [[]], [{}], {"from": []}, BEYOND,
    "0001-01-01T00:00:00+23:59", "\ud800", ["mon"], [1], "24:00", "A" * 44,
]  # fmt: skip


def bent(said: Any, dice: random.Random) -> Any:
    if dice.random() < 0.15:
        return dice.choice(JUNK)
    if isinstance(said, dict):
        return {name: bent(one, dice) for name, one in said.items() if dice.random() > 0.03}
    return [bent(one, dice) for one in said] if isinstance(said, list) else said


@pytest.mark.parametrize("read", [read_terms, read_edit, _read])
def test_L01_no_kept_body_breaks_its_reader(read: Callable[[dict[str, Any]], Any]) -> None:
    dice, understood = random.Random(36), 0
    for _ in range(8_000):
        body = bent(GOOD, dice)
        if isinstance(body, dict):
            try:
                read(body)
                understood += 1
            except DomainError:
                continue
    assert understood > 100, "not all of it was refused at the first look"


@pytest.mark.contract
async def test_a_window_beyond_the_calendar_is_refused_in_words(door: Door) -> None:
    party = await a_party(door)
    guest = await party.guest()
    window = party.window() | {"until": BEYOND}
    answer = await party.tenant.send(
        "POST", "/grants", party.named(party.tenant, guest, party.room, window=window)
    )
    assert answer.status_code == 422, answer.text
    [grant] = await party.name(party.tenant, guest, party.room)
    edited = party.tenant.wished(WishOperation.EDIT_GRANT, grant["id"], {"window": {"until": BEYOND}})
    answer = await party.tenant.send("PATCH", f"/grants/{grant['id']}", edited)
    assert answer.status_code == 422, answer.text
