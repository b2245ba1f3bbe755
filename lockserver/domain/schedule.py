"""A weekly schedule in words: days and times of a wall clock in the house's zone.

What is kept also holds the wire's offset and minutes of the week, derived, so that what the lock judges
by is what the grantor signed. China's clocks have stood at +08:00 since 1991: one zone, one offset.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lockserver.domain.grant_errors import ScheduleInvalidError, ScheduleZoneError
from lockserver.protocol.claims import WEEK, Schedule
from lockserver.protocol.limits import MAX_WINDOWS

HOUSE_ZONE: Final = "Asia/Shanghai"
HOUSE_OFFSET: Final = 480
"""Minutes east of UTC."""
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY: Final = 24 * 60
_TIME: Final = re.compile(r"^([01][0-9]|2[0-4]):([0-5][0-9])$")

Minutes = list[tuple[int, int]]


def read_schedule(said: Mapping[str, Any]) -> dict[str, object]:
    """Return `{"zone", "weekly", "offset", "windows"}` of `{"zone", "weekly": [{"days", "from", "until"}]}`.

    Raises ScheduleZoneError for another zone than the house's, ScheduleInvalidError otherwise; both name
    the field and say what it should be.
    """
    if said.get("zone") != HOUSE_ZONE:
        raise ScheduleZoneError(field="schedule.zone", expected=HOUSE_ZONE)
    weekly = said.get("weekly")
    if not isinstance(weekly, Sequence) or isinstance(weekly, str) or not weekly:
        raise ScheduleInvalidError(field="schedule.weekly", problem="empty")
    minutes: Minutes = []
    for number, line in enumerate(weekly):
        minutes += _line(line, f"schedule.weekly.{number}")
    joined = _joined(minutes)
    if len(joined) > MAX_WINDOWS:
        raise ScheduleInvalidError(field="schedule.weekly", problem="too_many", most=MAX_WINDOWS)
    return {
        "zone": HOUSE_ZONE,
        "weekly": [
            {"days": list(line["days"]), "from": line["from"], "until": line["until"]} for line in weekly
        ],
        "offset": HOUSE_OFFSET,
        "windows": [list(pair) for pair in joined],
    }


def _line(line: Any, field: str) -> Minutes:  # noqa: ANN401 - JSON
    """Return one line's minutes of the week; a line lies within its days and is not turned around."""
    if not isinstance(line, Mapping):
        raise ScheduleInvalidError(field=field, problem="shape")
    days = line.get("days")
    listed = (
        isinstance(days, Sequence) and not isinstance(days, str) and all(isinstance(d, str) for d in days)
    )
    if not listed or not days or len(set(days)) != len(days):
        raise ScheduleInvalidError(field=f"{field}.days", problem="days", one_of=list(DAYS))
    if not set(days) <= set(DAYS):
        raise ScheduleInvalidError(field=f"{field}.days", problem="days", one_of=list(DAYS))
    begins, ends = _minute(line.get("from"), f"{field}.from"), _minute(line.get("until"), f"{field}.until")
    if begins >= ends:
        # Over midnight is written as two lines: turned around by mistake it would be a whole night.
        raise ScheduleInvalidError(field=f"{field}.until", problem="inverted", later_than=str(line["from"]))
    return [(DAYS.index(day) * DAY + begins, DAYS.index(day) * DAY + ends) for day in days]


def _minute(said: object, field: str) -> int:
    found = _TIME.match(said) if isinstance(said, str) else None
    minute = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minute <= DAY:
        raise ScheduleInvalidError(field=field, problem="time", between="00:00 and 24:00")
    return minute


def _joined(minutes: Minutes) -> Minutes:
    """Return the windows ascending, those that meet or overlap as one."""
    joined: Minutes = []
    for begins, ends in sorted(minutes):
        if joined and begins <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ends))
        else:
            joined.append((begins, ends))
    return joined


def on_the_wire(kept: Mapping[str, object] | None) -> Schedule | None:
    """Return a kept schedule as credentials carry it. Raises TypeError for what is none."""
    if kept is None:
        return None
    offset, windows = kept["offset"], kept["windows"]
    if not isinstance(offset, int) or not isinstance(windows, list):
        raise TypeError("a grant's schedule has an offset and windows")
    return Schedule.of(offset, [(int(start), int(end)) for start, end in windows])


def lies_in(inner: Mapping[str, object] | None, outer: Mapping[str, object] | None) -> bool:
    """Tell whether no minute of the inner schedule lies outside the outer; None is the whole week."""
    if outer is None:
        return True
    if inner is None:
        return _windows(outer) == [(0, WEEK)]
    if inner["offset"] != outer["offset"]:
        return False
    wide = _windows(outer)
    return all(any(a <= start and end <= b for a, b in wide) for start, end in _windows(inner))


def narrowed(inner: dict[str, object] | None, outer: Mapping[str, object] | None) -> dict[str, object] | None:
    """Return what lies in both; the windows may be empty, which no schedule is."""
    if lies_in(inner, outer):
        return inner
    assert outer is not None  # noqa: S101 - everything lies in no schedule
    if inner is None:
        return dict(outer)
    if inner["offset"] != outer["offset"]:
        return {**inner, "windows": []}
    both = [
        [max(a, start), min(b, end)]
        for a, b in _windows(outer)
        for start, end in _windows(inner)
        if max(a, start) < min(b, end)
    ]
    return {"zone": inner.get("zone"), "weekly": weekly_of(both), "offset": inner["offset"], "windows": both}


def weekly_of(windows: Sequence[Sequence[int]]) -> list[dict[str, object]]:
    """Return minutes of the week as lines of words, cut at midnight."""
    lines: list[dict[str, object]] = []
    for start, end in windows:
        for number, day in enumerate(DAYS):
            begins, ends = max(start, number * DAY), min(end, (number + 1) * DAY)
            if begins < ends:
                lines.append(
                    {
                        "days": [day],
                        "from": _clock(begins - number * DAY),
                        "until": _clock(ends - number * DAY),
                    }
                )
    return lines


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _windows(kept: Mapping[str, object]) -> Minutes:
    windows = kept["windows"]
    if not isinstance(windows, list):
        raise TypeError("a grant's schedule has windows")
    return [(int(start), int(end)) for start, end in windows]
