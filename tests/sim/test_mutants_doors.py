"""Each check that keeps a door shut, or its tenants in, taken out: the world sees it, in a bounded number of worlds."""

from __future__ import annotations

import pytest

from tests.sim.mutants import caught

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

#: Worlds that a mutant is given. Most are seen in the first few.
WORLDS = 60


def seen(name: str) -> bool:
    return caught(name, WORLDS) is not None


def test_L02_mutant_world_the_lock_is_never_fresh() -> None:
    assert seen("the_lock_is_never_fresh")


def test_L04_mutant_world_windows_are_not_looked_at() -> None:
    assert seen("windows_are_not_looked_at")


def test_L05_mutant_world_a_key_opens_every_door() -> None:
    assert seen("a_key_opens_every_door")


def test_L05_mutant_world_nobody_proves_his_key() -> None:
    assert seen("nobody_proves_his_key")


def test_L06_mutant_world_guessing_is_free() -> None:
    assert seen("guessing_is_free")


def test_L06_mutant_world_power_forgets_who_guessed() -> None:
    assert seen("power_forgets_who_guessed")


def test_L06_mutant_world_the_rightful_pay_for_strangers() -> None:
    assert seen("the_rightful_pay_for_strangers")


def test_L45_mutant_world_anybody_ends_a_lease() -> None:
    assert seen("anybody_ends_a_lease")


def test_L50_mutant_world_every_lock_is_called_locked() -> None:
    assert seen("every_lock_is_called_locked")


def test_L52_mutant_world_the_owner_walks_in() -> None:
    assert seen("the_owner_walks_in")


def test_L53_mutant_world_the_oldest_goes_first() -> None:
    assert seen("the_oldest_goes_first")


def test_L54_mutant_world_no_key_is_renewed() -> None:
    assert seen("no_key_is_renewed")
