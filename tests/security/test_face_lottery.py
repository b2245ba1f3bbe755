"""Tries are counted for the duty: whoever opens case after case does not play a machine until it errs."""

from __future__ import annotations

import pytest

from lockserver.app import capture
from lockserver.domain.case import ATTEMPTS_MAX
from tests.contract.api.test_registration_api import duty_of, moved_in
from tests.support.app_door import Door, fields

pytestmark = pytest.mark.contract
CASES = 3


async def selfies_taken(door: Door) -> int:
    """Selfies that are looked at when every case is dropped for a fresh one."""
    _, tenant, signed = await moved_in(door)
    card, taken = fields(), 0
    for _ in range(CASES):
        case_id = (await tenant.open_case(duty_of(signed)))["id"]
        for kind in ("front", "back"):
            await tenant.image(case_id, kind, card)
            await door.verify()
        for _ in range(ATTEMPTS_MAX - 1):
            answer = await tenant.image(case_id, "selfie", {"score": 0.1})
            await door.verify()
            if answer.status_code != 202:
                assert answer.json()["code"] == "attempts_exhausted"
                return taken
            taken += 1
    return taken


async def test_a_fresh_case_is_no_fresh_set_of_tries(door: Door) -> None:
    assert await selfies_taken(door) == ATTEMPTS_MAX


async def test_mutant_tries_that_only_a_case_counts_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "TRIES_WINDOW", -capture.TRIES_WINDOW * 10_000)
    with pytest.raises(AssertionError):
        await test_a_fresh_case_is_no_fresh_set_of_tries(door)
