"""The lock's decision: each reason as the design words it, and the edges of every window."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lockserver.protocol import access, claims
from lockserver.protocol.access import Denied, Granted
from lockserver.protocol.claims import Claims, Schedule, window_allows
from lockserver.protocol.errors import Denial
from tests.vectors.build_access import LEAP, Case, cases
from tests.vectors.cast import claims as cast_claims

GRANTED = "granted"

EXPECTED = {
    "from -300": "not_yet",
    "from -1": "not_yet",
    "from +0": GRANTED,
    "from +1": GRANTED,
    "from +300": GRANTED,
    "until -300": GRANTED,
    "until -1": GRANTED,
    "until +0": "expired",
    "until +1": "expired",
    "until +300": "expired",
    "midnight UTC+8 after 29 February, from -1": "not_yet",
    "midnight UTC+8 after 29 February, from +0": GRANTED,
    "week wrap before 22:00": "schedule",
    "week wrap at 22:00": GRANTED,
    "week wrap a second before midnight": GRANTED,
    "week wrap at midnight": GRANTED,
    "week wrap a second before 06:00": GRANTED,
    "week wrap at 06:00": "schedule",
    "day -1": "schedule",
    "day from": GRANTED,
    "day -1 of until": GRANTED,
    "day until": "schedule",
    "plain": GRANTED,
    "other lock": "wrong_lock",
    "clock lost": "clock_lost",
    "clock lost, floor past exp": "expired",
    "clock behind its floor": "expired",
    "revoked": "revoked",
    "another is revoked": GRANTED,
    "iat below the floor": "list_floor",
    "iat at the floor": GRANTED,
    "epoch below": "epoch_low",
    "epoch above raises": "granted, epoch 4, occupied",
    "epoch above, but only locking": GRANTED,
    "epoch above by a guest raises": "granted, epoch 4, occupied",
    "epoch jump at its bound": "granted, epoch 19, occupied",
    "epoch jump beyond": "epoch_jump",
    "expired with a higher epoch does not raise": "expired",
    "no epoch at a room": "epoch_low",
    "gate without epoch": GRANTED,
    "epoch at a gate": "epoch_shared",
    "owner without epoch": GRANTED,
    "owner below the owner's epoch": "epoch_low",
    "owner raises the owner's epoch": "granted, epoch 1",
    "staff below the staff's epoch": "epoch_low",
    "capability missing": "capability",
    "hold open without it": "capability",
    "journal without it": "capability",
    "journal by the owner": GRANTED,
    "carry opens nothing": "capability",
    "carry in a tenant's credential": "capability",
    "unknown capability bit": "capability",
    "owner at an occupied room": "occupied",
    "owner with entry at an occupied room": GRANTED,
    "owner reads the journal of an occupied room": GRANTED,
    "tenant at an occupied room": GRANTED,
    "order: other lock before expired": "wrong_lock",
    "order: expired before revoked": "expired",
    "order: revoked before epoch": "revoked",
    "order: epoch before capability": "epoch_low",
    "order: capability before schedule": "capability",
    "one-time": "granted, uses up",
    "one-time, holding open": "granted, uses up",
    "one-time, epoch above": "granted, epoch 4, occupied, uses up",
    "one-time, locking": GRANTED,
    "one-time, used": "used_up",
    "one-time, another is used": "granted, uses up",
    "one-time, as many are remembered as can be": "back_off",
    "one-time, one of as many as can be remembered": "used_up",
    "any number of openings, as many are remembered as can be": GRANTED,
    "one-time, capturing": "capability",
    "order: occupied before used": "occupied",
    "gateway carries": GRANTED,
    "gateway carries at an occupied room": GRANTED,
    "gateway carries at a gate": GRANTED,
    "gateway unlocks": "capability",
    "gateway syncs": "capability",
    "gateway captures": "capability",
    "gateway with unlock carries": "capability",
    "gateway with unlock unlocks": "capability",
    "gateway without carry": "capability",
    "gateway with an epoch": "epoch_shared",
    "tenant carries": "capability",
    "tenant syncs": GRANTED,
    "tenant captures": GRANTED,
    "tenant captures with an epoch above": GRANTED,
    "capturing without unlock": "capability",
    "owner captures": GRANTED,
    "owner captures at an occupied room": "occupied",
    "owner with entry captures at an occupied room": "occupied",
}
"""Written by hand from the design; the vectors are generated, and must agree."""


def told(case: Case) -> str:
    verdict = access.decide(case.claims, case.operation, case.clock, case.door)
    if isinstance(verdict, Denied):
        return verdict.denial.word
    assert isinstance(verdict, Granted)
    words = [GRANTED]
    if verdict.raise_epoch is not None:
        words.append(f"epoch {verdict.raise_epoch}")
    if verdict.occupies:
        words.append("occupied")
    if verdict.uses_up:
        words.append("uses up")
    return ", ".join(words)


def wrong() -> set[str]:
    """Names of the cases whose verdict is not the expected one."""
    return {case.name for case in cases() if told(case) != EXPECTED[case.name]}


def test_L04_L40_every_verdict_is_the_expected_one() -> None:
    assert {case.name for case in cases()} == set(EXPECTED)
    assert wrong() == set()


def _mutant_closed_until(c: Claims, clock: access.ClockView) -> Denial | None:
    if clock.now is None:
        return Denial.CLOCK_LOST
    if clock.now < c.nbf:
        return Denial.NOT_YET
    return Denial.EXPIRED if clock.now > c.exp else None


def _mutant_open_from(c: Claims, clock: access.ClockView) -> Denial | None:
    if clock.now is None:
        return Denial.CLOCK_LOST
    if clock.now <= c.nbf:
        return Denial.NOT_YET
    return Denial.EXPIRED if max(clock.now, clock.floor) >= c.exp else None


def _mutant_drift_added(c: Claims, clock: access.ClockView) -> Denial | None:
    if clock.now is None:
        return Denial.CLOCK_LOST
    if clock.now < c.nbf - 300:
        return Denial.NOT_YET
    return Denial.EXPIRED if max(clock.now, clock.floor) >= c.exp + 300 else None


@pytest.mark.parametrize("mutant", [_mutant_closed_until, _mutant_open_from, _mutant_drift_added])
def test_L04_L40_mutant_of_the_window_is_caught(
    mutant: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_window", mutant)
    assert wrong()


@pytest.mark.parametrize(
    "check",
    [
        "_audience",
        "_window",
        "_revocation",
        "epoch_denial",
        "_capability",
        "_schedule",
        "_occupied",
        "_used",
    ],
)
def test_L04_mutant_without_one_check_is_caught(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, check, lambda *_: None)
    assert wrong()


@pytest.mark.parametrize("first_minute", [0, 4 * 1440 - 1, 6 * 1440])
def test_L40_mutant_week_that_starts_elsewhere_is_caught(
    first_minute: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_EPOCH_MINUTE", first_minute)
    assert wrong()


def test_L40_window_allows_is_half_open() -> None:
    held = cast_claims(nbf=LEAP, exp=LEAP + 60, iat=LEAP)
    assert [window_allows(held, LEAP + d) for d in (-1, 0, 59, 60)] == [False, True, True, False]
    never = replace(held, schedule=Schedule(0, ((0, 1),)))
    assert not window_allows(never, LEAP)


def test_a_schedule_over_the_weeks_end_is_written_as_two_windows() -> None:
    assert Schedule.of(480, [(9000, 100)]).windows == ((0, 100), (9000, 10080))
    assert Schedule.of(480, [(9000, 0)]).windows == ((9000, 10080),)
