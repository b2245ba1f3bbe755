"""A bounded pool of recognition processes, so that the process that asks stays quick and safe.

Pictures travel through pipes and never touch a disk. A worker that dies or overruns its deadline is
replaced; the request it held is refused, not repeated, since a picture that killed one worker would
kill the next. Closing the pool leaves no process behind, and a pool whose process is killed takes its
workers along: their input ends.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import mobile_api
from mobile_api.verify.face import Comparison
from mobile_api.verify.frames import (
    LENGTH_BYTES,
    Plain,
    body_of,
    comparison_from_plain,
    frame,
    length_of,
    reading_from_plain,
)
from mobile_api.verify.reading import CardReading

START_SECONDS: Final = 60.0  # loading the models takes one to three; a loaded machine takes more
DEADLINE_SECONDS: Final = 60.0
WAITING_MAX: Final = 16
_FAREWELL_SECONDS: Final = 5.0
_KEPT_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV")


class RecognitionError(Exception):
    """Recognition did not happen; `code` is stable."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class RecognitionPool:
    """``async with RecognitionPool(workers=1) as pool: await pool.read_card(front, back)``."""

    def __init__(
        self,
        workers: int = 1,
        engine: str = "sface",
        deadline_s: float = DEADLINE_SECONDS,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._size = workers
        self._engine = engine
        self._deadline_s = deadline_s
        self._waiting_max = waiting_max
        self._idle: asyncio.Queue[_Worker | None] = asyncio.Queue()
        self._workers: set[_Worker] = set()
        self._waiting = 0
        self._open = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the living workers."""
        return tuple(worker.pid for worker in self._workers if worker.lives)

    async def start(self) -> None:
        """Start the workers and wait until their models are loaded."""
        self._open = True
        try:
            started = await asyncio.gather(*(self._start_worker() for _ in range(self._size)))
        except BaseException:
            await self.close()
            raise
        for worker in started:
            self._idle.put_nowait(worker)

    async def close(self) -> None:
        """End every worker and wait for its end. Who waits or is being served is refused."""
        self._open = False
        await asyncio.gather(*(worker.end() for worker in tuple(self._workers)))
        self._workers.clear()
        for _ in range(self._waiting):
            self._idle.put_nowait(None)

    async def read_card(self, front: bytes, back: bytes | None = None) -> CardReading:
        """Read a card. Raises :class:`RecognitionError`; bad pictures are no error but a refusal."""
        answer = await self._ask({"verb": "read_card", "front": front, "back": back}, "reading")
        return reading_from_plain(answer)

    async def compare(self, portrait: bytes, selfie: bytes) -> Comparison:
        """Compare one selfie with one portrait. Raises :class:`RecognitionError`."""
        request = {"verb": "compare", "portrait": portrait, "selfie": selfie}
        return comparison_from_plain(await self._ask(request, "comparison"))

    async def _ask(self, request: Plain, key: str) -> Plain:
        if not self._open:
            raise RecognitionError("recognition_closed")
        if self._waiting >= self._waiting_max:
            raise RecognitionError("recognition_busy", f"{self._waiting} are waiting")
        self._waiting += 1
        try:
            worker = await self._idle.get()
        finally:
            self._waiting -= 1
        if not self._open:
            raise RecognitionError("recognition_closed")
        worker = worker or await self._start_worker()
        answer: Plain | None = None
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await worker.exchange(request)
        except (TimeoutError, asyncio.IncompleteReadError, OSError, ValueError) as lost:
            raise RecognitionError("recognition_lost", type(lost).__name__) from None
        finally:
            # Also on cancellation: an answer that nobody reads would be the next asker's answer.
            if answer is None:
                worker.kill()
            self._idle.put_nowait(worker if answer is not None else None)
        if key not in answer:
            raise RecognitionError("recognition_failed", str(answer.get("failed", "")))
        body: Plain = answer[key]
        return body

    async def _start_worker(self) -> "_Worker":
        self._workers = {worker for worker in self._workers if worker.lives}
        worker: _Worker | None = None
        try:
            worker = await _Worker.start(self._engine)
            self._workers.add(worker)
            async with asyncio.timeout(START_SECONDS):
                await worker.receive()
        except BaseException as lost:
            # Also on cancellation: the place in the pool stays, and the next asker tries again.
            if worker is not None:
                worker.kill()
            self._idle.put_nowait(None)
            if isinstance(lost, TimeoutError | asyncio.IncompleteReadError | OSError | ValueError):
                raise RecognitionError("recognition_lost", type(lost).__name__) from None
            raise
        return worker


class _Worker:
    """One child process and its two pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise RecognitionError("recognition_lost", "the worker has no pipes")
        self._process = process
        self._input = process.stdin
        self._output = process.stdout

    @classmethod
    async def start(cls, engine: str) -> Self:
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = str(Path(mobile_api.__path__[0]).parent)
        environment["OMP_NUM_THREADS"] = "1"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mobile_api.verify.worker",
            engine,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.returncode is None

    async def exchange(self, request: Plain) -> Plain:
        self._input.write(frame(request))
        await self._input.drain()
        return await self.receive()

    async def receive(self) -> Plain:
        length = length_of(await self._output.readexactly(LENGTH_BYTES))
        return body_of(await self._output.readexactly(length))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        self._input.close()  # the worker leaves its loop when its input ends
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
