"""The clock: floor, loss, drift, attestation."""

from __future__ import annotations

import pytest

from firmware_sim.core.rtc import ATTESTED_BOUND, Moment, Rtc

T0 = 1_800_000_000


def at(seconds: float, *, chip_rate: float = 1.0, timer_rate: float = 1.0, base: int = 1000) -> Moment:
    return Moment(round(seconds * timer_rate * 1000), base + int(seconds * chip_rate))


def attested() -> Rtc:
    rtc = Rtc()
    assert rtc.attest(at(0), T0, 100)
    return rtc


def test_a_clock_never_set_is_lost() -> None:
    assert Rtc().now(at(0)) is None
    assert Rtc().bound(at(0)) is None


def test_an_attested_clock_tells_the_time_for_a_while() -> None:
    rtc = attested()
    assert rtc.now(at(600)) == T0 + 600
    bound = rtc.bound(at(600))
    assert bound is not None
    assert bound <= ATTESTED_BOUND
    assert rtc.bound(at(6 * 3600)) is None, "age alone ends it"
    assert rtc.now(at(6 * 3600)) == T0 + 6 * 3600


@pytest.mark.parametrize(("chip", "timer"), [(0.5, 1.0), (0.9, 1.0), (1.0, 0.5), (1.1, 1.0), (0.0, 1.0)])
def test_one_slow_or_fast_oscillator_ends_the_attestation(chip: float, timer: float) -> None:
    rtc = attested()
    assert rtc.bound(at(600, chip_rate=chip, timer_rate=timer)) is None


def test_a_slow_round_trip_sets_the_clock_but_does_not_attest() -> None:
    rtc = Rtc()
    assert not rtc.attest(at(0), T0, 2001)
    assert rtc.now(at(5)) == T0 + 5
    assert rtc.bound(at(5)) is None


def test_a_battery_pull_loses_the_clock_and_keeps_the_floor() -> None:
    rtc = attested()
    assert rtc.now(Moment(1000, None)) is None
    reset = Moment(1000, 1)  # the chip starts again
    assert rtc.now(reset) is None
    assert rtc.best(reset) == T0
    assert rtc.floor == T0


def test_the_floor_never_falls() -> None:
    rtc = attested()
    assert rtc.ratchet(at(10), T0 + 100)
    assert not rtc.ratchet(at(10), T0 + 50)
    rtc.attest(at(20), T0 + 60, 10)
    assert rtc.floor == T0 + 100
    assert rtc.now(at(20)) == T0 + 100, "the time does not stand below the floor"


def test_a_signed_time_pulls_a_slow_clock_forward() -> None:
    rtc = attested()
    rtc.ratchet(at(10), T0 + 300)
    assert rtc.now(at(20)) == T0 + 310


def test_a_signed_time_far_ahead_shows_that_the_clock_was_set_back() -> None:
    rtc = attested()
    rtc.ratchet(at(10), T0 + 86400)
    assert rtc.now(at(20)) is None


def test_a_reboot_ends_the_attestation_even_if_the_chip_ran_on() -> None:
    before = attested()
    after = Rtc(offset=before.offset, floor=before.floor, seen=before.seen)
    assert after.now(at(30)) == T0 + 30
    assert after.bound(at(30)) is None


HELD_BACK = 599
"""Seconds: a nonce is good for 600."""


def ended_key_opens(rtc: Rtc) -> bool:
    """A guest whose window closes now asks for the time just after M2, and brings it as late as he may."""
    rtc.attest(at(0), T0, 100)
    fast = Moment(HELD_BACK * 1000, 1000 + HELD_BACK + 6)  # six seconds fast, unattested since long
    until = T0 + HELD_BACK
    rtc.attest(fast, T0 + 1, HELD_BACK * 1000)
    now = rtc.now(fast)
    return now is not None and now < until


def test_L04_a_time_statement_held_back_turns_no_fast_clock_back() -> None:
    assert not ended_key_opens(Rtc())


def test_L04_mutant_a_clock_set_to_what_the_statement_says_would_be_caught() -> None:
    class Believes(Rtc):
        def attest(self, at: Moment, now: int, round_trip_ms: int) -> bool:
            attested = super().attest(at, now, round_trip_ms)
            if at.chip is not None:
                self.offset = now - at.chip
            return attested

    assert ended_key_opens(Believes())
