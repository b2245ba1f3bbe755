"""The same seed, the same history, byte by byte, in any process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sim.mutants import caught, without
from tests.sim.search import live, shrink

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

SEEDS = (3, 11, 26)


def digests() -> list[str]:
    return [live(seed).world.digest() for seed in SEEDS]


def test_the_same_seed_gives_the_same_history_byte_by_byte() -> None:
    assert digests() == digests()


def test_another_process_with_another_hash_seed_lives_through_the_same() -> None:
    code = "from tests.sim.test_replay import digests; print(*digests())"
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert told == [digests(), digests()]


def test_seeds_differ() -> None:
    assert len(set(digests())) == len(SEEDS)


def test_a_failing_world_shrinks_to_what_broke_it() -> None:
    name = "a_key_opens_every_door"
    seed = caught(name, 20)
    assert seed is not None
    with without(name) as mutant:
        failed = live(seed, mutant.profile)
        plan = shrink(failed, tries=40)
        assert 0 < len(plan) < len(failed.world.plan)
        small = live(seed, mutant.profile, plan)
        assert small.law == failed.law == mutant.law
        assert len(small.world.history) <= len(failed.world.history)
    assert live(seed, mutant.profile, plan).fault is None, "with the check in place nothing breaks"
