"""What the law asks and until when: rules as dated data, and the clock that counts their days.

Counting: the day on which a period begins is not counted (民法典 art 201), and it ends with the last
instant of its last day in Shanghai (art 203). Working days follow the State Council's calendar with
its make-up workdays, which is published a year at a time. Beyond it a clock is *provisional* and
conservative: every day counts as a working day, so that the true date can only be later.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import chinese_calendar

from lockserver.domain.times import civil_date, end_of_day


@dataclass(frozen=True, slots=True)
class Rule:
    """One duty of one text; `version` is the text's date of force."""

    id: str
    version: str
    kind: Literal["arrival", "departure"]
    working_days: int
    in_force_from: date
    source: str


RULES: tuple[Rule, ...] = (
    Rule(
        id="zj-residence-registration-9-arrival",
        version="2016-07-01",
        kind="arrival",
        working_days=3,
        in_force_from=date(2016, 7, 1),
        source="浙江省流动人口居住登记条例 (2016) art 9: within 3 working days of the lease's start",
    ),
    Rule(
        id="zj-residence-registration-9-departure",
        version="2016-07-01",
        kind="departure",
        working_days=3,
        in_force_from=date(2016, 7, 1),
        source="浙江省流动人口居住登记条例 (2016) art 9: and again of its end",
    ),
)


@dataclass(frozen=True, slots=True)
class DutyClock:
    """Until when, by which rule; `due_at` is the first instant that is too late."""

    rule_id: str
    rule_version: str
    due_at: datetime
    provisional: bool


def arrival(starts_at: datetime) -> DutyClock:
    """Return the clock of registering somebody whose lease starts at this instant."""
    return _clock("arrival", starts_at)


def departure(ended_at: datetime) -> DutyClock:
    """Return the clock of reporting that somebody's lease ended at this instant."""
    return _clock("departure", ended_at)


def working_days_after(day: date, count: int) -> tuple[date, bool]:
    """Return the `count`-th working day after `day`, and whether the calendar is still unpublished."""
    provisional = False
    reached = day
    while count > 0:
        reached += timedelta(days=1)
        try:
            works = chinese_calendar.is_workday(reached)
        except NotImplementedError:
            works, provisional = True, True
        count -= works
    return reached, provisional


def _clock(kind: Literal["arrival", "departure"], at: datetime) -> DutyClock:
    day = civil_date(at)
    rule = _in_force(kind, day)
    last, provisional = working_days_after(day, rule.working_days)
    return DutyClock(rule.id, rule.version, end_of_day(last), provisional)


def _in_force(kind: Literal["arrival", "departure"], day: date) -> Rule:
    fitting = [rule for rule in RULES if rule.kind == kind and rule.in_force_from <= day]
    if not fitting:
        raise ValueError(f"no {kind} rule was in force on {day}")
    return max(fitting, key=lambda rule: rule.in_force_from)
