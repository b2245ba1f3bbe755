"""`world`: how fast the deterministic world lives, beside the signatures that it cannot do without.

    python -m bench.world [--worlds N]

- `world.steps`: steps per second, every law asked after each, beside bare ES256 verifications per second;
- `world.worlds`: whole worlds per second, from the building of the house to the last probe.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench.report import Figure, emit, table
from lockserver.protocol.curve import EcdsaSigner, private_key, verify
from tests.sim.chance import Chance
from tests.sim.search import Tally, live

#: Verifications between two worlds: both are measured in the same run, turn by turn.
VERIFIES = 200


def measure(worlds: int) -> list[Figure]:
    """Live through worlds, and verify signatures between them."""
    key = EcdsaSigner(private_key(Chance("bench").bytes))
    message = bytes(200)
    signature = key.sign(message)
    tally, living, verifying = Tally(), 0.0, 0.0
    for seed in range(worlds):
        started = time.perf_counter()
        outcome = live(seed)
        living += time.perf_counter() - started
        if outcome.fault is not None:
            raise RuntimeError(f"seed {seed} breaks {outcome.law}: nothing was measured") from outcome.fault
        tally.add(outcome.world)
        started = time.perf_counter()
        for _ in range(VERIFIES):
            verify(key.public, signature, message)
        verifying += time.perf_counter() - started
    bare = worlds * VERIFIES / verifying
    told = {"openings": tally.openings, "faults": sum(tally.struck.values())}
    return [
        emit(Figure("world.steps", tally.steps / living, "1/s", bare, n=tally.steps, extra=told)),
        emit(Figure("world.worlds", tally.worlds / living, "1/s", None, n=tally.worlds)),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print lines, print the table."""
    parser = argparse.ArgumentParser(prog="bench.world", description="The deterministic world.")
    parser.add_argument("--worlds", type=int, default=40)
    table(measure(parser.parse_args(arguments).worlds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
