"""Runs one or more roles in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
from typing import TYPE_CHECKING, TextIO

import structlog

from lockserver.run.roles import find
from lockserver.run.supervisor import READY_FD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from lockserver.settings import Settings

log = structlog.get_logger(__name__)

STOP_S = 8.0
"""Shorter than the supervisor's grace, so that a role which hangs is named before it is killed."""


def announce(**facts: object) -> None:
    """Tell the supervisor, if there is one, that this process serves; `facts` are what it asked to know."""
    descriptor = os.environ.pop(READY_FD, None)
    if descriptor is None:
        return
    with os.fdopen(int(descriptor), "w", encoding="utf-8") as line:
        line.write(json.dumps(facts) + "\n")


class ReadyOnStdout(io.TextIOBase):
    """Stdout of a program that says on it, by its first line of JSON, that it serves.

    The mock province and the simulated locks know no supervisor; that line is handed to it, and printed too.
    """

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._line = ""
        self._told = False

    def write(self, text: str) -> int:
        """Print; announce the first complete line that is JSON."""
        if not self._told:
            self._line += text
            *lines, self._line = self._line.split("\n")
            for line in lines:
                with contextlib.suppress(ValueError):
                    facts = json.loads(line)
                    announce(**facts)
                    self._told = True
                    break
        return self._stdout.write(text)

    def flush(self) -> None:
        """Pass on."""
        self._stdout.flush()


def run(main: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> None:
    """Run `main(stop)` on uvloop; SIGTERM, SIGINT and SIGHUP set `stop`."""

    async def whole() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(whole())


async def serve(every: Sequence[Settings], stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Run these roles side by side. `ready` is called once all serve; the first to fail ends all.

    Raises what the failing role raised.
    """
    waiting = {settings.role for settings in every}

    def serves(settings: Settings) -> None:
        waiting.discard(settings.role)
        log.info("role.ready", role=settings.role.value)
        if not waiting:
            ready()

    def start(settings: Settings) -> asyncio.Task[None]:
        ran: Awaitable[None] = find(settings.role)(settings, lambda: serves(settings), stop)
        return asyncio.create_task(_until_end(ran), name=settings.role.value)

    tasks = [start(settings) for settings in every]
    stopper: asyncio.Task[object] = asyncio.create_task(stop.wait())
    await asyncio.wait({*tasks, stopper}, return_when=asyncio.FIRST_COMPLETED)
    ended_early = [task for task in tasks if task.done() and not stop.is_set()]
    stop.set()
    await stopper
    _, hanging = await asyncio.wait(tasks, timeout=STOP_S)
    for task in hanging:
        log.error("role.hangs", role=task.get_name())
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for task in (*ended_early, *tasks):
        if not task.cancelled():
            task.result()
    if ended_early:
        raise RuntimeError(f"role {ended_early[0].get_name()} ended without being asked")


async def _until_end(ran: Awaitable[None]) -> None:
    await ran


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where that exists; it does not on Windows, which we do not serve on anyway."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
