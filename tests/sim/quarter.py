"""Three hundred worlds in four parts, so that four workers share them; each is lived through once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache

from tests.sim.laws import LAWS
from tests.sim.search import Outcome, Tally, live

#: Worlds in each of the four parts, and steps that they must have at least.
WORLDS = 75
STEPS = 12_500


@dataclass(slots=True)
class Part:
    """A quarter of the worlds, and how often each moment was judged in it."""

    tally: Tally = field(default_factory=Tally)
    broken: list[Outcome] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)


@cache
def part(number: int) -> Part:
    """Live through one part: seeds `number * WORLDS` and on."""
    lived = Part()
    for seed in range(number * WORLDS, (number + 1) * WORLDS):
        outcome = live(seed)
        lived.tally.add(outcome.world)
        lived.asked += outcome.world.book.asked
        if outcome.fault is not None:
            lived.broken.append(outcome)
    return lived


def holds(number: int, *laws: str) -> None:
    """These laws were judged in this part of the worlds, and none was broken."""
    lived = part(number)
    for identifier in laws:
        moments = {one.moment for one in LAWS if one.id == identifier}
        assert moments, f"{identifier} stands in no book"
        assert all(lived.asked[moment] for moment in moments), f"{identifier} was never asked"
    told = [f"`make sim SEED={one.seed}`: {one.fault}" for one in lived.broken if one.law in laws]
    assert not told, told


def nothing_else_broke(number: int) -> None:
    """No world of this part ended otherwise than well, and they were worth living."""
    lived = part(number)
    assert not lived.broken, [f"`make sim SEED={one.seed}`: {one.fault!r}" for one in lived.broken]
    assert lived.tally.worlds == WORLDS
    assert lived.tally.steps >= STEPS
    assert lived.tally.openings >= WORLDS
