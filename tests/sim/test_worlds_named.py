"""Worlds of profiles that are lived through by name only: guests, and what befalls what was signed for them."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.sim.laws import LAWS
from tests.sim.mutants import caught
from tests.sim.search import Outcome, live

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

WORLDS = 18
#: Worlds that a mutant is given.
SEARCHED = 40


@cache
def lived(profile: str) -> list[Outcome]:
    """The worlds of one profile, each lived through once."""
    return [live(seed, profile) for seed in range(WORLDS)]


def hold(profile: str, law: str) -> None:
    """The law was asked in these worlds, and nothing at all broke in them."""
    outcomes = lived(profile)
    moments = {one.moment for one in LAWS if one.id == law}
    assert moments, f"{law} stands in no book"
    assert all(sum(one.world.book.asked[at] for one in outcomes) for at in moments), f"{law} was never asked"
    told = [f"`make sim SEED={one.seed} PROFILE={profile}`: {one.fault!r}" for one in outcomes if one.fault]
    assert not told, told


def test_L46_world_an_edit_never_widens() -> None:
    hold("guests", "L-46")
    worlds = [one.world for one in lived("guests")]
    assert sum(one.book.edited for one in worlds) >= WORLDS, "hardly anything was edited"
    refused = sum("widening_refused" in line for one in worlds for line in one.history)
    assert refused, "nobody tried to widen without the word"
    guests = [at for one in worlds for at in one.oracle.openings if at.key and "guest" in at.key.person]
    assert guests, "no guest ever opened"


def test_L46_mutant_world_nobody_asks_for_the_word() -> None:
    assert caught("nobody_asks_for_the_word", SEARCHED) is not None


def test_L46_mutant_world_what_is_omitted_is_erased() -> None:
    assert caught("what_is_omitted_is_erased", SEARCHED) is not None


def test_L46_mutant_world_a_frozen_guest_thaws_with_any_edit() -> None:
    assert caught("a_frozen_guest_thaws_with_any_edit", SEARCHED) is not None


def test_L14_world_only_what_was_signed_runs() -> None:
    hold("firmware", "L-14")
    worlds = [one.world for one in lived("firmware")]
    struck = sum((one.weather.struck for one in worlds), Counter())
    for kind in ("newer", "older", "unsigned", "cut short", "spoilt"):
        assert struck[f"firmware.{kind}"], f"nobody offered an image that is {kind}"
    updated = [at for one in worlds for at in one.locks if one.book.of(at).firmware > 1]
    assert len(updated) >= WORLDS // 4, "hardly any lock took an image"


@pytest.mark.parametrize(
    "name",
    ["an_older_image_will_do", "nobody_asks_who_made_it", "any_bytes_will_do", "it_runs_before_it_is_whole"],
)
def test_L14_mutant_world_firmware(name: str) -> None:
    assert caught(name, SEARCHED) is not None


def test_L20_world_they_come_back_spread_out() -> None:
    hold("storm", "L-20")
    worlds = [one.world for one in lived("storm")]
    assert sum(len(at) > 1 for one in worlds for at in one.comebacks.values()) >= WORLDS, "hardly any storm"
    remote = [at for one in worlds for at in one.oracle.openings if at.how == "remote"]
    assert len(remote) >= WORLDS // 2, "hardly any command was under way"


def test_L20_mutant_world_everybody_dials_at_once() -> None:
    assert caught("everybody_dials_at_once", SEARCHED) is not None
