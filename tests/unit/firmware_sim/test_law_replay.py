"""L-02 and L-16: what was said once opens once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_sim.core import server as server_room
from firmware_sim.core import sessions
from firmware_sim.core.results import Results
from firmware_sim.core.wishes import Wishes
from lockserver.protocol.access import Operation
from lockserver.protocol.curve import private_key
from lockserver.protocol.enrolment import DoorKind
from lockserver.protocol.errors import Denial
from lockserver.protocol.reports import Outcome
from tests.support.site import source
from tests.unit.firmware_sim.desk import Desk


def recorded(desk: Desk) -> tuple[bytes, bytes]:
    """A successful unlock as a listener at the door recorded it: M1 and M3."""
    tenant = desk.site.holder()
    connection, phone = desk.connect(), desk.phone()
    m1 = phone.hello()
    phone.receive_m2(desk.say(connection, m1)[0])
    credential = desk.site.credential(desk.enrolled, tenant)
    m3 = phone.request(credential, Operation.UNLOCK, tenant.signer)
    phone.receive_m4(desk.say(connection, m3)[0])
    assert desk.openings == 1
    return m1, m3


def replayed_elsewhen(desk: Desk) -> int:
    """How often a recording opens the door again, in new connections."""
    m1, m3 = recorded(desk)
    before = desk.openings
    for _ in range(3):
        connection = desk.connect()
        desk.say(connection, m1)
        desk.say(connection, m3)
    return desk.openings - before


def test_L02_a_recording_opens_nothing_in_another_session() -> None:
    desk = Desk()
    assert replayed_elsewhen(desk) == 0
    assert Denial.BAD_BOX in desk.denials(), "and the attempt stands in the journal"


def test_L02_mutant_a_lock_that_reuses_its_ephemeral_key_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "private_key", lambda _random: private_key(source(5)))
    assert replayed_elsewhen(Desk()) > 0


def test_L02_the_same_message_again_in_the_same_session_opens_nothing() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    connection, phone = desk.connect(), desk.phone()
    phone.receive_m2(desk.say(connection, phone.hello())[0])
    m3 = phone.request(desk.site.credential(desk.enrolled, tenant), Operation.UNLOCK, tenant.signer)
    desk.say(connection, m3)
    for _ in range(3):
        desk.say(connection, m3)
    assert desk.openings == 1
    assert desk.denials(), "and the attempt stands in the journal"


def test_L02_a_recording_opens_no_other_lock_of_the_site() -> None:
    desk = Desk()
    other = Desk(seed=70)
    m1, m3 = recorded(desk)
    connection = other.connect()
    other.say(connection, m1)
    other.say(connection, m3)
    assert other.openings == 0
    assert other.denials()


def test_L02_a_key_for_another_lock_of_the_site_opens_nothing() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    elsewhere = replace(desk.enrolled, lock_id=desk.site.random(16))
    answer = desk.open(tenant, desk.site.credential(elsewhere, tenant))
    assert answer is not None
    assert desk.openings == 0
    assert desk.denials() == [Denial.WRONG_LOCK]


# ---- L-16


def test_L16_a_command_that_comes_five_times_moves_the_bolt_once() -> None:
    desk = Desk()
    desk.broker_up()
    sealed, command = desk.site.unlock(desk.enrolled, desk.site.holder())
    for _ in range(5):
        desk.deliver(sealed)
    assert desk.openings == 1
    results = desk.results()
    assert {(r.command_id, r.outcome) for r in results} == {(command.command_id, Outcome.DONE)}


def test_L16_it_still_moves_once_after_a_restart() -> None:
    desk = Desk()
    desk.broker_up()
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
    desk.deliver(sealed)
    desk.lock.power_off()
    desk.lock.power_on()
    desk.broker_up()
    desk.deliver(sealed)
    assert desk.openings == 1
    assert {r.outcome for r in desk.results()} == {Outcome.DONE}


@pytest.mark.parametrize("mutant", ["forgets results", "ignores counters"])
def test_L16_mutant_either_guard_alone_still_holds_and_neither_does_not(
    mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defence in depth: results, counters and wish ids each stop a repetition."""
    monkeypatch.setattr(Results, "find", lambda _self, _id: None)
    desk = Desk()
    desk.broker_up()
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
    desk.deliver(sealed)
    if mutant == "ignores counters":
        monkeypatch.setattr(Wishes, "read", _read_without_memory)
        assert desk.lock.lock is not None
        held = desk.lock.lock.held
        assert held is not None
        held.counter = 0
        desk.deliver(sealed)
        assert desk.openings == 2, "without any guard the same command opens twice"
    else:
        desk.deliver(sealed)
        assert desk.openings == 1


def _read_without_memory(self: object, raw: bytes, by: object, *_rest: object) -> object:
    from lockserver.protocol.wish import read_wish

    return read_wish(raw, by.claims.holder_public)  # type: ignore[attr-defined]


def test_L16_of_two_reordered_commands_the_later_is_obeyed_and_the_earlier_refused() -> None:
    desk = Desk()
    desk.broker_up()
    first, earlier = desk.site.unlock(desk.enrolled, desk.site.holder())
    second, later = desk.site.unlock(desk.enrolled, desk.site.holder())
    desk.deliver(second)
    desk.deliver(first)
    desk.deliver(first)
    outcomes = {r.command_id: (r.outcome, r.denial) for r in desk.results()}
    assert outcomes[later.command_id] == (Outcome.DONE, None)
    assert outcomes[earlier.command_id] == (Outcome.REFUSED, Denial.COUNTER)
    assert desk.openings == 1


def planted(desk: Desk) -> int:
    """Openings by a fresh, valid command that a broker has kept and hands out as retained."""
    desk.broker_up()
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
    desk.deliver(sealed, retained=True)
    return desk.openings


def test_L16_a_retained_command_is_never_obeyed() -> None:
    desk = Desk()
    assert planted(desk) == 0
    assert Denial.WRONG_STATE in desk.denials()


def test_L16_mutant_a_lock_blind_to_the_retain_flag_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = server_room.Server.message
    monkeypatch.setattr(
        server_room.Server, "message", lambda self, data, *, retained: whole(self, data, retained=False)
    )
    assert planted(Desk()) > 0


def test_L16_a_command_for_another_lock_planted_on_our_topic_does_nothing() -> None:
    desk, other = Desk(), Desk(seed=70, kind=DoorKind.SHARED)
    desk.broker_up()
    sealed, _ = other.site.unlock(other.enrolled, other.site.holder())
    desk.deliver(sealed)
    assert desk.openings == 0
    assert Denial.BAD_BOX in desk.denials()


def test_L16_one_wish_opens_once_even_in_two_honest_commands() -> None:
    desk = Desk()
    desk.broker_up()
    tenant = desk.site.holder()
    wish = desk.site.wish(desk.enrolled, tenant)
    for _ in range(2):
        sealed, _ = desk.site.unlock(desk.enrolled, tenant, wish=wish)
        desk.deliver(sealed)
    assert [(r.outcome, r.denial) for r in desk.results()] == [
        (Outcome.DONE, None),
        (Outcome.REFUSED, Denial.WISH_USED),
    ]
    assert desk.openings == 1
