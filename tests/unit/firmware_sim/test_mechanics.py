"""What hands and sensors do at a door: seen, journalled, never refused, and never a stale value as fresh."""

from __future__ import annotations

import pytest

from firmware_sim.core.core import Core, Settings
from firmware_sim.core.events import Alarm, MoveBolt
from firmware_sim.core.mechanics import LOW
from firmware_sim.core.ring import SLOTS, Ring
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.commands import CommandKind
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.journal import How, What
from lockserver.protocol.reports import Hello, Outcome
from tests.unit.firmware_sim.desk import Desk

LOCKED, UNLOCKED = BoltState.LOCKED, BoltState.UNLOCKED


def hello(desk: Desk) -> Hello:
    desk.news()
    desk.deliver(desk.site.say_hello(desk.enrolled))
    return desk.hello()


def online() -> Desk:
    desk = Desk()
    desk.broker_up()
    return desk


def alarms(desk: Desk) -> list[str]:
    return [e.kind for e in desk.lock.effects if isinstance(e, Alarm)]


def test_from_inside_it_always_opens_and_the_journal_knows_by_which_way() -> None:
    desk = online()
    desk.deliver(desk.site.documents(desk.enrolled, desk.site.state(desk.enrolled, version=1, occupied=True)))
    desk.lock.door.jammed = True
    desk.lock.handle()
    entry = desk.entries(What.UNLOCKED)[-1]
    assert (entry.how, entry.subject) == (How.HANDLE, None)
    assert desk.bolt is UNLOCKED
    assert not desk.denials()


def test_who_leaves_by_a_door_that_stands_unlocked_is_not_written_down() -> None:
    desk = online()
    desk.lock.handle()
    for _ in range(5):
        desk.lock.handle()
    assert len(desk.entries(What.UNLOCKED)) == 1


def test_the_cylinder_is_journalled_both_ways() -> None:
    desk = online()
    desk.lock.cylinder(locked=False)
    desk.lock.cylinder(locked=True)
    assert [(e.what, e.how) for e in desk.entries(What.LOCKED, What.UNLOCKED)] == [
        (What.UNLOCKED, How.CYLINDER),
        (What.LOCKED, How.CYLINDER),
    ]
    assert desk.bolt is LOCKED


def test_an_opened_case_sounds_and_stands_in_journal_and_hello() -> None:
    desk = online()
    assert hello(desk).tampered is False
    desk.lock.tamper(is_open=True)
    desk.lock.tamper(is_open=True)
    assert len(desk.entries(What.TAMPERED)) == 1
    assert alarms(desk) == ["tampered"]
    desk.lock.power_on()
    desk.broker_up()
    assert hello(desk).tampered is True, "a case that was open before the boot is open"
    desk.lock.tamper(is_open=False)
    assert hello(desk).tampered is False


def test_a_leaf_that_opens_behind_a_thrown_bolt_was_forced() -> None:
    desk = online()
    desk.lock.swing(is_open=False)
    desk.lock.swing(is_open=True)
    assert alarms(desk) == ["forced"]
    assert desk.entries(What.TAMPERED)
    other = online()
    other.lock.swing(is_open=False)
    other.lock.handle()
    other.lock.swing(is_open=True)
    assert alarms(other) == []


def test_L50_an_old_battery_reading_carries_its_age() -> None:
    desk = online()
    assert (hello(desk).battery, hello(desk).battery_age) == (None, None), "unknown is a value"
    desk.lock.gauge(80)
    assert (hello(desk).battery, hello(desk).battery_age) == (80, 0)
    desk.wait(7200)
    late = hello(desk)
    assert (late.battery, late.battery_age) == (80, 7200)
    desk.lock.gauge(None)
    assert (hello(desk).battery, hello(desk).battery_age) == (None, None)
    desk.lock.gauge(60)
    desk.lock.door.battery = None
    desk.lock.power_on()
    desk.broker_up()
    assert hello(desk).battery is None, "nor is one from before the boot shown as of now"


