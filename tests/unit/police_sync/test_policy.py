"""The relay's policy: a table, and what must hold for all of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from police_sync.relay.breaker import Breaker
from police_sync.relay.filing import Kind
from police_sync.relay.outcomes import (
    Accepted,
    Conflict,
    FieldReturn,
    FieldsReturned,
    Found,
    Ill,
    Malformed,
    NotThere,
    Outcome,
    ProvinceState,
    Receipt,
    ReceiptForged,
    Refused,
    Unknown,
    Unsent,
    Verdict,
)
from police_sync.relay.policy import (
    RETRY_AFTER_CAP_S,
    AskFirst,
    AwaitVerdict,
    BackOff,
    Decision,
    Park,
    Receipted,
    Repair,
    RetryAt,
    decide,
)

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
CHECKED = (Kind.REGISTER, Kind.CHANGE)


def receipt(kind: Kind) -> Receipt:
    return Receipt("receipt", "SL-1", "n", 1, kind, "d", "2026-03-02T04:00:00Z", "p", b"{}")


def verdict(state: ProvinceState) -> Verdict:
    return Verdict("n", 1, 3, state, "2026-03-02T04:00:00Z", (), None, (), None, b"{}")


def decided(outcome: Outcome, kind: Kind = Kind.REGISTER, attempts: int = 1) -> Decision:
    return decide(outcome, attempts, NOW, kind=kind, jitter=0.5)


@pytest.mark.parametrize("kind", Kind)
def test_a_receipt_closes_the_row(kind: Kind) -> None:
    decision = decided(Accepted(receipt=receipt(kind)), kind)
    assert isinstance(decision, AwaitVerdict if kind in CHECKED else Receipted)


@pytest.mark.parametrize("state", ProvinceState)
def test_a_verdict_found_with_the_receipt_is_not_polled_again(state: ProvinceState) -> None:
    found = Found(verdict=verdict(state), receipt=receipt(Kind.REGISTER))
    waiting = state in {ProvinceState.RECEIVED, ProvinceState.CHECKING, ProvinceState.MANUAL_REVIEW}
    assert isinstance(decided(found), AwaitVerdict if waiting else Receipted)


TABLE: list[tuple[Outcome, type]] = [
    (NotThere("unknown_client_no"), RetryAt),
    (Unsent("refused"), RetryAt),
    (Ill("quota", certain=True), RetryAt),
    (Ill("http_503"), AskFirst),
    (Unknown("deadline"), AskFirst),
    (Malformed("redirect"), AskFirst),
    (ReceiptForged("signature"), AskFirst),
    (FieldsReturned(returns=(FieldReturn("phone", "E901"),)), Repair),
    (FieldsReturned(), Park),
    (Conflict("conflict"), Park),
    (Refused("closed"), Park),
    (Accepted(), AskFirst),  # an acceptance without its receipt is none
    (Found(), AskFirst),
]


@pytest.mark.parametrize(("outcome", "expected"), TABLE, ids=lambda x: getattr(x, "code", None))
def test_the_table(outcome: Outcome, expected: type) -> None:
    assert isinstance(decided(outcome), expected)


def test_a_park_says_why() -> None:
    assert decided(Conflict("version_passed")) == Park("conflict:version_passed")


def test_not_there_may_be_sent_at_once() -> None:
    assert decided(NotThere()) == RetryAt(NOW)


@pytest.mark.parametrize("asked_s", [0, 60, 600, 10**9])
def test_retry_after_is_heeded_within_reason(asked_s: int) -> None:
    decision = decided(Ill("quota", asked_s, certain=True))
    assert isinstance(decision, RetryAt)
    wait_s = (decision.at - NOW).total_seconds()
    assert wait_s >= min(asked_s, RETRY_AFTER_CAP_S)
    assert wait_s <= max(RETRY_AFTER_CAP_S, BackOff().cap_s)


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_back_off_grows_within_its_bounds(attempts: int, jitter: float) -> None:
    back_off = BackOff(first_s=2, cap_s=900)
    wait = back_off.after(attempts, jitter).total_seconds()
    assert 1 <= wait <= 900
    assert back_off.after(attempts, 0.0) <= back_off.after(attempts, jitter)
    assert back_off.after(attempts, jitter) <= back_off.after(attempts + 1, jitter)


@given(st.sampled_from([case[0] for case in TABLE]), st.integers(0, 10**6))
def test_nothing_is_ever_dropped(outcome: Outcome, attempts: int) -> None:
    decision = decided(outcome, attempts=attempts)
    if isinstance(decision, RetryAt | AskFirst):
        assert decision.at >= NOW
    else:
        assert isinstance(decision, Receipted | AwaitVerdict | Repair | Park)


# ---- the breaker
def test_the_breaker_opens_closes_and_doubles() -> None:
    breaker = Breaker(threshold=3, first_s=1, cap_s=4)
    assert [breaker.trouble(NOW) for _ in range(3)] == [False, False, True]
    assert breaker.pause_s(NOW) == 1
    assert breaker.half_open
    later = NOW + timedelta(seconds=1)
    assert breaker.pause_s(later) == 0
    waits = []
    for _ in range(4):
        breaker.trouble(later)
        waits.append(breaker.pause_s(later))
    assert waits == [2, 4, 4, 4]
    closed = [breaker.well(), breaker.well()]
    assert closed == [True, False], "only the first closes it"
    assert breaker.pause_s(later) == 0


def test_one_good_answer_forgives_troubles() -> None:
    breaker = Breaker(threshold=2)
    breaker.trouble(NOW)
    breaker.well()
    assert not breaker.trouble(NOW)
