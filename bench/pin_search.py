"""`pin_search`: how long a lock thinks about what was keyed.

    python -m bench.pin_search [--times N]

- `pin_search`: the whole search for an offline PIN at a room (every candidate of the hour, of this epoch and
  the next, and a full list of PINs in use), beside the HMACs alone, one after the other;
- `pin_search.entry`: a whole entry at a lock with 24 custom PINs as well: search, decision, count of the
  failure in flash, journal, answer; beside the same.
"""

from __future__ import annotations

import argparse
import hmac
import secrets
import sys
import time
from collections.abc import Callable

from bench.report import Figure, emit, p50, percentile, table
from firmware_sim.core.events import KeypadAnswer, KeypadEntered, Sign
from lockserver.protocol.codec import encode
from lockserver.protocol.limits import LOCKOUT_AFTER, MAX_ACTIVATIONS, MAX_SLOTS, PIN_DIGITS
from lockserver.protocol.pin import HOUR, OfflinePin, PinCode, candidates, search
from tests.support.site import T0
from tests.unit.firmware_sim.doorstep import Doorstep

EPOCH, OWNER_EPOCH = 3, 1


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    started = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - started)


def keyed(seed: bytes, digits: str, activated: list[OfflinePin]) -> tuple[OfflinePin, ...]:
    """What the keypad does with an entry of nine digits."""
    could_be = list(candidates(EPOCH, OWNER_EPOCH, shared=False, now=T0))
    return search(seed, digits, [*could_be, *activated])


def full_lock() -> Doorstep:
    """A lock on a desk with as many custom PINs, and as many offline PINs in use, as it holds."""
    door = Doorstep()
    door.give(pins=tuple(door.slot(n, f"27182{n:02d}") for n in range(MAX_SLOTS)))
    hours = range(MAX_ACTIVATIONS // 2)
    for digits in [door.offline(PinCode.WEEK, start=T0 - h * HOUR, n=n) for h in hours for n in (0, 1)]:
        if door.key(digits) is not Sign.OPEN:
            message = "a right PIN opens nothing"
            raise RuntimeError(message)
    return door


def fail(door: Doorstep) -> float:
    """Milliseconds of one wrong entry that is looked at."""
    before, digits = len(door.lock.effects), wrong()
    spent = timed(lambda: door.lock.feed(KeypadEntered(digits)))
    if KeypadAnswer(Sign.DENIED) not in door.lock.effects[before:]:
        message = "the keypad did not look at it"
        raise RuntimeError(message)
    return spent


def wrong() -> str:
    """Nine digits that nobody chose."""
    return f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}"


def measure(times: int) -> list[Figure]:
    """All side by side, one of each in turn, so that the machine's moods strike them alike."""
    seed = secrets.token_bytes(32)
    old = [OfflinePin(EPOCH, PinCode.WEEKLY, T0 // HOUR - 100 - n, 0) for n in range(MAX_ACTIVATIONS)]
    all_of_them = [*candidates(EPOCH, OWNER_EPOCH, shared=False, now=T0), *old]
    texts = [b"LK1 opin\0" + encode([p.epoch, int(p.code), p.start_hour, p.n]) for p in all_of_them]
    ours: list[float] = []
    alone: list[float] = []
    for _ in range(times):
        digits = wrong()
        ours.append(timed(lambda digits=digits: keyed(seed, digits, old)))  # type: ignore[misc]
        alone.append(timed(lambda: [hmac.digest(seed, text, "sha256") for text in texts]))
    tails = {"candidates": len(all_of_them), "p99": percentile(ours, 0.99)}
    figures = [emit(Figure("pin_search", p50(ours), "ms", p50(alone), n=times, extra=tails))]
    entries: list[float] = []
    door = full_lock()
    for _ in range(max(times // 10, 5)):
        if len(entries) % LOCKOUT_AFTER == 0:
            door = full_lock()  # another lock: this one's keypad rests now
        entries.append(fail(door))
    figures.append(emit(Figure("pin_search.entry", p50(entries), "ms", p50(alone), n=len(entries))))
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Measure, print lines, print the table."""
    parser = argparse.ArgumentParser(prog="bench.pin_search", description="A PIN at the keypad.")
    parser.add_argument("--times", type=int, default=200)
    table(measure(parser.parse_args(arguments).times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
