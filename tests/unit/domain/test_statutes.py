"""Statute clocks against dates worked out by hand from the State Council's notice for 2026.

Spring Festival 2026: off from 15 to 23 February; 14 and 28 February (Saturdays) are working days.
National Day 2026: off from 1 to 7 October; 20 September and 10 October are working days.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from lockserver.domain import statutes
from lockserver.domain.times import SHANGHAI


def shanghai(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=SHANGHAI)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("event", "last_day"),
    [
        (shanghai(2026, 3, 2, 12), date(2026, 3, 5)),  # a plain Monday → Thursday
        (shanghai(2026, 3, 5, 0), date(2026, 3, 10)),  # a Thursday: Fri, Mon, Tue
        (shanghai(2026, 3, 7, 23, 59), date(2026, 3, 11)),  # a Saturday
        (shanghai(2026, 2, 12, 9), date(2026, 2, 24)),  # Fri 13, make-up Sat 14, Tue 24
        (shanghai(2026, 2, 13, 9), date(2026, 2, 25)),  # make-up Sat 14, Tue 24, Wed 25
        (shanghai(2026, 2, 16, 9), date(2026, 2, 26)),  # New Year's Eve
        (shanghai(2026, 2, 26, 9), date(2026, 3, 2)),  # Fri 27, make-up Sat 28, Mon
        (shanghai(2026, 9, 30, 9), date(2026, 10, 10)),  # Thu 8, Fri 9, make-up Sat 10
    ],
)
def test_three_working_days(event: datetime, last_day: date) -> None:
    for clock in (statutes.arrival(event), statutes.departure(event)):
        midnight = datetime(last_day.year, last_day.month, last_day.day, tzinfo=SHANGHAI)
        assert clock.due_at == midnight + timedelta(days=1)
        assert clock.due_at.tzinfo is UTC
        assert not clock.provisional


def test_the_day_is_shanghais_not_utcs() -> None:
    # 17:00 UTC on Wednesday is Thursday 01:00 in Shanghai
    assert statutes.arrival(datetime(2026, 3, 4, 17, tzinfo=UTC)).due_at == datetime(
        2026, 3, 10, 16, tzinfo=UTC
    )
    assert statutes.arrival(datetime(2026, 3, 4, 15, tzinfo=UTC)).due_at == datetime(
        2026, 3, 9, 16, tzinfo=UTC
    )


def test_beyond_the_published_years_the_earliest_date_marked_provisional() -> None:
    clock = statutes.arrival(shanghai(2049, 9, 30, 9))
    assert clock.provisional
    assert clock.due_at == shanghai(2049, 10, 4)
    # a lease at the end of the last published year counts what is known as known
    last = max(year for year in range(2020, 2049) if statutes.is_working_day(date(year, 6, 1)) is not None)
    edge = statutes.arrival(shanghai(last, 12, 31, 9))
    assert edge.provisional
    assert edge.due_at == shanghai(last + 1, 1, 4)


def test_a_foreigner_has_a_day_by_the_clock() -> None:
    clock = statutes.arrival(shanghai(2026, 2, 16, 9, 30), "foreigner")
    assert clock.due_at == shanghai(2026, 2, 17, 9, 30)
    assert clock.rule_id == "exit-entry-2012-art39"


def test_no_rule_is_no_clock() -> None:
    with pytest.raises(LookupError):
        statutes.arrival(shanghai(2012, 1, 1))


def test_rules_do_not_overlap_and_say_how_they_count() -> None:
    for rule in statutes.STATUTES:
        assert (rule.working_days is None) != (rule.hours is None)
        assert rule.source
        assert rule.counting
        twins = [r for r in statutes.STATUTES if (r.kind, r.person) == (rule.kind, rule.person)]
        spans = sorted((r.since, r.until) for r in twins)
        for (_, until), (since, _) in pairwise(spans):
            assert until is not None
            assert until <= since


def test_how_a_duty_stands() -> None:
    due = shanghai(2026, 3, 6)
    before, after = due - timedelta(seconds=1), due
    assert statutes.standing(due, before) == "due"
    assert statutes.standing(due, before, before) == "due"
    assert statutes.standing(due, before, due) == "will_be_late"
    assert statutes.standing(due, after) == "late"
    assert statutes.days_left(due, shanghai(2026, 3, 5, 23)) == 0
    assert statutes.days_left(due, shanghai(2026, 3, 2, 23)) == 3
