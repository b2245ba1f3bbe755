"""The pure nouns: ids, windows, tenancies, grants, commands, refusals."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockserver.domain import canonical, errors
from lockserver.domain.command import GRACE, LEGAL_STEPS, Command, CommandState
from lockserver.domain.errors import (
    DomainError,
    GuardianMissingError,
    InvalidInputError,
    NotARoomError,
    RoleFailedError,
    RoomFullError,
    StepIllegalError,
    TenancyEndedError,
    WindowInvalidError,
)
from lockserver.domain.grant import Capability, Grant
from lockserver.domain.house import Door
from lockserver.domain.ids import uuid7
from lockserver.domain.tenancy import Occupant, Tenancy, check_occupants, next_epoch
from lockserver.domain.times import Window, civil_date, end_of_day, from_seconds, require_utc, whole_seconds
from lockserver.protocol.limits import MAX_TIME

T0 = datetime(2026, 3, 2, 4, tzinfo=UTC)
DAY = timedelta(days=1)
instants = st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


@given(instants, instants)
def test_ids_sort_by_age(one: datetime, other: datetime) -> None:
    first, second = sorted((one, other))
    ids = uuid7(first, os.urandom(10)), uuid7(second, os.urandom(10))
    assert all(made.version == 7 and made.variant == UUID(int=0x8 << 60).variant for made in ids)
    if second - first >= timedelta(milliseconds=1):
        assert ids[0] < ids[1]


def test_an_id_needs_its_offset_and_its_entropy() -> None:
    assert str(uuid7(datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC), bytes(10))).startswith(
        "017f22e2-79b0-7000-8000"
    )
    with pytest.raises(ValueError, match="offset"):
        uuid7(datetime(2026, 1, 1), bytes(10))  # noqa: DTZ001 - the point of the test
    with pytest.raises(ValueError, match="entropy"):
        uuid7(T0, bytes(9))


@given(instants, instants, instants)
def test_L40_windows_are_half_open(a: datetime, b: datetime, at: datetime) -> None:
    lower, upper = sorted((a, b))
    if lower == upper:
        with pytest.raises(ValueError, match="ends after"):
            Window(lower, upper)
        return
    window = Window(lower, upper)
    assert window.holds(lower)
    assert not window.holds(upper)
    assert window.holds(at) == (lower <= at < upper)
    assert not window.overlaps(Window(upper, None))
    assert window.overlaps(Window(upper - timedelta(microseconds=1), None))
    cut = window.cut(at)
    assert cut is None if at <= lower else cut is not None and cut.lies_in(window) and not cut.holds(at)


def test_days_in_shanghai() -> None:
    assert civil_date(datetime(2026, 3, 1, 16, tzinfo=UTC)).isoformat() == "2026-03-02"
    assert end_of_day(civil_date(T0)) == datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert civil_date(datetime(1988, 7, 1, 15, 30, tzinfo=UTC)).isoformat() == "1988-07-02"  # daylight saving
    with pytest.raises(ValueError, match="offset"):
        require_utc(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


def tenancy() -> Tenancy:
    return Tenancy(uuid4(), uuid4(), T0, T0 + 30 * DAY, 1, "signed", uuid4())


def test_a_tenancy_ends_by_its_window_or_by_its_tenant() -> None:
    lease = tenancy()
    with pytest.raises(WindowInvalidError):
        lease.ended(T0 + 29 * DAY, "window", None)
    ended = lease.ended(T0 + 2 * DAY, "early_tenant", uuid4())
    assert not ended.lives(T0 + 3 * DAY)
    assert lease.lives(T0)
    assert not lease.lives(lease.upper)
    with pytest.raises(TenancyEndedError):
        ended.ended(T0 + 40 * DAY, "window", None)


def test_who_may_live_in_a_room() -> None:
    room = Door(uuid4(), uuid4(), "room", "1", 2, 4)
    adult, child = uuid4(), uuid4()
    lease = uuid4()
    check_occupants(room, [Occupant(lease, adult), Occupant(lease, child, True, adult)])
    assert next_epoch(room) == 5
    with pytest.raises(RoomFullError):
        check_occupants(room, [Occupant(lease, uuid4()) for _ in range(3)])
    with pytest.raises(RoomFullError):
        check_occupants(room, [])
    with pytest.raises(RoomFullError):
        check_occupants(room, [Occupant(lease, adult), Occupant(lease, adult)])
    with pytest.raises(GuardianMissingError):
        check_occupants(room, [Occupant(lease, child, True, uuid4())])
    gate = replace(room, kind="gate", capacity=None, epoch=None)
    with pytest.raises(NotARoomError):
        check_occupants(gate, [Occupant(lease, adult)])
    with pytest.raises(NotARoomError):
        next_epoch(gate)


def grant(upper: datetime | None = T0 + 9 * DAY) -> Grant:
    return Grant(uuid4(), uuid4(), uuid4(), "guest", int(Capability.UNLOCK), T0, upper)


def test_a_grant_conveys_while_it_lives() -> None:
    given_ = grant()
    assert given_.conveys(Capability.UNLOCK, T0)
    assert not given_.conveys(Capability.ENTRY, T0)
    assert not given_.conveys(Capability.UNLOCK, T0 + 9 * DAY)
    assert not given_.revoked(T0).conveys(Capability.UNLOCK, T0)
    assert not replace(given_, state="frozen").lives(T0)


def command(state: CommandState) -> Command:
    return Command(uuid4(), uuid4(), uuid4(), uuid4(), None, uuid4(), "unlock", 1, state, T0)


@pytest.mark.parametrize("before", get_args(CommandState))
@pytest.mark.parametrize("after", get_args(CommandState))
def test_L17_only_the_steps_of_the_table(before: CommandState, after: CommandState) -> None:
    if (before, after) == ("queued", "sent"):
        assert command(before).sent(T0).sent_at == T0
    elif (before, after) in LEGAL_STEPS:
        assert command(before).settled(after, T0, evidence=b"signed").state == after
    else:
        with pytest.raises(StepIllegalError):
            command(before).settled(after, T0, evidence=b"signed")


@pytest.mark.parametrize("state", ["done", "refused", "expired"])
def test_L22_nothing_published_settles_without_evidence(state: CommandState) -> None:
    for before in ("sent", "unknown"):
        with pytest.raises(StepIllegalError):
            command(before).settled(state, T0)


def test_what_time_alone_makes_of_a_command() -> None:
    tick = timedelta(microseconds=1)
    assert command("queued").overdue(T0 - tick) is None
    assert command("queued").overdue(T0) == "expired"
    assert command("sent").overdue(T0 + GRACE - tick) is None
    assert command("sent").overdue(T0 + GRACE) == "unknown"
    assert command("done").overdue(T0 + DAY) is None


def test_every_refusal_has_one_code_and_a_meaning() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DomainError)
    ]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(errors.meaning(kind).endswith(".") for kind in kinds)
    for kind in kinds:
        assert type(errors.refusal(kind.code, why="x")) is kind
    unknown = errors.refusal("from another version")
    assert isinstance(unknown, RoleFailedError)
    assert unknown.detail == {"named": "from another version"}


def test_canonical_json_is_one_spelling() -> None:
    facts = {"b": b"\xff\xfe", "a": T0, "id": UUID(int=7), "汉": 1}
    raw = canonical.dumps(facts)
    assert raw == canonical.dumps(dict(reversed(facts.items())))
    assert canonical.loads(raw) == {
        "a": "2026-03-02T04:00:00+00:00", "b": "__4", "id": str(UUID(int=7)), "汉": 1,
    }  # fmt: skip
    assert canonical.unb64url("__4") == b"\xff\xfe"
    for bad in (b"[]", b"\xff", b"{", b"[" * 100_000):
        with pytest.raises(InvalidInputError):
            canonical.loads(bad)
    for text in ("__4=", "//4", "_", "__5", "é"):
        with pytest.raises(InvalidInputError):
            canonical.unb64url(text)


@given(seconds=st.integers(0, MAX_TIME))
def test_every_time_of_the_wire_is_an_instant(seconds: int) -> None:
    """A lock, or a service tool in its keypad, may name the year 36812; nothing of ours breaks on it."""
    at = from_seconds(seconds)
    assert at.year <= 9999
    assert whole_seconds(at) == seconds or at.year == 9999


def test_the_wires_last_second_is_the_calendars() -> None:
    assert from_seconds(MAX_TIME) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
