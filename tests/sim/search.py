"""Looking for a world in which a law breaks, and making what broke it small enough to read."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.sim.laws.book import BrokenLawError
from tests.sim.plan import Item
from tests.sim.world import World

#: Kinds of fault each of which a long search must have met.
KINDS = (
    *(f"ble.{mode}" for mode in ("drop", "duplicate", "delay", "reorder", "cut")),
    *(f"mqtt.{mode}" for mode in ("drop", "duplicate", "delay", "reorder", "cut")),
    *(f"http.{mode}" for mode in ("drop", "duplicate", "delay", "cut")),
    "power.flash", "power.torn", "power.motor", "power.boot",
    "crash.api", "crash.issuer", "crash.bridge", "crash.jobs", "broker.restart",
    "clock.drift", "clock.lost", "clock.back", "clock.reset", "phone.offline", "phone.asleep", "lock.offline",
    "bolt.jam", "broker.replay", "broker.elsewhere", "broker.retain", "broker.hold", "broker.double",
    "broker.report_replay",
    "radio.replay", "radio.stranger", "key.kept", "key.pooled", "session.stolen", "documents.old", "lock.forged",
)  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """How one world went. `fault` None: well."""

    seed: int
    world: World
    fault: BaseException | None = None

    @property
    def law(self) -> str:
        """The law that broke, or what else went wrong."""
        if isinstance(self.fault, BrokenLawError):
            return self.fault.law
        return type(self.fault).__name__


def live(seed: int, profile: str | None = None, plan: Sequence[Item] | None = None) -> Outcome:
    """Run one world."""
    world = World(seed, profile=profile, plan=None if plan is None else list(plan))
    try:
        world.run()
    except (Exception, AssertionError) as fault:  # noqa: BLE001 - whatever it was, the world is told
        return Outcome(seed, world, fault)
    return Outcome(seed, world)


@dataclass(slots=True)
class Tally:
    """What a search has seen."""

    worlds: int = 0
    steps: int = 0
    openings: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    profiles: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.perf_counter)

    def add(self, world: World) -> None:
        """Count a world."""
        self.worlds += 1
        self.steps += world.steps
        self.openings += len(world.oracle.openings)
        self.profiles[world.profile] += 1
        for kind, count in world.weather.struck.items():
            self.struck[kind] += count
            if kind.startswith("crash."):
                self.struck[".".join(kind.split(".")[:2])] += count

    def missed(self) -> list[str]:
        """Kinds of fault that have not struck."""
        return [kind for kind in KINDS if not self.struck[kind]]


def shrink(failed: Outcome, tries: int = 300) -> list[Item]:
    """Take items out of the plan as long as the same law still breaks (ddmin, Zeller and Hildebrandt 2002)."""
    profile, law = failed.world.profile, failed.law
    plan, parts = list(failed.world.plan), 2
    while len(plan) > 1 and tries > 0:
        size = -(-len(plan) // parts)
        for start in range(0, len(plan), size):
            fewer = plan[:start] + plan[start + size :]
            tries -= 1
            if live(failed.seed, profile, fewer).law == law:
                plan, parts = fewer, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(plan))
    return plan


def search(
    seeds: Iterable[int], until: Callable[[], bool], tell: Callable[[str], None] = print
) -> tuple[Tally, Outcome | None]:
    """Run worlds until one breaks a law, or it is time."""
    tally = Tally()
    for seed in seeds:
        if until():
            break
        outcome = live(seed)
        tally.add(outcome.world)
        if outcome.fault is not None:
            return tally, outcome
        if tally.worlds % 100 == 0:
            tell(f"{tally.worlds} worlds, {tally.steps} steps")
            sys.stdout.flush()
    return tally, None
