"""Who pretends, bends, reads out or speaks as another: some worlds of each, and the checks against them taken out."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sim import mutants_impostors
from tests.sim.benders import AT_A_DOOR, IN_A_COMMAND
from tests.sim.mutants import MUTANTS, caught
from tests.sim.search import live

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

#: Worlds that a law, and a mutant, are given.
LIVED = 6
WORLDS = 20


def seen(name: str) -> bool:
    assert MUTANTS[name].apply.__module__ == mutants_impostors.__name__
    return caught(name, WORLDS) is not None


def lived(profile: str) -> Counter[str]:
    """What struck in some worlds, none of which broke any law."""
    struck: Counter[str] = Counter()
    for seed in range(LIVED):
        outcome = live(seed, profile)
        assert outcome.fault is None, f"`make sim SEED={seed} PROFILE={profile}`: {outcome.fault!r}"
        struck += outcome.world.weather.struck
        struck["own words"] += outcome.world.harm.own_words
        for kind in ("lured", "bent"):
            struck[f"{kind} granted"] += sum(f": {kind} granted" in one for one in outcome.world.history)
    return struck


def test_L03_world_nobody_is_named_to_what_is_no_lock() -> None:
    struck = lived("impostors")
    ways = ("own key", "neighbour", "in the middle", "recorded", "altered")
    assert all(struck[f"lock.{way}"] for way in ways)
    assert struck["lured granted"], "who passes on everything is let be: the phone does speak"


def test_L03_mutant_world_the_phone_believes_any_lock() -> None:
    assert seen("the_phone_believes_any_lock")


def test_L03_mutant_world_the_lock_signs_no_transcript() -> None:
    assert seen("the_lock_signs_no_transcript")


def test_L07_world_no_bolt_moves_for_what_is_bent() -> None:
    struck = lived("benders")
    assert sum(bool(struck[f"radio.{way}"]) for way in AT_A_DOOR) >= len(AT_A_DOOR) - 2
    assert sum(bool(struck[f"broker.{way}"]) for way in IN_A_COMMAND) >= len(IN_A_COMMAND) // 2
    assert struck["bent granted"], "the same hand, with nothing bent, opens"


def test_L07_mutant_world_what_nobody_knows_is_passed_over() -> None:
    assert seen("what_nobody_knows_is_passed_over")


def test_L07_mutant_world_what_follows_is_not_read() -> None:
    assert seen("what_follows_is_not_read")


def test_L07_mutant_world_any_version_will_do() -> None:
    assert seen("any_version_will_do")


def test_L18_world_at_the_broker_a_lock_is_itself() -> None:
    struck = lived("neighbours")
    assert struck["broker.neighbour"] >= LIVED
    assert struck["own words"] == 2 * struck["broker.neighbour"], "each speaks and listens for itself"


def test_L18_mutant_world_a_lock_may_speak_for_all() -> None:
    assert seen("a_lock_may_speak_for_all")


def test_L18_mutant_world_a_lock_may_hear_all() -> None:
    assert seen("a_lock_may_hear_all")


def test_L18_mutant_world_any_secret_will_do() -> None:
    assert seen("any_secret_will_do")


def test_L13_world_a_lock_read_out_is_one_lock_lost() -> None:
    struck = lived("spilled")
    ways = ("mint", "command", "report", "listen", "log_in", "same_secrets")
    assert all(struck[f"flash.{way}"] for way in ways), struck


def test_L13_mutant_world_all_locks_have_one_secret() -> None:
    assert seen("all_locks_have_one_secret")


def test_L13_mutant_world_a_report_is_believed_unsigned() -> None:
    assert seen("a_report_is_believed_unsigned")


def test_L13_mutant_world_any_lock_issues_keys() -> None:
    assert seen("any_lock_issues_keys")
