"""The bolt goes back by itself: when, how often, and never onto an open door."""

from __future__ import annotations

import pytest

from firmware_sim.core.autolock import RETRY_MS
from firmware_sim.core.core import Core, Settings
from firmware_sim.core.events import Alarm
from firmware_sim.core.flash import Flash
from firmware_sim.links.memory import Cut
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState, DoorState
from lockserver.protocol.claims import Capability
from lockserver.protocol.errors import AirCode
from lockserver.protocol.journal import How, What
from tests.unit.firmware_sim.desk import Desk

LOCKED, UNLOCKED = BoltState.LOCKED, BoltState.UNLOCKED
TRIES = 1 + len(RETRY_MS)


def desk_at(auto_lock: int = 5, *, stated: int | None = None) -> Desk:
    """A desk whose lock locks itself after `auto_lock` s, or after what its access state says."""
    desk = Desk(settings=Settings(auto_lock=auto_lock, door_held=60))
    desk.broker_up()
    if stated is not None:
        state = desk.site.state(desk.enrolled, version=1, auto_lock=stated)
        desk.deliver(desk.site.documents(desk.enrolled, state))
    return desk


def unlock(desk: Desk, operation: Operation = Operation.UNLOCK) -> AirCode:
    holder = desk.site.holder()
    powers = Capability.UNLOCK | Capability.LOCK | Capability.HOLD_OPEN
    credential = desk.site.credential(desk.enrolled, holder, capabilities=powers)
    answer = desk.open(holder, credential, operation=operation)
    assert answer is not None
    desk.hang_up(desk.last)
    return answer.code


def alarms(desk: Desk) -> list[str]:
    return [e.kind for e in desk.lock.effects if isinstance(e, Alarm)]


def test_the_bolt_goes_back_after_its_time_and_the_journal_says_by_itself() -> None:
    desk = desk_at(5)
    unlock(desk)
    desk.wait(4)
    assert desk.lock.door.state is UNLOCKED
    desk.wait(2)
    assert desk.lock.door.moves == [UNLOCKED, LOCKED]
    assert [e.how for e in desk.entries(What.LOCKED)] == [How.SELF]


@pytest.mark.parametrize(
    ("stated", "after", "then"), [(20, 19, UNLOCKED), (20, 21, LOCKED), (0, 700, UNLOCKED)]
)
def test_the_access_state_says_after_how_long(stated: int, after: int, then: BoltState) -> None:
    desk = desk_at(5, stated=stated)
    unlock(desk)
    desk.wait(after)
    assert desk.lock.door.state is then


def test_it_never_locks_onto_an_open_door_and_does_when_that_closes() -> None:
    desk = desk_at(5)
    desk.lock.swing(is_open=False)
    unlock(desk)
    desk.lock.swing(is_open=True)
    desk.wait(40)
    assert desk.lock.door.moves == [UNLOCKED]
    desk.lock.swing(is_open=False)
    assert desk.lock.door.moves == [UNLOCKED, LOCKED]
    assert len(desk.entries(What.DOOR_OPENED)) == len(desk.entries(What.DOOR_CLOSED)) == 1


def test_mutant_a_lock_that_forgets_its_door_sensor_locks_onto_the_open_door(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Core, "door_open", property(lambda _self: False))
    with pytest.raises(AssertionError):
        test_it_never_locks_onto_an_open_door_and_does_when_that_closes()


def test_a_door_held_open_is_told_once_and_an_alarm_sounds() -> None:
    desk = desk_at(5)
    desk.lock.swing(is_open=False)
    unlock(desk)
    desk.lock.swing(is_open=True)
    desk.wait(59)
    assert not desk.entries(What.DOOR_HELD)
    desk.wait(300)
    assert len(desk.entries(What.DOOR_HELD)) == 1
    assert alarms(desk) == ["door_held"]
    desk.lock.swing(is_open=False)
    desk.wait(1)
    desk.lock.swing(is_open=True)
    desk.wait(61)
    assert len(desk.entries(What.DOOR_HELD)) == 2, "the next time is told again"


def test_a_jam_is_tried_again_a_few_times_and_then_left() -> None:
    desk = desk_at(5)
    unlock(desk)
    desk.lock.door.jammed = True
    desk.wait(3600)
    assert desk.lock.door.tries == 1 + TRIES, "one opening, then bounded tries for an hour"
    assert desk.bolt is BoltState.JAMMED
    assert len(desk.entries(What.JAMMED)) == TRIES
    desk.deliver(desk.site.say_hello(desk.enrolled))
    hello = desk.hello()
    assert (hello.jams, hello.bolt) == (TRIES, BoltState.JAMMED)


def test_mutant_a_lock_that_never_gives_up_drains_its_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware_sim.core.autolock.RETRY_MS", (2_000,) * 10_000)
    with pytest.raises(AssertionError):
        test_a_jam_is_tried_again_a_few_times_and_then_left()


def test_a_motor_that_pulls_the_power_down_is_not_tried_at_every_boot() -> None:
    desk = desk_at(5)
    unlock(desk)
    before = desk.lock.door.tries
    for _ in range(20):
        desk.lock.cut_at_move = 0
        desk.wait(60)
        desk.lock.cut_at_move = None
        desk.lock.door.state = UNLOCKED  # it had no strength to move
        desk.lock.power_on()
    assert desk.lock.door.tries - before == TRIES
    unlock(desk)
    desk.wait(6)
    assert desk.bolt is LOCKED, "with new batteries the next opening is locked as ever"


