"""A hostile bridge signs what it likes; no single command of its takes away all the numbers that are left."""

from __future__ import annotations

import pytest

from firmware_sim.core import server as server_room
from lockserver.protocol.errors import Denial
from lockserver.protocol.limits import COUNTER_JUMP, MAX_NUMBER
from lockserver.protocol.reports import Outcome
from tests.unit.firmware_sim.desk import Desk


def after_a_leap(desk: Desk) -> int:
    """One command with the highest number there is, then the holder's own; how often the door opened."""
    desk.broker_up()
    tenant = desk.site.holder()
    leap, _ = desk.site.unlock(desk.enrolled, tenant, counter=MAX_NUMBER)
    desk.deliver(leap)
    before = desk.openings
    sealed, _ = desk.site.unlock(desk.enrolled, tenant)
    desk.deliver(sealed)
    desk.deliver(leap)  # refused once, refused for good
    return desk.openings - before


def test_L19_a_leap_of_the_counter_shuts_nobody_out() -> None:
    desk = Desk()
    assert after_a_leap(desk) == 1
    first = desk.results()[0]
    assert (first.outcome, first.denial) == (Outcome.REFUSED, Denial.COUNTER)


def test_L19_mutant_a_lock_that_follows_any_leap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_room, "COUNTER_JUMP", MAX_NUMBER)
    assert after_a_leap(Desk()) == 0


def test_gaps_that_unsent_commands_leave_are_passed_over() -> None:
    desk = Desk()
    desk.broker_up()
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder(), counter=COUNTER_JUMP)
    desk.deliver(sealed)
    assert desk.openings == 1
