"""A stolen staff session tries codes until one fits the phone of an open case."""

from __future__ import annotations

import pytest

from mobile_api.limits import Limits
from tests.contract.api.test_cases import a_staff_member, check_by, duty_of, fields, moved_in
from tests.support.app_door import Door

pytestmark = pytest.mark.contract
GUESSES = 8


async def guess(door: Door) -> list[int]:
    landlord, tenant, signed = await moved_in(door)
    staff = await a_staff_member(door, landlord, signed["house"]["id"])
    case_id = (await tenant.open_case(duty_of(signed), route="staff"))["id"]
    answers = [
        (await check_by(staff, tenant, case_id, fields(), code=f"{guess:06d}")).status_code
        for guess in range(GUESSES)
    ]
    answers.append((await check_by(staff, tenant, case_id, fields())).status_code)
    return answers


async def test_a_phone_code_is_misread_five_times_and_then_not_guessed(door: Door) -> None:
    answers = await guess(door)
    assert answers[5:] == [429] * 4, "not even with the right one, for a while"
    assert 429 not in answers[:5], "a slip of the eye is forgiven"


async def test_mutant_without_the_count_the_right_code_is_found(door: Door) -> None:
    object.__setattr__(door.services, "code_limits", Limits(tries=10_000))
    with pytest.raises(AssertionError):
        await test_a_phone_code_is_misread_five_times_and_then_not_guessed(door)
