"""Each thing that lock and server must remember, forgotten: the world sees it within a bounded number of worlds."""

from __future__ import annotations

import pytest

from tests.sim.mutants import caught

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

#: Worlds that a mutant is given. Most are seen in the first few.
WORLDS = 60


def seen(name: str) -> bool:
    return caught(name, WORLDS) is not None


def test_L08_mutant_world_nobody_writes_the_list() -> None:
    assert seen("nobody_writes_the_list")


def test_L08_mutant_world_the_epoch_is_not_kept() -> None:
    assert seen("the_epoch_is_not_kept")


def test_L08_mutant_world_the_list_is_not_looked_at() -> None:
    assert seen("the_list_is_not_looked_at")


def test_L09_mutant_world_a_new_list_forgets_the_last() -> None:
    assert seen("a_new_list_forgets_the_last")


def test_L10_mutant_world_no_intent_is_written() -> None:
    assert seen("no_intent_is_written")


def test_L11_mutant_world_any_statement_sets_the_clock() -> None:
    assert seen("any_statement_sets_the_clock")


def test_L11_mutant_world_no_clock_is_ever_lost() -> None:
    assert seen("no_clock_is_ever_lost")


def test_L11_mutant_world_the_floor_is_in_memory_only() -> None:
    assert seen("the_floor_is_in_memory_only")


def test_L12_mutant_world_numbers_may_fall() -> None:
    assert seen("numbers_may_fall")


def test_L21_mutant_world_the_chain_is_not_checked() -> None:
    assert seen("the_chain_is_not_checked")