def test_L50_mutant_a_lock_that_shows_every_reading_as_fresh_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Core.hello

    def fresh(self: Core) -> Hello:
        self.battery_at = None if self.battery is None else self.at.mono
        return whole(self)

    monkeypatch.setattr(Core, "hello", fresh)
    with pytest.raises(AssertionError):
        test_L50_an_old_battery_reading_carries_its_age()


def test_a_frozen_gauge_is_repeated_with_a_young_age_and_no_doubt_of_its_own() -> None:
    desk = online()
    for _ in range(3):
        desk.wait(600)
        desk.lock.gauge(57)
    assert (hello(desk).battery, hello(desk).battery_age) == (57, 0)


def test_a_low_battery_is_told_once_a_crossing_over_reboots_too() -> None:
    desk = online()
    for percent in (25, LOW[0] - 1, LOW[0], LOW[0] - 2, LOW[1] - 1):
        desk.lock.gauge(percent)
    assert len(desk.entries(What.BATTERY_LOW)) == 1
    desk.lock.door.battery = 5
    for _ in range(4):
        desk.lock.power_on()
    assert len(desk.entries(What.BATTERY_LOW)) == 1, "an empty battery reboots a lock all day"
    desk.lock.gauge(100)
    desk.lock.gauge(10)
    assert len(desk.entries(What.BATTERY_LOW)) == 2


def test_a_jam_has_its_name_and_is_counted_once() -> None:
    desk = online()
    desk.lock.door.jammed = True
    sealed, command = desk.site.unlock(desk.enrolled, desk.site.holder())
    desk.deliver(sealed)
    result = desk.results()[-1]
    assert (result.outcome, result.denial) == (Outcome.REFUSED, Denial.JAMMED)
    assert hello(desk).jams == 1
    desk.deliver(sealed)
    assert (desk.results()[-1], hello(desk).jams) == (result, 1), "asked again, nothing moves again"
    assert command.kind is CommandKind.UNLOCK


def test_the_fifth_at_a_slow_motor_is_told_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = online()
    carry_out = desk.lock._carry_out
    monkeypatch.setattr(desk.lock, "_carry_out", lambda e: [] if isinstance(e, MoveBolt) else carry_out(e))
    for _ in range(6):
        sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
        desk.deliver(sealed)
    assert [r.denial for r in desk.results()] == [Denial.BUSY], "one moves, four wait, the sixth is told"


def rattled(openings: int, rattles: int) -> Desk:
    desk = Desk(settings=Settings(auto_lock=0))
    tenant = desk.site.holder()
    credential = desk.site.credential(desk.enrolled, tenant)
    for _ in range(openings):
        answer = desk.open(tenant, credential)
        assert answer is not None
        assert answer.code is AirCode.GRANTED
        desk.hang_up(desk.last)
    for _ in range(rattles):
        desk.lock.swing(is_open=True)
        desk.lock.swing(is_open=False)
    return desk


def test_L53_a_door_that_rattles_for_days_evicts_no_opening() -> None:
    desk = rattled(20, SLOTS)
    assert len(desk.entries(What.UNLOCKED)) == 20
    tenant = desk.site.holder()
    answer = desk.open(tenant, desk.site.credential(desk.enrolled, tenant), operation=Operation.UNLOCK)
    assert answer is not None
    assert answer.code is AirCode.GRANTED
    assert len(desk.entries(What.UNLOCKED)) == 21


def test_L53_mutant_a_ring_that_evicts_the_oldest_whatever_it_is_loses_openings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def oldest(self: Ring) -> int | None:
        return None if len(self._entries) < SLOTS else next(iter(self._entries))

    monkeypatch.setattr(Ring, "_evict", oldest)
    assert len(rattled(20, SLOTS).entries(What.UNLOCKED)) < 20
