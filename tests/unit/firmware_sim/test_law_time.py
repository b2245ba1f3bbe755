"""L-04 and L-15: windows end by the lock's own clock, and nothing opens late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from firmware_sim.core import rtc as rtc_room
from firmware_sim.core import server as server_room
from firmware_sim.core import sessions
from firmware_sim.core.rtc import Moment, Rtc
from lockserver.protocol.access import Granted
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.reports import Applied, Outcome, TimeRequest
from tests.support.site import T0
from tests.unit.firmware_sim.desk import Desk

# ---- L-04


def tries_after_until(desk: Desk) -> int:
    """A guest keeps everything he was ever given and tries at and after `until`; openings then."""
    guest = desk.site.holder()
    credential = desk.site.credential(
        desk.enrolled,
        guest,
        holder_class=HolderClass.GUEST,
        capabilities=Capability.UNLOCK,
        exp=T0 + 600,
    )
    old_documents = [desk.site.state(desk.enrolled, version=1), desk.site.revocation(desk.enrolled)]
    desk.wait(599)
    answer = desk.open(guest, credential, *old_documents)
    assert answer is not None
    assert answer.code is AirCode.GRANTED, "until then it is his door"
    before = desk.openings
    for seconds in (1, 1, 60, 3600, 86400):
        desk.wait(seconds)
        desk.open(guest, credential, *old_documents)
    return desk.openings - before


def test_L04_a_guest_is_refused_by_the_locks_own_clock_with_no_server_and_no_app() -> None:
    desk = Desk()
    assert tries_after_until(desk) == 0
    assert set(desk.denials()) == {Denial.EXPIRED}


def test_L04_mutant_a_lock_that_leaves_windows_to_the_app_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "decide", lambda *_: Granted())
    assert tries_after_until(Desk()) > 0


@pytest.mark.parametrize("how", ["pulled battery", "reset to 2000", "set back a day"])
def test_L04_a_lost_or_set_back_clock_gives_no_time_back(how: str) -> None:
    desk = Desk()
    guest = desk.site.holder()
    credential = desk.site.credential(desk.enrolled, guest, holder_class=HolderClass.GUEST, exp=T0 + 600)
    desk.open(guest, credential)
    desk.wait(2 * 86400)
    if how == "pulled battery":
        desk.lock.clocks.pull_battery()
    elif how == "reset to 2000":
        desk.lock.clocks.pull_battery(chip=0.0)
    else:
        desk.lock.clocks.shift(-2 * 86400)
    tenant = desk.site.holder()
    desk.open(tenant, desk.site.credential(desk.enrolled, tenant))
    before = desk.openings
    desk.lock.power_on()
    answer = desk.open(guest, credential)
    assert answer is not None
    assert answer.code is not AirCode.GRANTED
    assert desk.openings == before


def test_L11_a_clock_that_was_lost_opens_again_once_a_phone_brings_the_time() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    desk.wait(3600)
    desk.lock.clocks.pull_battery(chip=5.0)
    answer = desk.open(tenant, desk.site.credential(desk.enrolled, tenant))
    assert answer is not None
    assert answer.code is AirCode.CLOCK_LOST
    connection, phone = desk.connect(), desk.phone()
    nonce = phone.receive_m2(desk.say(connection, phone.hello())[0]).time_nonce
    desk.hang_up(connection)
    desk.wait(400)  # he walks to where there is a network, and back
    statement = desk.site.time(desk.enrolled, nonce, now=desk.site.now - 300)
    answer = desk.open(tenant, desk.site.credential(desk.enrolled, tenant), statement)
    assert answer is not None
    assert answer.code is AirCode.GRANTED
    stale = desk.site.time(desk.enrolled, nonce)
    desk.open(tenant, desk.site.credential(desk.enrolled, tenant), stale)
    assert desk.lock.lock is not None
    held = desk.lock.lock.held
    assert held is not None
    assert held.rtc.bound(desk.lock.clocks.now()) is None, "a slow answer sets, but does not attest"


# ---- L-15


def hold(desk: Desk) -> None:
    desk.wait(600)


def slow_chip(rate: float) -> Callable[[Desk], None]:
    def mishap(desk: Desk) -> None:
        desk.lock.clocks.chip_rate = rate
        desk.wait(600)

    return mishap


def slow_timer(desk: Desk) -> None:
    desk.lock.clocks.timer_rate = 0.01
    desk.wait(600)


def lost(desk: Desk) -> None:
    desk.wait(600)
    desk.lock.clocks.pull_battery()


def set_back(desk: Desk) -> None:
    desk.wait(600)
    desk.lock.clocks.shift(-600)


def reset(desk: Desk) -> None:
    desk.wait(600)
    desk.lock.clocks.pull_battery(chip=0.0)


def power_cut(desk: Desk) -> None:
    desk.wait(300)
    desk.lock.power_off()
    desk.lock.clocks.advance(300)
    desk.site.now = T0 + round(desk.lock.clocks.true)
    desk.lock.power_on()


def reboot_and_slow(desk: Desk) -> None:
    desk.lock.clocks.chip_rate = 0.02
    desk.wait(590)
    desk.lock.power_on()
    desk.wait(10)


MISHAPS = {
    "offline ten minutes": hold,
    "chip at half speed": slow_chip(0.5),
    "chip 2 % slow": slow_chip(0.98),
    "chip stands still": slow_chip(0.0),
    "timer slow": slow_timer,
    "clock lost": lost,
    "clock set back": set_back,
    "clock reset": reset,
    "power cut": power_cut,
    "slow and rebooted": reboot_and_slow,
}


def delivered_late(desk: Desk, mishap: Callable[[Desk], None], *, answer: str) -> int:
    """A command issued now is held back by the broker until after `mishap`; openings by it.

    `answer`: what becomes of the lock's question for the time: `honest`, `none`, `delayed` by the
    hostile broker, `old` (a statement recorded before), `forged` (for now, another nonce).
    """
    desk.broker_up()
    tenant = desk.site.holder()
    sealed, _ = desk.site.unlock(desk.enrolled, tenant)
    recorded = desk.site.documents(desk.enrolled, desk.site.time(desk.enrolled, bytes(8)))
    desk.news()
    mishap(desk)
    desk.news()
    desk.deliver(sealed)
    asked = [r for r in desk.news() if isinstance(r, TimeRequest)]
    for request in asked:
        statement = desk.site.time(desk.enrolled, request.nonce)
        if answer == "honest":
            desk.deliver(desk.site.documents(desk.enrolled, statement))
        elif answer == "delayed":
            # signed at the command's own time it would help the attacker: the issuer signs only now
            desk.wait(5)
            desk.deliver(desk.site.documents(desk.enrolled, statement))
        elif answer == "old":
            desk.deliver(recorded)
    for _ in range(3):
        desk.wait(1)
        desk.deliver(sealed)
    desk.wait(10)
    return desk.openings


@pytest.mark.parametrize("answer", ["honest", "none", "delayed", "old"])
@pytest.mark.parametrize("mishap", MISHAPS.values(), ids=MISHAPS.keys())
def test_L15_a_command_held_back_opens_nothing_whatever_the_clock_does(
    mishap: Callable[[Desk], None], answer: str
) -> None:
    assert delivered_late(Desk(), mishap, answer=answer) == 0


def test_L15_what_must_converge_still_does_when_it_comes_late() -> None:
    desk = Desk()
    desk.broker_up()
    late = desk.site.documents(desk.enrolled, desk.site.state(desk.enrolled, version=4, epoch=2))
    desk.wait(600)
    desk.deliver(late)
    (applied,) = [r for r in desk.news() if isinstance(r, Applied) and r.state_version == 4]
    assert applied.epoch == 2


def test_L15_an_answer_that_was_held_back_two_seconds_attests_nothing() -> None:
    """The broker delays question and answer: the command is fresh by then only in the lock's eyes."""
    desk = Desk()
    desk.broker_up(attest=False)
    desk.wait(3 * 3600)
    desk.news()
    sealed, command = desk.site.unlock(desk.enrolled, desk.site.holder())
    desk.deliver(sealed)
    request = next(r for r in desk.news() if isinstance(r, TimeRequest))
    statement = desk.site.documents(desk.enrolled, desk.site.time(desk.enrolled, request.nonce))
    desk.wait(2.5)
    desk.deliver(statement)
    assert desk.openings == 0
    (result,) = desk.results()
    assert (result.command_id, result.outcome, result.denial) == (
        command.command_id,
        Outcome.REFUSED,
        Denial.NOT_ATTESTED,
    )
    desk.deliver(sealed)
    assert desk.openings == 0, "refused is refused, even in time"


