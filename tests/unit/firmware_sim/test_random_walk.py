"""Whatever hands, sensors, phones and brokers do, in any order: no exception, no hot loop, no stray opening."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_sim.core.core import Settings
from firmware_sim.core.events import (
    BatteryReading,
    BrokerDown,
    BrokerMessage,
    BrokerUp,
    ButtonPressed,
    CardPresented,
    CylinderTurned,
    DoorSensor,
    FingerRead,
    HandleTurned,
    KeypadEntered,
    MoveBolt,
    RadioBroken,
    RadioConnected,
    RadioGone,
    RadioMessage,
    ResetHeld,
    TamperSensor,
    Tick,
)
from firmware_sim.links.memory import MemoryLock
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.enrolment import DoorKind
from tests.support.site import burn, source
from tests.unit.firmware_sim.desk import Desk

EVENTS = st.one_of(
    st.builds(RadioConnected, st.integers(1, 5)),
    st.builds(RadioMessage, st.integers(1, 5), st.binary(max_size=80)),
    st.builds(RadioBroken, st.integers(1, 5)),
    st.builds(RadioGone, st.integers(1, 5)),
    st.just(BrokerUp()),
    st.just(BrokerDown()),
    st.builds(BrokerMessage, st.binary(max_size=80), st.booleans()),
    st.just(ButtonPressed()),
    st.just(ResetHeld()),
    st.builds(KeypadEntered, st.text("0123456789#*", max_size=12)),
    st.builds(CardPresented, st.binary(max_size=40)),
    st.builds(FingerRead, st.binary(max_size=20)),
    st.builds(DoorSensor, st.booleans()),
    st.builds(TamperSensor, st.booleans()),
    st.just(HandleTurned()),
    st.builds(CylinderTurned, st.booleans()),
    st.builds(BatteryReading, st.one_of(st.none(), st.integers(-5, 300))),
    st.just(Tick()),
)
WALK = st.lists(st.tuples(EVENTS, st.sampled_from([0.0, 0.3, 4.0, 15.0, 200.0])), max_size=40)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def walked(lock: MemoryLock, walk: list[tuple[object, float]]) -> None:
    for event, seconds in walk:
        lock.feed(event)  # type: ignore[arg-type]
        due = None if lock.lock is None else lock.lock.deadline()
        assert due is None or due >= lock.clocks.now().mono or due == 0 or calm(lock)
        lock.wait(seconds, step=max(seconds / 8, 0.1))
        assert lock.on


def calm(lock: MemoryLock) -> bool:
    """A deadline that has passed is met by one tick: it does not come back at once for ever."""
    for _ in range(64):
        lock.feed(Tick())
        assert lock.lock is not None
        due = lock.lock.deadline()
        lock.clocks.advance(0.001)
        if due is None or due > lock.clocks.now().mono:
            return True
    return False


@PATIENT
@given(WALK)
def test_a_lock_that_nobody_owns_bears_anything_and_moves_nothing(walk: list[tuple[object, float]]) -> None:
    lock = MemoryLock(burn(), source(2), settings=Settings(auto_lock=5))
    walked(lock, walk)
    assert lock.door.moves == []


@PATIENT
@given(WALK, st.sampled_from([DoorKind.ROOM, DoorKind.SHARED]))
def test_strangers_open_nothing_and_an_open_door_is_never_locked(
    walk: list[tuple[object, float]], kind: DoorKind
) -> None:
    desk = Desk(kind=kind, settings=Settings(auto_lock=5))
    leaf = False

    def carry_out(effect: object) -> None:
        if isinstance(effect, MoveBolt):
            assert effect.to is BoltState.LOCKED, "a stranger has opened"
            assert not leaf, "onto an open door"

    whole = desk.lock._carry_out
    desk.lock._carry_out = lambda effect: (carry_out(effect), whole(effect))[1]  # type: ignore[method-assign, func-returns-value]
    for event, seconds in walk:
        if isinstance(event, DoorSensor):
            leaf = event.open
        elif isinstance(event, ResetHeld):
            continue  # a vacant room forgets its door; that has its own tests
        walked(desk.lock, [(event, seconds)])
    assert desk.openings == 0
