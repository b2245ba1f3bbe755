"""Which way an act takes: its own connection, the gateway that hears it best, the next one, until it dies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from lockserver.app.carrying import (
    BUSY_REST,
    DIRECT_PATIENCE,
    HAND_PATIENCE,
    ROUND_PAUSE,
    SEAT_FRESH,
    SIGHT_FRESH,
    Carrying,
    Errand,
    Hand,
    Move,
    Noted,
    Publish,
)
from lockserver.domain.fault import DENIED, WORDS, fault_of
from lockserver.protocol.errors import Denial
from lockserver.protocol.gateway import CarryFault, Sight
from lockserver.protocol.gatt import tag

T = datetime(2026, 1, 1, tzinfo=UTC)
S = timedelta(seconds=1)
LOCK, OTHER = uuid4(), uuid4()
NEAR, FAR = UUID(int=1), UUID(int=2)


def house(*, near: int | None = -50, far: int | None = -80) -> Carrying:
    """Two gateways that hear the lock, as loud as that."""
    made = Carrying()
    for gateway, rssi in ((NEAR, near), (FAR, far)):
        made.seat(gateway, [LOCK, OTHER], T)
        made.gateway_says(gateway, 1, 2, T)
        sights = [] if rssi is None else [Sight(tag(LOCK.bytes), rssi)]
        made.gateway_hears(gateway, sights, T)
    return made


def errand(life: int = 20) -> Errand:
    return Errand(uuid4(), LOCK, b"envelope", T + life * S)


def ways(moves: list[Move]) -> list[object]:
    return [
        one.gateway_id if isinstance(one, Hand) else "mqtt" for one in moves if not isinstance(one, Noted)
    ]


def ref(moves: list[Move]) -> bytes:
    return next(one.frame.ref for one in moves if isinstance(one, Hand))


def test_a_lock_that_is_connected_is_told_directly() -> None:
    made = house()
    made.heard_itself(LOCK, T)
    moves = made.act(errand(), T)
    assert moves[0] == Publish(LOCK, b"envelope")
    assert made.way(LOCK, T) == "mqtt"
    assert made.stands_in_the_way(LOCK, T) is None  # it has a queue of its own


def test_a_connected_lock_that_is_silent_is_reached_through_a_gateway() -> None:
    made = house()
    made.heard_itself(LOCK, T)
    made.act(errand(), T)
    assert made.tick(T + DIRECT_PATIENCE - S) == []
    moves = made.tick(T + DIRECT_PATIENCE)
    assert ways(moves) == [NEAR]
    assert moves[0].frame.box == b"envelope"  # type: ignore[union-attr]  # the same command, id and counter


@pytest.mark.parametrize(
    "fault", [CarryFault.BUSY, CarryFault.NOT_HEARD, CarryFault.REFUSED, CarryFault.BROKE_OFF]
)
def test_what_one_gateway_cannot_the_next_is_asked_for(fault: CarryFault) -> None:
    made = house()
    moves = made.act(errand(), T)
    assert ways(moves) == [NEAR]
    again = made.handed(NEAR, ref(moves), fault, T + S)
    assert ways(again) == [FAR]
    assert again[-1] == Noted(again[-1].command_id, str(FAR), None)  # type: ignore[union-attr]


def test_a_gateway_that_says_nothing_is_passed_over() -> None:
    made = house()
    made.act(errand(), T)
    assert ways(made.tick(T + HAND_PATIENCE)) == [FAR]


def test_a_gateway_that_leaves_gives_up_its_errands_at_once() -> None:
    made = house()
    made.act(errand(), T)
    assert ways(made.unseat(NEAR, T + S)) == [FAR]


def test_all_full_is_shown_and_tried_again() -> None:
    made = house()
    one = errand()
    moves = made.act(one, T)
    moves = made.handed(NEAR, ref(moves), CarryFault.BUSY, T)
    moves = made.handed(FAR, ref(moves), CarryFault.BUSY, T)
    assert moves == [Noted(one.command_id, str(FAR), "gateway_busy")]
    assert ways(made.tick(T + ROUND_PAUSE)) == []  # both rest
    assert ways(made.tick(T + BUSY_REST + ROUND_PAUSE)) == [NEAR]


def test_nothing_is_published_while_all_that_hear_it_say_they_are_full() -> None:
    made = house()
    for gateway in (NEAR, FAR):
        made.gateway_says(gateway, 1, 0, T)
    assert made.stands_in_the_way(LOCK, T) == "gateway_busy"
    made.gateway_says(FAR, 1, 1, T)
    assert made.stands_in_the_way(LOCK, T) is None
    assert ways(made.act(errand(), T)) == [FAR]


def test_one_act_at_a_time_through_gateways() -> None:
    made = house()
    one = errand()
    made.act(one, T)
    assert made.stands_in_the_way(LOCK, T) == "lock_busy"
    made.settled(one.command_id)
    assert made.stands_in_the_way(LOCK, T) is None


def test_nobody_reaches_it() -> None:
    made = house(near=None, far=None)
    one = errand()
    assert made.act(one, T) == [Publish(LOCK, b"envelope"), Noted(one.command_id, "mqtt", "lock_offline")]


def test_an_old_beacon_and_a_silent_gateway_count_for_nothing() -> None:
    made = house()
    late = T + SIGHT_FRESH + S
    assert made.way(LOCK, late) is None
    made.gateway_hears(FAR, [Sight(tag(LOCK.bytes), -90)], late)
    assert made.way(LOCK, late) == FAR
    assert made.way(LOCK, late + SEAT_FRESH + S) is None


def test_it_dies_with_its_deadline() -> None:
    made = house()
    made.act(errand(life=5), T)
    assert made.tick(T + 5 * S) == []
    assert made.stands_in_the_way(LOCK, T + 5 * S) is None


def test_L19_a_gateway_speaks_for_its_own_errands_only() -> None:
    made = house()
    moves = made.act(errand(), T)
    assert made.handed(FAR, ref(moves), CarryFault.NOT_HEARD, T) == []
    assert made.handed(NEAR, bytes(16), CarryFault.NOT_HEARD, T) == []
    assert made.stands_in_the_way(LOCK, T) == "lock_busy"


def test_a_gateway_hears_no_lock_that_is_not_its_houses() -> None:
    made = house()
    stranger = uuid4()
    assert made.gateway_hears(NEAR, [Sight(tag(stranger.bytes), -10)], T) == []
    assert made.way(stranger, T) is None
    assert made.gateway_hears(uuid4(), [Sight(tag(LOCK.bytes), -10)], T) == []


def test_handed_over_is_no_end() -> None:
    """L-22: the lock's report ends an errand; a gateway's word only gives it time."""
    made = house()
    moves = made.act(errand(), T)
    assert made.handed(NEAR, ref(moves), CarryFault.HANDED_OVER, T) == []
    assert ways(made.tick(T + HAND_PATIENCE)) == []
    assert ways(made.tick(T + 6 * S)) == [FAR]


def test_every_refusal_has_its_fault() -> None:
    for denial in Denial:
        said = fault_of("refused", denial.word, None)
        assert said in WORDS or said == f"{DENIED}{denial.word}"
    assert fault_of("done", None, "gateway_busy") is None
    assert fault_of("expired", "unused", "lock_offline") == "lock_offline"
    assert fault_of("expired", "stale_command", None) == "expired"
    assert fault_of("unknown", "torn", "gateway_busy") == "torn"
    assert fault_of("unknown", None, None) == "unknown"
    assert fault_of("sent", None, None) is None
