"""Edits of a grant narrow it unless they say otherwise (L-46); schedules in words and on the wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lockserver.domain import grant as grants
from lockserver.domain.errors import DomainError, NotAllowedError, WideningRefusedError
from lockserver.domain.grant import KEEP, Edit, Grant, Reach
from lockserver.domain.grant_errors import GrantEndedError, ScheduleInvalidError, ScheduleZoneError
from lockserver.domain.schedule import DAYS, lies_in, narrowed, on_the_wire, read_schedule
from lockserver.domain.terms import read_edit
from lockserver.domain.times import Window
from lockserver.protocol.claims import WEEK, minute_of_week

T0 = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
VERBS = ["unlock", "hold_open", "lock"]

times = st.integers(0, 24 * 4).map(lambda quarter: f"{quarter // 4:02d}:{quarter % 4 * 15:02d}")
lines = (
    st.tuples(st.lists(st.sampled_from(DAYS), min_size=1, unique=True), times, times)
    .filter(lambda line: line[1] < line[2])
    .map(lambda line: {"days": line[0], "from": line[1], "until": line[2]})
)
schedules = st.lists(lines, min_size=1, max_size=3).map(
    lambda weekly: {"zone": "Asia/Shanghai", "weekly": weekly}
)
windows = st.tuples(st.integers(-5, 15), st.one_of(st.none(), st.integers(-4, 30))).filter(
    lambda pair: pair[1] is None or pair[0] < pair[1]
)


def kept(said: dict[str, Any] | None) -> dict[str, object] | None:
    """A schedule as it is kept; ours never has more than the wire's 21 windows."""
    if said is None:
        return None
    try:
        return read_schedule(said)
    except ScheduleInvalidError:
        return None