def test_L15_mutant_a_lock_that_trusts_any_clock_it_has_opens_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rtc, "bound", lambda self, at: None if self.lost(at) else 0.0)
    assert delivered_late(Desk(), slow_chip(0.01), answer="none") > 0


def test_L15_mutant_a_lock_with_one_oscillator_opens_late(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_chip_alone(self: Rtc, at: Moment) -> float | None:
        if self._attested is None or self._attested.chip is None or at.chip is None:
            return None
        return float(at.chip - self._attested.chip)

    monkeypatch.setattr(Rtc, "age", by_chip_alone)
    assert delivered_late(Desk(), slow_chip(0.01), answer="none") > 0


def both_held_back(desk: Desk, loosen: Callable[[], None]) -> int:
    """The statement was signed while the command was fresh; both are handed over after the deadline."""
    desk.broker_up(attest=False)
    desk.wait(3 * 3600)
    desk.news()
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
    loosen()
    desk.deliver(sealed)
    request = next(r for r in desk.news() if isinstance(r, TimeRequest))
    statement = desk.site.documents(desk.enrolled, desk.site.time(desk.enrolled, request.nonce))
    desk.wait(40)
    desk.deliver(statement)
    return desk.openings


def test_L15_command_and_time_held_back_together_open_nothing() -> None:
    assert both_held_back(Desk(), lambda: None) == 0


def test_L15_mutant_a_lock_that_waits_for_the_time_for_ever_opens_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loosen() -> None:
        monkeypatch.setattr(server_room, "TIME_ROUND_TRIP", 10**6)
        monkeypatch.setattr(rtc_room, "TIME_ROUND_TRIP", 10**6)
        whole = Rtc.bound
        # asks like the true lock, but once an answer came takes it for fresh
        monkeypatch.setattr(Rtc, "bound", lambda self, at: 0.0 if self._bound > 10 else whole(self, at))

    assert both_held_back(Desk(), loosen) > 0