@pytest.mark.parametrize("by", ["phone", "handle", "cylinder"])
def test_who_opens_after_a_jam_gets_a_door_that_locks_also_over_a_cut(by: str) -> None:
    desk = desk_at(5)
    unlock(desk)
    desk.lock.door.jammed = True
    desk.wait(120)
    desk.lock.door.jammed = False
    if by == "phone":
        unlock(desk)
    elif by == "handle":
        desk.lock.handle()
    else:
        desk.lock.cylinder(locked=False)
    desk.lock.power_on()
    desk.wait(6)
    assert desk.bolt is LOCKED


def test_a_jam_that_passes_ends_locked_and_a_closing_door_is_another_chance() -> None:
    desk = desk_at(5)
    desk.lock.swing(is_open=False)
    unlock(desk)
    desk.lock.door.jammed = True
    desk.wait(120)
    desk.lock.door.jammed = False
    desk.lock.swing(is_open=True)
    desk.lock.swing(is_open=False)
    desk.wait(6)
    assert desk.bolt is LOCKED


def test_who_holds_the_door_open_is_not_locked_out_until_somebody_locks() -> None:
    desk = desk_at(5)
    unlock(desk, Operation.HOLD_OPEN)
    desk.wait(60)
    unlock(desk)
    desk.wait(60)
    assert desk.bolt is UNLOCKED, "another holder's unlock does not end it"
    desk.lock.power_on()
    desk.wait(60)
    assert desk.bolt is UNLOCKED, "nor does a cut of the power"
    unlock(desk, Operation.LOCK)
    unlock(desk)
    desk.wait(6)
    assert desk.bolt is LOCKED


def test_after_a_cut_an_open_bolt_goes_back_in_its_time() -> None:
    desk = desk_at(5)
    unlock(desk)
    desk.lock.power_on()
    assert desk.lock.door.moves == [UNLOCKED], "a boot moves nothing"
    desk.wait(4)
    assert desk.lock.door.moves == [UNLOCKED]
    desk.wait(2)
    assert desk.lock.door.moves == [UNLOCKED, LOCKED], "and a door is not left open for a battery's sake"


def test_by_hand_too_the_bolt_goes_back_and_the_cylinder_needs_no_help() -> None:
    desk = desk_at(5)
    desk.lock.handle()
    desk.wait(6)
    assert desk.bolt is LOCKED
    desk.lock.cylinder(locked=False)
    desk.lock.cylinder(locked=True)
    moved = list(desk.lock.door.moves)
    desk.wait(60)
    assert desk.lock.door.moves == moved == [LOCKED]


def test_a_lock_that_nobody_owns_moves_nothing() -> None:
    desk = desk_at(5)
    desk.lock.medium.bank.clear()
    desk.lock.power_on()
    desk.lock.handle()
    desk.wait(60)
    assert desk.lock.door.moves == []


def relocked(cut: int | None, share: float) -> tuple[int, int, int, int, bool]:
    """(times driven to lock, `locked`, `torn`, openings, survived) of one auto-lock with a cut."""
    desk = desk_at(5)
    unlock(desk)
    if cut is not None:
        desk.lock.medium.cut = Cut(cut, share)
    desk.wait(6)
    survived = desk.lock.on
    driven = desk.lock.door.moves.count(LOCKED)
    desk.lock.medium.cut = None
    if not survived:
        desk.lock.power_on()
    told = len(desk.entries(What.LOCKED)), len(desk.entries(What.TORN))
    desk.wait(10)
    assert desk.bolt is LOCKED, "in the end the door is locked"
    return driven, *told, desk.openings, survived


def broken_relocks() -> list[str]:
    desk = desk_at(5)
    unlock(desk)
    before = desk.lock.medium.writes
    desk.wait(6)
    found = []
    for cut in range(desk.lock.medium.writes - before):
        for share in (0.0, 0.3, 0.999, 1.0):
            driven, locked, torn, openings, survived = relocked(cut, share)
            where = f"write {cut} share {share}"
            if survived:
                found.append(f"the cut struck nothing, {where}")
            if openings != 1:
                found.append(f"opened again, {where}")
            if driven and not (locked or torn):
                found.append(f"moved and not journalled, {where}")
            if locked and not driven:
                found.append(f"journalled and not moved, {where}")
    return found


def test_L10_a_cut_at_any_write_of_an_auto_lock_is_owned_up_to() -> None:
    assert broken_relocks() == []


def test_L10_mutant_an_auto_lock_without_an_intent_loses_the_move(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Flash.put

    def without_intent(self: Flash, values: dict[str, bytes | None]) -> None:
        whole(self, {key: value for key, value in values.items() if key != "intent"})

    monkeypatch.setattr(Flash, "put", without_intent)
    assert any("not journalled" in promise for promise in broken_relocks())


def test_the_hello_says_where_the_door_is() -> None:
    desk = desk_at(5)
    desk.deliver(desk.site.say_hello(desk.enrolled))
    assert desk.hello().door is DoorState.UNKNOWN
    desk.lock.swing(is_open=True)
    desk.wait(6)
    assert desk.hello().door is DoorState.OPEN, "and says it without being asked"


def test_deadlines_never_stand_still() -> None:
    """A lock that asks to be called at once, for ever, would run its processor hot."""
    desk = desk_at(5)
    desk.lock.swing(is_open=False)
    unlock(desk)
    desk.lock.swing(is_open=True)
    desk.wait(600)
    assert desk.lock.lock is not None
    due = desk.lock.lock.deadline()
    assert due is not None
    assert due > desk.lock.clocks.now().mono
