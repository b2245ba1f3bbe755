"""L-40: windows and schedules against the calendar, asked another way."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lockserver.protocol.access import ClockView, DoorView, Granted, Operation, decide
from lockserver.protocol.claims import WEEK, Schedule, window_allows
from tests.vectors.cast import LOCK_ID, claims

instants = st.integers(0, 4_102_444_800)  # until 2100
offsets = st.integers(-14 * 60, 14 * 60)
windows = st.lists(st.integers(0, WEEK), min_size=2, max_size=12, unique=True).map(
    lambda marks: tuple(zip(*[iter(sorted(marks)[: len(marks) // 2 * 2])] * 2, strict=True))
)


def by_the_calendar(schedule: Schedule, now: int) -> bool:
    local = datetime.fromtimestamp(now, UTC) + timedelta(minutes=schedule.offset)
    minute = local.weekday() * 1440 + local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in schedule.windows)


@settings(max_examples=500, deadline=None)
@given(now=instants, offset=offsets, parts=windows)
def test_L40_a_schedule_is_what_the_calendar_says(
    now: int, offset: int, parts: tuple[tuple[int, int], ...]
) -> None:
    schedule = Schedule(offset, parts)
    assert schedule.covers(now) == by_the_calendar(schedule, now)


@settings(max_examples=300, deadline=None)
@given(
    nbf=instants,
    length=st.integers(1, 72 * 3600),
    now=instants,
    near=st.sampled_from(["nbf", "exp", ""]),
    step=st.integers(-2, 2),
)
def test_L40_lock_and_window_agree_and_are_half_open(
    nbf: int, length: int, now: int, near: str, step: int
) -> None:
    held = claims(nbf=nbf, exp=nbf + length, iat=nbf)
    now = {"nbf": nbf, "exp": nbf + length, "": now}[near] + step
    inside = nbf <= now < nbf + length
    assert window_allows(held, now) == inside
    door = DoorView(LOCK_ID, shared=False, epoch=3)
    assert isinstance(decide(held, Operation.UNLOCK, ClockView(now), door), Granted) == inside
    assert not isinstance(decide(held, Operation.UNLOCK, ClockView(None, now), door), Granted)
