from datetime import UTC, date, datetime

import pytest

from lockserver.domain import statutes


@pytest.mark.parametrize(
    ("starts", "last_day"),
    [
        ("2026-03-02T04:00:00", "2026-03-05"),  # Monday: Tuesday, Wednesday, Thursday
        ("2026-03-06T04:00:00", "2026-03-11"),  # Friday: the week-end does not count
        ("2026-02-13T04:00:00", "2026-02-25"),  # before Spring Festival 2026: 14 Feb is a make-up day
        ("2026-03-01T16:30:00", "2026-03-05"),  # half past midnight on Monday in Shanghai
    ],
)
def test_arrival_is_due_after_three_working_days(starts: str, last_day: str) -> None:
    clock = statutes.arrival(datetime.fromisoformat(starts).replace(tzinfo=UTC))
    last = date.fromisoformat(last_day)
    assert clock.due_at == datetime(last.year, last.month, last.day, 16, tzinfo=UTC)
    assert not clock.provisional


def test_beyond_the_published_calendar_the_date_is_provisional_and_never_late() -> None:
    clock = statutes.departure(datetime(2099, 5, 1, 4, tzinfo=UTC))
    assert clock.provisional
    assert clock.due_at == datetime(2099, 5, 4, 16, tzinfo=UTC)
