"""L-11: the floor that a late time statement raises is in flash when the power goes. Found by `make sim`."""

from __future__ import annotations

import pytest

from firmware_sim.core.rtc import Rtc
from lockserver.protocol.reports import TimeRequest
from tests.unit.firmware_sim.desk import Desk


def floor_after_a_late_statement_and_a_power_cut() -> tuple[int, int]:
    """(floor before the cut, floor after it): the statement is too slow to correct an attested clock."""
    desk = Desk()
    desk.broker_up()
    desk.wait(1201)  # the lock asks again
    asked = [one for one in desk.news() if isinstance(one, TimeRequest)][-1]
    desk.wait(8)
    statement = desk.site.time(desk.enrolled, asked.nonce)
    desk.deliver(desk.site.documents(desk.enrolled, statement))
    before = held_floor(desk)
    desk.lock.power_off()
    desk.lock.power_on()
    return before, held_floor(desk)


def held_floor(desk: Desk) -> int:
    assert desk.lock.lock is not None
    assert desk.lock.lock.held is not None
    return desk.lock.lock.held.rtc.floor


def test_L11_a_floor_raised_by_a_late_statement_survives_a_power_cut() -> None:
    before, after = floor_after_a_late_statement_and_a_power_cut()
    assert after == before > 1_800_000_000


def test_L11_mutant_a_floor_kept_in_memory_only_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    ratchet = Rtc.ratchet

    def unwritten(self: Rtc, *given: object) -> bool:
        ratchet(self, *given)  # type: ignore[arg-type]
        return False

    monkeypatch.setattr(Rtc, "ratchet", unwritten)
    before, after = floor_after_a_late_statement_and_a_power_cut()
    assert after < before
