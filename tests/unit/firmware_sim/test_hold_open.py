"""Hold-open windows of a shared door: nothing opens by the clock, the first rightful unlock latches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.core.autolock import AutoLock
from firmware_sim.core.core import Settings
from firmware_sim.core.events import Sign
from firmware_sim.core.hold_open import window_end
from firmware_sim.links.memory import Cut
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.claims import WEEK, Capability, Schedule, minute_of_week
from lockserver.protocol.enrolment import DoorKind
from lockserver.protocol.journal import How, What
from lockserver.protocol.slots import SlotKind
from tests.support.site import T0
from tests.unit.firmware_sim.desk import Desk
from tests.unit.firmware_sim.doorstep import Doorstep

LOCKED, UNLOCKED = BoltState.LOCKED, BoltState.UNLOCKED
START, END = 30, 90
"""Minutes after T0 between which the gate stands open."""


def window(start: int = START, end: int = END, offset: int = 480) -> Schedule:
    """Open from `start` to `end` minutes after T0, told in the wall time of UTC+8."""
    base = minute_of_week(T0, offset)
    return Schedule.of(offset, [((base + start) % WEEK, (base + end) % WEEK)])


def gate(schedule: Schedule | None = None, *, kind: DoorKind = DoorKind.SHARED, auto_lock: int = 5) -> Desk:
    desk = Desk(kind=kind, settings=Settings(auto_lock=auto_lock))
    desk.broker_up()
    give(desk, schedule or window(), version=1)
    return desk


def give(desk: Desk, schedule: Schedule | None, *, version: int) -> None:
    epoch = None if desk.kind is DoorKind.SHARED else 0
    state = desk.site.state(desk.enrolled, version=version, epoch=epoch, hold_open=schedule)
    desk.deliver(desk.site.documents(desk.enrolled, state))


def act(desk: Desk, operation: Operation = Operation.UNLOCK) -> bool:
    holder = desk.site.holder()
    epoch = None if desk.kind is DoorKind.SHARED else 0
    credential = desk.site.credential(desk.enrolled, holder, epoch=epoch)
    answer = desk.open(holder, credential, operation=operation)
    desk.hang_up(desk.last)
    return answer is not None and answer.code == 0


def minutes(desk: Desk, count: float) -> None:
    desk.wait(count * 60)


def test_the_start_of_a_window_opens_nothing() -> None:
    desk = gate()
    minutes(desk, START + 10)
    assert desk.lock.door.moves == []


def test_the_first_unlock_in_the_window_latches_until_its_end() -> None:
    desk = gate()
    assert act(desk)
    minutes(desk, 1)
    assert desk.bolt is LOCKED, "before the window a gate locks as ever"
    minutes(desk, START)
    assert act(desk)
    held = desk.entries(What.HELD_OPEN)
    assert [e.how for e in held] == [How.SELF]
    minutes(desk, END - START - 5)
    assert desk.bolt is UNLOCKED
    minutes(desk, 5)
    assert desk.bolt is LOCKED
    assert desk.lock.door.moves == [UNLOCKED, LOCKED, UNLOCKED, LOCKED]
    assert act(desk)
    minutes(desk, 1)
    assert desk.bolt is LOCKED, "and after it as ever"


def test_it_ends_at_its_minute_and_not_a_second_later() -> None:
    desk = gate()
    minutes(desk, START)
    act(desk)
    desk.lock.wait((END - START) * 60 - 2, step=1)
    assert desk.bolt is UNLOCKED
    desk.lock.wait(3, step=0.5)
    assert desk.bolt is LOCKED
    relocked = desk.entries(What.LOCKED)[-1]
    assert relocked.at is not None
    assert T0 + END * 60 <= relocked.at <= T0 + END * 60 + 1


def test_the_end_of_a_window_locks_no_open_door() -> None:
    desk = gate()
    minutes(desk, START)
    desk.lock.swing(is_open=False)
    act(desk)
    desk.lock.swing(is_open=True)
    minutes(desk, END)
    assert desk.bolt is UNLOCKED
    assert desk.entries(What.DOOR_HELD), "it says so instead"
    desk.lock.swing(is_open=False)
    assert desk.bolt is LOCKED


def test_a_lost_clock_latches_nothing_and_ends_a_latch() -> None:
    desk = gate()
    minutes(desk, START)
    act(desk)
    minutes(desk, 1)
    assert desk.bolt is UNLOCKED
    desk.lock.clocks.pull_battery()
    desk.wait(1)
    assert desk.bolt is LOCKED
    assert len(desk.entries(What.HELD_OPEN)) == 1


def test_mutant_a_lock_that_latches_for_ever_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoLock, "_end_hold", lambda _self: None)
    with pytest.raises(AssertionError):
        test_the_first_unlock_in_the_window_latches_until_its_end()
    with pytest.raises(AssertionError):
        test_a_lost_clock_latches_nothing_and_ends_a_latch()


def test_a_room_has_no_windows() -> None:
    desk = gate(kind=DoorKind.ROOM)
    minutes(desk, START)
    assert act(desk)
    minutes(desk, 1)
    assert desk.bolt is LOCKED
    assert not desk.entries(What.HELD_OPEN)


def test_who_locks_within_a_window_ends_it_for_this_time() -> None:
    desk = gate()
    minutes(desk, START)
    act(desk)
    minutes(desk, 1)
    act(desk, Operation.LOCK)
    act(desk)
    minutes(desk, 1)
    assert desk.bolt is LOCKED, "the next unlock is an ordinary one"
    desk.lock.power_on()
    act(desk)
    minutes(desk, 1)
    assert desk.bolt is LOCKED, "after a cut of the power too"


def test_a_latch_outlives_a_power_cut_but_not_its_window() -> None:
    desk = gate()
    minutes(desk, START)
    act(desk)
    desk.lock.power_on()
    minutes(desk, 2)
    assert desk.bolt is UNLOCKED
    desk.lock.power_off()
    minutes(desk, END)
    desk.lock.power_on()
    desk.wait(1)
    assert desk.bolt is LOCKED


def test_a_newer_access_state_ends_a_latch_at_once() -> None:
    desk = gate()
    minutes(desk, START)
    act(desk)
    minutes(desk, 1)
    give(desk, None, version=2)
    assert desk.bolt is LOCKED


def test_neither_the_handle_nor_a_refused_key_latches() -> None:
    desk = gate()
    minutes(desk, START)
    desk.lock.handle()
    stranger = desk.site.holder()
    desk.open(stranger, desk.site.credential(desk.enrolled, stranger, epoch=3))
    minutes(desk, 1)
    assert desk.bolt is LOCKED
    assert not desk.entries(What.HELD_OPEN)


@given(
    st.integers(-840, 840),
    st.lists(st.integers(0, WEEK), min_size=2, max_size=12, unique=True),
    st.integers(0, WEEK * 60),
)
def test_a_window_ends_where_the_schedule_says_so(offset: int, edges: list[int], second: int) -> None:
    edges = sorted(edges)[: len(edges) // 2 * 2]
    schedule = Schedule(offset, tuple(zip(edges[::2], edges[1::2], strict=True)))
    now = T0 + second
    end = window_end(schedule, now)
    assert (end is not None) is schedule.covers(now)
    if end is not None:
        assert end > now
        assert all(schedule.covers(moment) for moment in range(now, end, 30))
        assert not schedule.covers(end) or end - now >= WEEK * 60


def test_windows_that_touch_are_one_across_the_end_of_the_week_too() -> None:
    base = minute_of_week(T0, 0)
    touching = Schedule(0, ((0, 60), (60, base + 30), (WEEK - 60, WEEK)))
    assert window_end(touching, T0) == T0 + 30 * 60
    week_end = T0 + (WEEK - base) * 60
    assert window_end(touching, week_end - 1) == week_end + (base + 30) * 60


@pytest.mark.parametrize("way", ["pin", "card", "remote"])
def test_whoever_may_open_latches_by_whatever_way(way: str) -> None:
    step = Doorstep(kind=DoorKind.SHARED, settings=Settings(auto_lock=5))
    card = b"\x04\xa1\xb2\xc3"
    state = step.site.state(
        step.enrolled,
        version=1,
        epoch=None,
        hold_open=window(),
        pins=(step.slot(1, "2718281", epoch=None),),
        cards=(step.slot(2, card, SlotKind.CARD, epoch=None),),
    )
    step.deliver(step.site.documents(step.enrolled, state))
    minutes(step, START)
    step.attest()
    if way == "pin":
        assert step.key("2718281") is Sign.OPEN
    elif way == "card":
        assert step.card(card) is Sign.OPEN
    else:
        holder = step.site.holder()
        key = step.site.credential(step.enrolled, holder, epoch=None)
        step.deliver(step.site.unlock(step.enrolled, holder, credential=key)[0])
    minutes(step, 1)
    assert step.bolt is UNLOCKED
    minutes(step, END)
    assert step.bolt is LOCKED


def held_with_a_cut(operation: Operation, cut: int | None, share: float) -> tuple[Desk, int]:
    """Hold open (or latch, with UNLOCK) with a cut at that write; the desk a minute after power is back."""
    desk = gate()
    minutes(desk, START)
    holder = desk.site.holder()
    powers = Capability.UNLOCK | Capability.HOLD_OPEN
    key = desk.site.credential(desk.enrolled, holder, epoch=None, capabilities=powers)
    before = desk.lock.medium.writes
    if cut is not None:
        desk.lock.medium.cut = Cut(cut, share)
    desk.open(holder, key, operation=operation)
    writes = desk.lock.medium.writes - before
    desk.lock.medium.cut = None
    if not desk.lock.on:
        desk.lock.power_on()
    minutes(desk, 1)
    return desk, writes


@pytest.mark.parametrize("operation", [Operation.HOLD_OPEN, Operation.UNLOCK])
def test_L10_a_cut_while_a_door_is_held_open_leaves_it_as_the_journal_says(operation: Operation) -> None:
    _, writes = held_with_a_cut(operation, None, 0.0)
    outcomes = set()
    for cut in range(writes):
        for share in (0.0, 0.5, 1.0):
            desk, _ = held_with_a_cut(operation, cut, share)
            told = bool(desk.entries(What.HELD_OPEN))
            assert (desk.bolt is UNLOCKED) is told, f"write {cut} share {share}"
            assert desk.openings <= 1
            outcomes.add(told)
    assert outcomes == {True, False}
