"""X15: the residence permit's clock, worked out by hand from arts 16, 18 and 19."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockserver.domain.residence_permit import (
    endorsement,
    issued_by,
    may_apply_from,
    months_after,
    permit,
)


@pytest.mark.parametrize(
    ("registered", "apply"),
    [
        (date(2026, 3, 1), date(2026, 9, 1)),
        (date(2026, 8, 31), date(2027, 2, 28)),  # February has no 31st
        (date(2027, 8, 31), date(2028, 2, 29)),  # and a 29th in 2028
        (date(2026, 12, 30), date(2027, 6, 30)),
        (date(2028, 2, 29), date(2028, 8, 29)),
    ],
)
def test_half_a_year_is_counted_from_the_registration(registered: date, apply: date) -> None:
    assert may_apply_from(registered) == apply


def test_a_registration_that_comes_late_moves_the_permit_by_as_much() -> None:
    assert may_apply_from(date(2026, 3, 11)) - may_apply_from(date(2026, 3, 1)) == timedelta(days=10)


def test_it_is_issued_within_fifteen_days_the_first_not_counted() -> None:
    assert issued_by(date(2026, 9, 1)) == date(2026, 9, 16)


@pytest.mark.parametrize(
    ("issued", "year", "first", "until"),
    [
        (date(2026, 9, 10), 1, date(2027, 8, 10), date(2027, 9, 10)),
        (date(2026, 9, 10), 3, date(2029, 8, 10), date(2029, 9, 10)),
        (date(2028, 2, 29), 1, date(2029, 1, 28), date(2029, 2, 28)),
        (date(2028, 2, 29), 4, date(2032, 1, 29), date(2032, 2, 29)),
        (date(2026, 3, 31), 1, date(2027, 2, 28), date(2027, 3, 31)),
    ],
)
def test_the_endorsement_is_asked_for_in_the_month_before_the_anniversary(
    issued: date, year: int, first: date, until: date
) -> None:
    window = endorsement(issued, year)
    assert (window.first, window.until) == (first, until)


ISSUED = date(2026, 9, 10)


@pytest.mark.parametrize(
    ("endorsed", "today", "standing", "years_since"),
    [
        ([], date(2027, 8, 9), "valid", ISSUED),
        ([], date(2027, 8, 10), "endorse_now", ISSUED),
        ([], date(2027, 9, 9), "endorse_now", ISSUED),
        ([], date(2027, 9, 10), "suspended", ISSUED),  # the anniversary itself is too late
        ([date(2027, 8, 20)], date(2027, 9, 10), "valid", ISSUED),
        ([date(2027, 8, 20)], date(2028, 8, 10), "endorse_now", ISSUED),
        ([date(2027, 12, 1)], date(2027, 12, 1), "valid", date(2027, 12, 1)),  # made good; years recount
        ([date(2027, 12, 1)], date(2028, 9, 9), "endorse_now", date(2027, 12, 1)),
        ([date(2029, 1, 5)], date(2029, 1, 6), "valid", date(2029, 1, 5)),  # two anniversaries missed
        ([date(2027, 3, 1)], date(2027, 9, 10), "suspended", ISSUED),  # months too early serves nothing
    ],
)
def test_how_a_permit_stands(endorsed: list[date], today: date, standing: str, years_since: date) -> None:
    seen = permit(ISSUED, endorsed, today)
    assert (seen.standing, seen.years_since) == (standing, years_since)


def test_endorsements_follow_the_issue() -> None:
    with pytest.raises(ValueError, match="follow"):
        permit(ISSUED, [ISSUED - timedelta(days=1)], ISSUED)
    with pytest.raises(ValueError, match="order"):
        permit(ISSUED, [date(2028, 8, 20), date(2027, 8, 20)], date(2029, 1, 1))


days = st.dates(date(2016, 7, 1), date(2090, 1, 1))


@given(day=days, months=st.integers(-60, 60))
def test_months_keep_the_number_of_the_day_or_end_the_month(day: date, months: int) -> None:
    later = months_after(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later + timedelta(days=1)).day == 1


@given(issued=days, years=st.integers(0, 30), late=st.integers(0, 400))
def test_who_endorses_each_year_is_never_suspended(issued: date, years: int, late: int) -> None:
    endorsed = [endorsement(issued, year).first for year in range(1, years + 1)]
    today = max([issued, *endorsed]) + timedelta(days=late)
    seen = permit(issued, endorsed, today)
    assert seen.years_since == issued
    assert (seen.standing == "suspended") == (today >= endorsement(issued, years + 1).until)
