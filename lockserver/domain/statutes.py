"""Statute clocks: what the law asks, cited, versioned and dated, and when it is due.

Rules are data. A duty keeps the id and version of the rule that made it, so that a change of the
law touches only what happens after it.

Days are Shanghai's civil days. Where a rule counts days, the day of the event is not counted, and
the last day runs to its end (民法典 art 201 and 203). A working day is what the State Council's
yearly notice makes one: weekends and holidays off, make-up days on. Beyond the published years
every day is counted as a working day: the date shown is then the earliest that the notice can lead
to, and is marked provisional.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import chinese_calendar

from lockserver.domain.duties import DutyKind
from lockserver.domain.times import civil_date, end_of_day, require_utc, start_of_day

Person = Literal["resident", "foreigner"]
"""Whom a rule is about: citizens and holders of residence permits, or foreigners on a passport."""
Standing = Literal["due", "will_be_late", "late"]


@dataclass(frozen=True, slots=True)
class Statute:
    """One rule in one version. Exactly one of `working_days` and `hours` is set.

    In force for events in `[since, until)`, civil days.
    """

    rule_id: str
    version: str
    kind: DutyKind
    person: Person
    source: str
    says: str
    counting: str
    since: date
    until: date | None = None
    working_days: int | None = None
    hours: int | None = None


_DAYS = "the day of the event is not counted; due at the end of the last working day, Asia/Shanghai"
_HOURS = "counted from the instant of the event"

STATUTES: tuple[Statute, ...] = (
    Statute(
        rule_id="zj-residence-registration-9-arrival",
        version="2016-07-01",
        kind="arrival",
        person="resident",
        source="浙江省流动人口居住登记条例 (2016) 第九条",
        says="the landlord reports the tenant within 3 working days of the lease's start",
        counting=_DAYS,
        since=date(2016, 7, 1),
        working_days=3,
    ),
    Statute(
        rule_id="zj-residence-registration-9-departure",
        version="2016-07-01",
        kind="departure",
        person="resident",
        source="浙江省流动人口居住登记条例 (2016) 第九条",
        says="the landlord reports the end of the lease within 3 working days",
        counting=_DAYS,
        since=date(2016, 7, 1),
        working_days=3,
    ),
    Statute(
        rule_id="exit-entry-2012-art39",
        version="2013-07-01",
        kind="arrival",
        person="foreigner",
        source="中华人民共和国出境入境管理法 第三十九条",
        says="a foreigner who lives outside a hotel registers within 24 hours",
        counting=_HOURS,
        since=date(2013, 7, 1),
        hours=24,
    ),
)


@dataclass(frozen=True, slots=True)
class StatuteClock:
    """When a duty is due, by which rule; `provisional` where the holiday calendar is not out yet.

    `due_at` is the first instant that is too late: half-open, as everywhere.
    """

    rule_id: str
    rule_version: str
    due_at: datetime
    provisional: bool


def statute(kind: DutyKind, person: Person, on: date) -> Statute:
    """Return the rule in force for an event on this civil day; raises LookupError."""
    for rule in STATUTES:
        in_force = rule.since <= on and (rule.until is None or on < rule.until)
        if rule.kind == kind and rule.person == person and in_force:
            return rule
    raise LookupError(f"no rule for {kind} of {person} on {on.isoformat()}")


def is_working_day(day: date) -> bool | None:
    """Tell whether this is a working day, or None where the notice for its year is not out."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return None


def working_days_after(day: date, count: int) -> tuple[date, bool]:
    """Return the `count`-th working day after `day`, and whether it is provisional."""
    provisional = False
    while count > 0:
        day += timedelta(days=1)
        working = is_working_day(day)
        provisional = provisional or working is None
        if working is not False:
            count -= 1
    return day, provisional


def clock(kind: DutyKind, event_at: datetime, person: Person = "resident") -> StatuteClock:
    """Return when the duty of this event is due. Raises LookupError where no rule is in force."""
    on = civil_date(event_at)
    rule = statute(kind, person, on)
    if rule.hours is not None:
        due = require_utc(event_at) + timedelta(hours=rule.hours)
        return StatuteClock(rule.rule_id, rule.version, due, provisional=False)
    last, provisional = working_days_after(on, rule.working_days or 0)
    return StatuteClock(rule.rule_id, rule.version, end_of_day(last), provisional)


def arrival(lease_from: datetime, person: Person = "resident") -> StatuteClock:
    """Return when the arrival of a lease that begins at this instant is due."""
    return clock("arrival", lease_from, person)


def departure(lease_ended: datetime) -> StatuteClock:
    """Return when the end of a lease is due."""
    return clock("departure", lease_ended)


def standing(due_at: datetime, now: datetime, expected_at: datetime | None = None) -> Standing:
    """Tell how an unfulfilled duty stands.

    `expected_at`: when it will be fulfilled at the earliest, as far as anybody knows (the
    province's announced return, the next try); None when nothing stands in the way.
    """
    if now >= due_at:
        return "late"
    return "will_be_late" if expected_at is not None and expected_at >= due_at else "due"


def days_left(due_at: datetime, now: datetime) -> int:
    """Return how many civil days lie between today and the last day, both in Shanghai; 0 on it."""
    last = civil_date(due_at - timedelta(microseconds=1))
    return (start_of_day(last) - start_of_day(civil_date(now))).days
