"""How a coroutine gives way without an event loop: it yields a `Pause`, and whoever drives it goes on later.

Whoever drives (the world's scheduler, `run` or `interleave`) sends None when it likes. Resuming a
`Wait` too early is harmless: it looks again, and waits on.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from datetime import datetime
from typing import Any, TypeVar

Result = TypeVar("Result")


class CrashError(BaseException):
    """The process dies here. No use case may catch it: it is no `Exception`."""


class StuckError(Exception):
    """Nobody can go on: everybody waits for what nobody will do."""


class DeadlockError(AssertionError):
    """Transactions wait for each other in a circle. PostgreSQL would end one; the world calls it a fault."""


class Pause:
    """Give way once."""

    def __await__(self) -> Generator[Pause, None, None]:
        yield self


class Wait(Pause):
    """Give way until `ready()`, or until the instant `until` where one is given; `what` is for the reader."""

    def __init__(self, ready: Callable[[], bool], what: str, until: datetime | None = None) -> None:
        self.ready = ready
        self.what = what
        self.until = until


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Drive one coroutine to its end, alone. Raises StuckError where it waits for somebody else."""
    try:
        while True:
            given = coroutine.send(None)
            if not isinstance(given, Pause):
                raise TypeError(f"{given!r} needs an event loop")
            if isinstance(given, Wait) and not given.ready():
                raise StuckError(given.what)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        coroutine.close()


def interleave(
    choose: Callable[[int], int], *coroutines: Coroutine[Any, Any, Any]
) -> list[object | BaseException]:
    """Drive several in turns: `choose(n)` names one of the n that can go on. What each ended with, in order.

    Raises StuckError where all that are left wait; DeadlockError passes through.
    """
    ended: dict[int, object] = {}
    waits: dict[int, Pause | None] = dict.fromkeys(range(len(coroutines)))
    try:
        while waits:
            able = [n for n, at in waits.items() if not isinstance(at, Wait) or at.ready()]
            if not able:
                raise StuckError(", ".join(at.what for at in waits.values() if isinstance(at, Wait)))
            turn = able[choose(len(able))]
            try:
                waits[turn] = coroutines[turn].send(None)
            except StopIteration as done:
                ended[turn] = done.value
                del waits[turn]
            except DeadlockError:
                raise
            except (Exception, CrashError) as fault:  # noqa: BLE001 - whatever it ended with is its end
                ended[turn] = fault
                del waits[turn]
    finally:
        for coroutine in coroutines:
            coroutine.close()
    return [ended[n] for n in range(len(coroutines))]
