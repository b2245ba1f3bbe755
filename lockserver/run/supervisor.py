"""Child processes: started in order, kept alive, stopped in the reverse order, none left behind.

A program says that it serves by writing one line of JSON to the descriptor in `LOCKSERVER_READY_FD`. One that
dies is started again after a growing pause; one that dies `DEATHS_ALLOWED` times within `DEATHS_WITHIN_S`, or
that says its settings are wrong (`EX_CONFIG`), is given up, and `failure` tells why in one line. Its output
goes to `<logs>/<name>.log`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from lockserver.leash import Leashed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = structlog.get_logger(__name__)

READY_FD = "LOCKSERVER_READY_FD"
EX_CONFIG = os.EX_CONFIG  # sysexits.h: the settings are wrong, starting again cannot help
DEATHS_ALLOWED = 5
DEATHS_WITHIN_S = 60.0
PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0)


class ProgramError(RuntimeError):
    """A program did not start or was given up; the message is one line that names the cure or the log."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `argv[0]` is an absolute path; `env` is the whole environment it sees."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready_s: float = 30.0  # how long it may take until it serves
    grace_s: float = 10.0  # how long it may take to stop when asked
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass(slots=True)
class _Running:
    program: Program
    leashed: Leashed
    facts: dict[str, Any]
    keeper: asyncio.Task[None] | None = None
    deaths: deque[float] = field(default_factory=deque)


class Supervisor:
    """Starts, keeps and stops programs. All methods belong to one event loop."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.failure: asyncio.Future[ProgramError] = asyncio.get_running_loop().create_future()
        self._running: dict[str, _Running] = {}

    @property
    def names(self) -> list[str]:
        """The programs under supervision, in the order of their start."""
        return list(self._running)

    def pid(self, name: str) -> int:
        """The program's process id. Raises KeyError."""
        return self._running[name].leashed.pid

    def facts(self, name: str) -> dict[str, Any]:
        """What the program said when it was ready. Raises KeyError."""
        return dict(self._running[name].facts)

    def log(self, name: str) -> Path:
        """Where the program's output goes."""
        return self.logs / f"{name}.log"

    async def start(self, program: Program) -> dict[str, Any]:
        """Start it and wait until it serves; what it said then is the answer.

        Raises ProgramError, with nothing of it left running.
        """
        if program.name in self._running:
            raise ProgramError(f"{program.name} runs already")
        self.logs.mkdir(parents=True, exist_ok=True)
        leashed, facts = await self._launch(program)
        running = _Running(program, leashed, facts)
        self._running[program.name] = running
        running.keeper = asyncio.create_task(self._keep(running), name=f"keep {program.name}")
        return facts

    async def stop(self, name: str) -> None:
        """Ask it to end, wait, and kill what is left after its grace. No error if it does not run."""
        running = self._running.pop(name, None)
        if running is None:
            return
        if running.keeper is not None:
            running.keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running.keeper
        await asyncio.to_thread(running.leashed.stop)

    async def kill(self, name: str) -> None:
        """End it at once, as a crash would; the keeper starts it again. Raises KeyError."""
        await asyncio.to_thread(self._running[name].leashed.kill)

    async def stop_all(self) -> None:
        """Stop everything, last started first."""
        for name in reversed(self.names):
            await self.stop(name)

    # -- inside -------------------------------------------------------------------------------

    async def _launch(self, program: Program) -> tuple[Leashed, dict[str, Any]]:
        reader, writer = os.pipe()
        env = {**program.env, READY_FD: str(writer)}
        path = self.log(program.name)
        written = path.stat().st_size if path.exists() else 0
        try:
            leashed = await asyncio.to_thread(
                Leashed, program.argv, log=path, env=env, grace=program.grace_s,
                stop_signal=program.stop_signal, pass_fds=(writer,),
            )  # fmt: skip
        except OSError as error:
            os.close(reader)
            raise ProgramError(f"{program.name} cannot be started: {error}") from None
        finally:
            os.close(writer)
        try:
            async with asyncio.timeout(program.ready_s):
                line = await _first_line(reader)
            facts = json.loads(line) if line else None
        except TimeoutError:
            await asyncio.to_thread(leashed.stop)
            raise ProgramError(
                f"{program.name} did not serve within {program.ready_s:.0f} s; see {path}"
            ) from None
        except BaseException:
            await asyncio.to_thread(leashed.stop)
            raise
        finally:
            os.close(reader)
        if facts is None:
            await asyncio.to_thread(leashed.stop)
            raise ProgramError(f"{program.name}: {_last_words(path, written)}")
        return leashed, facts

    async def _keep(self, running: _Running) -> None:
        """Start it again whenever it dies, until it is given up."""
        name = running.program.name
        while True:
            status = await _ended(running.leashed)
            now = time.monotonic()
            running.deaths.append(now)
            while running.deaths and now - running.deaths[0] > DEATHS_WITHIN_S:
                running.deaths.popleft()
            log.warning("program.died", program=name, status=status, times=len(running.deaths))
            if status == EX_CONFIG or len(running.deaths) >= DEATHS_ALLOWED:
                self._give_up(ProgramError(f"{name} died {len(running.deaths)} times; see {self.log(name)}"))
                return
            await asyncio.sleep(PAUSES_S[min(len(running.deaths), len(PAUSES_S)) - 1])
            try:
                running.leashed, running.facts = await self._launch(running.program)
            except ProgramError as error:
                self._give_up(error)
                return

    def _give_up(self, error: ProgramError) -> None:
        if not self.failure.done():
            self.failure.set_result(error)


async def _first_line(descriptor: int) -> bytes:
    """One line from a pipe; empty when it closes before."""
    loop = asyncio.get_running_loop()
    os.set_blocking(descriptor, False)
    collected = b""
    while True:
        readable = loop.create_future()
        loop.add_reader(descriptor, _wake, readable)
        try:
            await readable
        finally:
            loop.remove_reader(descriptor)
        part = os.read(descriptor, 4096)
        collected += part
        if not part or b"\n" in part:
            return collected.partition(b"\n")[0]


async def _ended(leashed: Leashed) -> int:
    """Wait until a program is gone; its exit status."""
    loop = asyncio.get_running_loop()
    gone = loop.create_future()
    loop.add_reader(leashed.fileno(), _wake, gone)
    try:
        await gone
    finally:
        loop.remove_reader(leashed.fileno())
    return await asyncio.to_thread(leashed.wait, 10.0)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _last_words(path: Path, since: int) -> str:
    """What a program that died while starting said last."""
    with path.open("rb") as sink:
        sink.seek(since)
        lines = [line for line in sink.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"ended without a word; see {path}"
