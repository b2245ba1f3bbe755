"""L-50: a lock that says nothing is `unknown` with its age, and no old value is shown as a fresh one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockserver.domain import health
from lockserver.domain.health import BATTERY_OLD, BOLT_STANDS, Said, battery_of, bolt_of, connection_of
from lockserver.domain.lock import Bolt, LockStatus

LOCK = UUID(int=1)
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
ages = st.none() | st.timedeltas(timedelta(0), timedelta(days=90))
WORDS: tuple[Bolt, ...] = ("locked", "unlocked", "unknown")
bolts: st.SearchStrategy[Bolt] = st.sampled_from(WORDS)


def ago(age: timedelta | None) -> datetime | None:
    return None if age is None else NOW - age


@st.composite
def statuses(draw: st.DrawFn) -> LockStatus:
    battery = draw(st.none() | st.integers(0, 100))
    return LockStatus(
        LOCK,
        connected=draw(st.booleans()),
        last_seen_at=ago(draw(ages)),
        bolt=draw(bolts),
        bolt_at=ago(draw(ages)),
        battery=battery,
        battery_read_at=ago(draw(ages)),
        battery_since=ago(draw(ages)),
    )


@st.composite
def movements(draw: st.DrawFn) -> Said | None:
    age = draw(ages)
    return None if age is None else Said(draw(bolts), NOW - age)


def old_bolt_is_fresh(status: LockStatus, moved: Said | None) -> bool:
    """Whether a bolt is named though nobody can know it."""
    shown = bolt_of(status, moved, NOW)
    if shown.value == "unknown":
        return False
    words = [at for at in (status.bolt_at, None if moved is None else moved.at) if at is not None]
    return not words or shown.at != max(words) or (not status.connected and NOW - shown.at > BOLT_STANDS)


@given(statuses(), movements())
def test_L50_no_bolt_is_shown_that_may_have_moved_unseen(status: LockStatus, moved: Said | None) -> None:
    assert not old_bolt_is_fresh(status, moved)


@given(statuses(), st.integers(0, 1000))
def test_L50_an_old_or_frozen_reading_says_so(status: LockStatus, openings: int) -> None:
    shown = battery_of(status, openings, NOW)
    if status.battery is None:
        assert (shown.percent, shown.read_at, shown.doubt) == (None, None, None)
        return
    old = status.battery_read_at is None or NOW - status.battery_read_at > BATTERY_OLD
    stuck = (
        status.battery_since is not None
        and NOW - status.battery_since > timedelta(days=30)
        and openings > 200
    )
    assert (shown.doubt is not None) == (old or stuck)


def test_L50_what_never_spoke_is_unknown() -> None:
    silent = LockStatus(LOCK)
    assert (connection_of(silent), bolt_of(silent, None, NOW)) == ("never", Said("unknown", None))
    assert battery_of(silent, 0, NOW).percent is None


def believes_for_ever(status: LockStatus, moved: Said | None, now: datetime) -> Said:
    del now
    return moved or Said(status.bolt, status.bolt_at)


def counts_no_months(status: LockStatus, openings: int, now: datetime) -> Any:
    del openings
    return battery_of(status, 0, now)


@pytest.mark.parametrize("mutant", [believes_for_ever])
def test_L50_mutant_a_bolt_believed_for_ever_is_caught(
    mutant: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys.modules[__name__], "bolt_of", mutant)
    gone = LockStatus(LOCK, bolt="locked", bolt_at=NOW - timedelta(days=3))
    assert old_bolt_is_fresh(gone, None)


def test_L50_mutant_a_frozen_gauge_shown_as_sound_is_caught() -> None:
    stuck = LockStatus(
        LOCK, battery=30, battery_read_at=NOW - timedelta(hours=1), battery_since=NOW - timedelta(days=40)
    )
    assert battery_of(stuck, 201, NOW).doubt == "frozen"
    assert counts_no_months(stuck, 201, NOW).doubt is None
    assert health.FROZEN_OPENINGS == 200
