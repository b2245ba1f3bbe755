"""Each thing that makes a remote command safe, left undone: the world sees it within a bounded number of worlds."""

from __future__ import annotations

import pytest

from tests.sim.mutants import caught

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

#: Worlds that a mutant is given. Most are seen in the first few.
WORLDS = 60


def seen(name: str) -> bool:
    return caught(name, WORLDS) is not None


def test_L15_mutant_world_any_clock_is_trusted() -> None:
    assert seen("any_clock_is_trusted")


def test_L15_mutant_world_no_deadline_is_kept() -> None:
    assert seen("no_deadline_is_kept")


def test_L16_mutant_world_the_retained_is_obeyed() -> None:
    assert seen("the_retained_is_obeyed")


def test_L16_mutant_world_what_was_done_is_forgotten() -> None:
    assert seen("what_was_done_is_forgotten")


def test_L17_mutant_world_a_gap_is_taken_for_granted() -> None:
    assert seen("a_gap_is_taken_for_granted")


def test_L17_mutant_world_time_settles_nothing() -> None:
    assert seen("time_settles_nothing")


def test_L19_mutant_world_a_session_is_enough() -> None:
    assert seen("a_session_is_enough")


def test_L22_mutant_world_hope_is_told_as_done() -> None:
    assert seen("hope_is_told_as_done")