reaches = st.builds(
    lambda window, verbs, said: Reach(
        Window(T0 + window[0] * DAY, None if window[1] is None else T0 + window[1] * DAY), verbs, kept(said)
    ),
    windows,
    st.integers(1, 7),
    st.one_of(st.none(), schedules),
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Any partial update: each member there or not, each half of the window too."""
    lower, upper = draw(windows)
    whole = {"from": (T0 + lower * DAY).isoformat(), "until": upper and (T0 + upper * DAY).isoformat()}
    parts = draw(st.sets(st.sampled_from(["from", "until"])))
    body: dict[str, Any] = {
        "window": {name: whole[name] for name in parts},
        "schedule": draw(st.one_of(st.none(), schedules)),
        "capabilities": draw(st.lists(st.sampled_from(VERBS), min_size=1, unique=True)),
        "widen": draw(st.booleans()),
    }
    return {name: body[name] for name in draw(st.sets(st.sampled_from(sorted(body))))}


def a_grant(reach: Reach) -> Grant:
    window = reach.window
    return Grant(
        uuid4(), uuid4(), uuid4(), "guest", reach.capabilities, window.lower, window.upper,
        schedule=reach.schedule,
    )  # fmt: skip


def minutes_of(reach: Reach) -> set[tuple[int, int]]:
    """Which verbs it gives at which minute of three weeks: the plain truth, counted out."""
    wire, zero = on_the_wire(reach.schedule), int(T0.timestamp())
    begins = int(reach.window.lower.timestamp())
    ends = None if reach.window.upper is None else int(reach.window.upper.timestamp())
    bits = [bit for bit in (1, 2, 4) if reach.capabilities & bit]
    found = set()
    for at in range(zero - 7 * 86400, zero + 21 * 86400, 75 * 60):
        if begins <= at and (ends is None or at < ends) and (wire is None or wire.covers(at)):
            found |= {(at, bit) for bit in bits}
    return found


def edited(reach: Reach, body: dict[str, Any]) -> Reach | None:
    """What an update makes of a grant; None where it is refused."""
    try:
        return a_grant(reach).edited(read_edit(body)).reach
    except (DomainError, ValueError):
        return None


@settings(max_examples=60, phases=(Phase.generate,))
@given(reaches, bodies())
def test_L46_no_partial_update_widens_unless_it_says_so(before: Reach, body: dict[str, Any]) -> None:
    widens_only_in_words(before, body)


def widens_only_in_words(before: Reach, body: dict[str, Any]) -> None:
    after = edited(before, body)
    if after is None:
        return
    if not body.get("widen"):
        assert minutes_of(after) <= minutes_of(before)
        assert before.window.upper is None or after.window.upper is not None
    if "schedule" not in body:
        assert after.schedule == before.schedule
    if "capabilities" not in body:
        assert after.capabilities == before.capabilities
    named = body.get("window", {})
    assert "from" in named or after.window.lower == before.window.lower
    assert "until" in named or after.window.upper == before.window.upper


@pytest.mark.parametrize("mutant", ["erases what is omitted", "forgets the hours", "believes the end"])
def test_L46_mutant_an_edit_that_widens_by_the_way_is_caught(
    mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Edit.of

    def erases(self: Edit, reach: Reach) -> Reach:
        made = honest(self, reach)
        return (
            Reach(Window(made.window.lower, None), made.capabilities, made.schedule)
            if self.upper is KEEP
            else made
        )

    if mutant == "erases what is omitted":
        monkeypatch.setattr(Edit, "of", erases)
        monkeypatch.setattr(Reach, "lies_in", lambda *_: True)
    elif mutant == "forgets the hours":
        monkeypatch.setattr(grants, "lies_in", lambda *_: True)
    else:
        monkeypatch.setattr(Window, "lies_in", lambda *_: True)
    # the same examples at every run, and as many as it takes: a mutant is caught, not caught at times
    patient = settings(
        max_examples=3000, phases=(Phase.generate,), derandomize=True, report_multiple_bugs=False
    )
    with pytest.raises(AssertionError):
        patient(given(reaches, bodies())(widens_only_in_words))()


@settings(max_examples=40, phases=(Phase.generate,))
@given(reaches, reaches)
def test_L05_what_is_left_of_a_cut_grant_lies_in_both(child: Reach, parent: Reach) -> None:
    left = child.cut_to(parent)
    both = minutes_of(child) & minutes_of(parent)
    assert (minutes_of(left) if left is not None else set()) == both
    if child.lies_in(parent):
        assert minutes_of(child) <= minutes_of(parent)
        assert left == child
    if left is not None:
        assert left.lies_in(parent)
        assert left.lies_in(child)


def test_only_who_froze_it_thaws_it_and_a_grantor_stands_above() -> None:
    grant = a_grant(Reach(Window(T0, None), 1))
    giver, owner = uuid4(), uuid4()
    ranks = [grant.holder_id, giver, owner]
    own = grant.frozen(T0, grant.holder_id, ranks)
    assert own.unfrozen(grant.holder_id).state == "active"
    over = own.frozen(T0, giver, ranks)
    assert over.frozen(T0, grant.holder_id, ranks).frozen_by == giver
    assert over.frozen(T0, owner, ranks).frozen_by == owner
    for other in (grant.holder_id, owner):
        with pytest.raises(NotAllowedError):
            over.unfrozen(other)
    ended = over.revoked(T0)
    assert (ended.state, ended.frozen_by) == ("revoked", None)
    acts: list[Callable[[], Grant]] = [
        lambda: ended.frozen(T0, giver, ranks),
        lambda: ended.unfrozen(giver),
        lambda: ended.edited(Edit()),
    ]
    for act in acts:
        with pytest.raises(GrantEndedError):
            act()


def test_L46_an_edit_names_what_would_be_wider() -> None:
    grant = a_grant(Reach(Window(T0, T0 + DAY), 1, read_schedule(week("mon", "08:00", "09:00"))))
    for edit, field in (
        (Edit(upper=None), "window"),
        (Edit(lower=T0 - DAY), "window"),
        (Edit(capabilities=3), "capabilities"),
        (Edit(schedule=None), "schedule"),
    ):
        with pytest.raises(WideningRefusedError) as refused:
            grant.edited(edit)
        assert refused.value.detail["field"] == field


# ---- schedules


def week(day: str, begins: str, ends: str, zone: str = "Asia/Shanghai") -> dict[str, Any]:
    return {"zone": zone, "weekly": [{"days": [day], "from": begins, "until": ends}]}


@settings(max_examples=40, phases=(Phase.generate,))
@given(schedules)
def test_a_schedule_says_on_the_wire_what_it_says_in_words(said: dict[str, Any]) -> None:
    read = kept(said)
    if read is None:
        return
    wire = on_the_wire(read)
    assert wire is not None
    for minute in range(0, WEEK, 15):
        at = int(T0.timestamp()) + minute * 60
        local = minute_of_week(at, 480)
        clock = f"{local % 1440 // 60:02d}:{local % 60:02d}"
        inside = any(
            DAYS[local // 1440] in line["days"] and line["from"] <= clock < line["until"]
            for line in said["weekly"]
        )
        assert wire.covers(at) == inside


@given(schedules, schedules)
def test_what_lies_in_a_schedule_and_what_two_have_in_common(one: Any, other: Any) -> None:
    a, b = kept(one), kept(other)
    if a is None or b is None:
        return
    common = narrowed(a, b)
    assert common is not None
    if common["windows"]:
        assert lies_in(common, a)
        assert lies_in(common, b)
        again = {"zone": common["zone"], "weekly": common["weekly"]}
        assert read_schedule(again)["windows"] == common["windows"], "its words say the same"


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        (week("mon", "08:00", "09:00", "UTC"), ScheduleZoneError),
        (week("mon", "08:00", "09:00", "Asia/Chongqing"), ScheduleZoneError),
        (week("mon", "09:00", "09:00"), ScheduleInvalidError),
        (week("mon", "22:00", "06:00"), ScheduleInvalidError),
        (week("mon", "00:00", "24:01"), ScheduleInvalidError),
        (week("Monday", "08:00", "09:00"), ScheduleInvalidError),
        ({"zone": "Asia/Shanghai", "weekly": []}, ScheduleInvalidError),
        ({"zone": "Asia/Shanghai"}, ScheduleInvalidError),
        ({"zone": "Asia/Shanghai", "weekly": ["mon"]}, ScheduleInvalidError),
        ({"zone": "Asia/Shanghai", "weekly": [{"days": [], "from": "08:00", "until": "09:00"}]}, ScheduleInvalidError),
    ],
)  # fmt: skip
def test_a_schedule_that_is_none_says_where(said: dict[str, Any], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal) as refused:
        read_schedule(said)
    assert str(refused.value.detail["field"]).startswith("schedule")


def test_the_whole_day_and_more_windows_than_a_key_carries() -> None:
    assert read_schedule(week("mon", "00:00", "24:00"))["windows"] == [[0, 1440]]
    lines = [
        {"days": list(DAYS), "from": f"{hour:02d}:00", "until": f"{hour:02d}:30"} for hour in range(0, 8, 2)
    ]
    with pytest.raises(ScheduleInvalidError) as refused:
        read_schedule({"zone": "Asia/Shanghai", "weekly": lines})
    assert refused.value.detail["problem"] == "too_many"
