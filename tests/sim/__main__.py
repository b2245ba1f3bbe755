"""The deterministic world at the command line.

    python -m tests.sim --seed 7 [--profile broker]   replay one world and print its history
    python -m tests.sim --minutes 5 [--from 0]        search; a failing seed is printed with its shrunk plan

Exit code 0: every law held. 1: one broke, or a kind of fault never struck in a search of a thousand worlds.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import traceback
from collections.abc import Sequence

from tests.sim.laws.book import BrokenLawError
from tests.sim.plan import NAMED, PROFILES
from tests.sim.search import KINDS, Outcome, Tally, live, search, shrink

#: Worlds after which a kind of fault that never struck is a fault of the search.
ENOUGH = 1000


def tell(line: str = "") -> None:
    """Say something at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def replay(seed: int, profile: str | None) -> int:
    """Print one world."""
    outcome = live(seed, profile)
    world = outcome.world
    tell(f"seed {seed}, profile {world.profile}, {len(world.plan)} acts")
    for line in world.history:
        tell(line)
    tell(f"{world.steps} steps, {len(world.oracle.openings)} openings, history {world.digest()}")
    if outcome.fault is None:
        return 0
    _tell_fault(outcome)
    return 1


def hunt(minutes: float, first: int) -> int:
    """Search for some minutes, or until a law breaks."""
    end = time.monotonic() + 60 * minutes
    tally, broke = search(itertools.count(first), lambda: time.monotonic() >= end, tell)
    _tell_tally(tally)
    if broke is not None:
        tell(f"seed {broke.seed} breaks {broke.law}; shrinking its plan of {len(broke.world.plan)} acts ...")
        plan = shrink(broke)
        small = live(broke.seed, broke.world.profile, plan)
        tell(f"`make sim SEED={broke.seed}` replays it whole. What is left of its plan:")
        for item in plan:
            tell(f"  {item}")
        tell("and what happened then:")
        for line in small.world.history:
            tell(f"  {line}")
        _tell_fault(small)
        return 1
    missed = tally.missed()
    if missed and tally.worlds >= ENOUGH:
        tell(f"never struck: {', '.join(missed)}")
        return 1
    return 0


def _tell_tally(tally: Tally) -> None:
    seconds = time.perf_counter() - tally.began
    tell(f"{tally.worlds} worlds, {tally.steps} steps, {tally.openings} openings, {seconds:.0f} s")
    tell(f"{tally.worlds / seconds:.1f} worlds/s, {tally.steps / seconds:.0f} steps/s")
    tell("profiles: " + ", ".join(f"{name} {count}" for name, count in sorted(tally.profiles.items())))
    tell("faults that struck:")
    for kind in KINDS:
        tell(f"  {kind:24}{tally.struck[kind]:8}")


def _tell_fault(outcome: Outcome) -> None:
    if isinstance(outcome.fault, BrokenLawError):
        tell(f"BROKEN {outcome.fault}")
    elif outcome.fault is not None:
        tell("".join(traceback.format_exception(outcome.fault)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay or search."""
    parser = argparse.ArgumentParser(prog="tests.sim", description="The deterministic world.")
    parser.add_argument("--seed", type=int, help="replay this world")
    parser.add_argument(
        "--profile", choices=sorted(PROFILES | NAMED), help="which acts are likely (else by the seed)"
    )
    parser.add_argument("--minutes", type=float, help="search for so long")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed of a search")
    given = parser.parse_args(arguments)
    if given.seed is not None:
        return replay(given.seed, given.profile)
    return hunt(1.0 if given.minutes is None else given.minutes, given.first)


if __name__ == "__main__":
    sys.exit(main())
