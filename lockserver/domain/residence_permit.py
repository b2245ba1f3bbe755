"""The residence permit's clock (居住证): when it may be applied for, must be issued, has to be endorsed.

浙江省流动人口居住登记条例 (2016) 第十六、十八、十九条. Half a year is counted from the day of the
registration, so a late registration costs its tenant more than a fine: the day on which he is registered
decides on which he may apply.

Days are Shanghai's civil days. A period of months ends on the day of the same number, and on the month's last
day where it has none (民法典 art 202); a period of days does not count the day of the event (art 201).
"""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

PermitStanding = Literal["valid", "endorse_now", "suspended"]

#: Months of residence, counted from the registration, after which a permit may be applied for (art 16).
MONTHS_REGISTERED: Final = 6
#: Days in which it is issued (art 18).
DAYS_TO_ISSUE: Final = 15
#: Months before the anniversary of its issue in which a year's endorsement is asked for (art 19).
MONTHS_TO_ENDORSE: Final = 1


@dataclass(frozen=True, slots=True)
class Window:
    """Civil days `[first, until)`."""

    first: date
    until: date

    def holds(self, day: date) -> bool:
        """Whether the day lies in it."""
        return self.first <= day < self.until


@dataclass(frozen=True, slots=True)
class Permit:
    """How an issued permit stands on one day.

    `endorse`: the window of the endorsement that is next, or that was missed. `years_since`: from when
    years of continuous residence count; a missed endorsement starts them anew on the day it is made good.
    """

    standing: PermitStanding
    endorse: Window
    years_since: date


def months_after(day: date, months: int) -> date:
    """The day so many months later (negative: before), or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def may_apply_from(registered_on: date) -> date:
    """The first day on which half a year has passed since the registration (art 16)."""
    return months_after(registered_on, MONTHS_REGISTERED)


def issued_by(applied_on: date) -> date:
    """The last day for its issue (art 18)."""
    return applied_on + timedelta(days=DAYS_TO_ISSUE)


def endorsement(issued_on: date, year: int) -> Window:
    """The days for the `year`-th endorsement (from 1): the month before that anniversary (art 19)."""
    anniversary = months_after(issued_on, 12 * year)
    return Window(months_after(anniversary, -MONTHS_TO_ENDORSE), anniversary)


def permit(issued_on: date, endorsed_on: Sequence[date], today: date) -> Permit:
    """How a permit stands today, given the days on which it was endorsed (up to today), in order.

    An endorsement inside its window serves for that year; one before it serves for nothing; one after the
    anniversary lifts the suspension, and years count anew from it. Raises ValueError for an endorsement
    before the permit's issue, or out of order.
    """
    days = list(endorsed_on)
    if days != sorted(days) or (days and days[0] < issued_on):
        raise ValueError("endorsements follow the permit's issue, in order")
    years_since, year = issued_on, 1
    for day in (one for one in days if one <= today):
        window = endorsement(issued_on, year)
        if day >= window.until:
            years_since = day
            while endorsement(issued_on, year).until <= day:
                year += 1
        elif window.holds(day):
            year += 1
    window = endorsement(issued_on, year)
    if today >= window.until:
        return Permit("suspended", window, years_since)
    return Permit("endorse_now" if window.holds(today) else "valid", window, years_since)
