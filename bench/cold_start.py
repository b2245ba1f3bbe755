"""`cold_start`: how long a newcomer waits, from a fresh clone to the last line of the story.

    python -m bench.cold_start

- `cold_start.cold`: this commit cloned, then `make demo ARGS=--once`: a new environment, no pip cache, no data;
  beside it, in the same run, what pip alone takes for another such environment (`make environment`);
- `cold_start.warm`: the same command again in the same clone, on the same data.

What is not committed is not measured. Both environments are downloaded anew, so a run needs the registry.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.report import Figure, emit, table
from lockserver.ports import free_port

ROOT = Path(__file__).parents[1]
LIMIT_S = 900.0
"""Many times the goal of 120 s: a run that takes longer is stopped and counts as failed."""
GRACE_S = 30.0
_OURS = (
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "MAKEOVERRIDES",
    "VENV",
    "ARGS",
    "ONLY",
    "T",
    "VIRTUAL_ENV",
    "PYTHONPATH",
)
"""What `make bench` and an activated environment leave in ours, and a newcomer has not."""


@dataclass(frozen=True)
class Played:
    """One run of `make demo`."""

    finished_s: float  # until the story's last line
    stopped_s: float  # until nothing of it ran any more
    story_s: float  # from the first step to the last, by its own clock
    set_up_s: float  # its first step: every server and role started
    steps: int


def measure() -> list[Figure]:
    """Clone, run cold, run warm, install once more beside. Raises RuntimeError on a story that fails."""
    folder = Path(tempfile.mkdtemp(prefix="lockserver-cold-"))
    folder.chmod(0o711)  # started by root, PostgreSQL runs as somebody who must be able to enter
    clone = folder / "clone"
    try:
        subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(clone)], check=True)
        cold = play(clone, folder, "cold")
        warm = play(clone, folder, "warm")
        pip = install(clone, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [tell("cold", cold, pip), tell("warm", warm, None)]


def play(clone: Path, folder: Path, cache: str) -> Played:
    """`make demo` once. Raises RuntimeError with the last that it said."""
    options = ["--once", "--json", "--port", str(free_port()), "--data", str(folder / "data")]
    begun = time.perf_counter()
    finished = set_up = story = 0.0
    steps, said = 0, [""]
    with running(clone, folder / cache, "demo", f"ARGS={shlex.join(options)}") as process:
        for text in process.stdout or ():
            said.append(text)
            if not text.startswith("{"):
                continue
            line = json.loads(text)
            steps += 1
            if line["step"] == "0.1":
                set_up = line["ms"] / 1000
            if line["step"] == "end" and line["ok"]:
                finished, story = time.perf_counter() - begun, line["ms"] / 1000
        status = process.wait()
    if status or not finished:
        raise RuntimeError(f"make demo ended with {status}; last it said: {said[-1].strip()}")
    return Played(finished, time.perf_counter() - begun, story, set_up, steps)


def install(clone: Path, folder: Path) -> float:
    """Seconds for another environment of the same packages, downloaded as the first was."""
    begun = time.perf_counter()
    with running(clone, folder / "beside", "environment", f"VENV={folder / 'beside-venv'}") as process:
        last = ["", *(process.stdout or ())][-1]
        status = process.wait()
    if status:
        raise RuntimeError(f"make environment ended with {status}; last it said: {last.strip()}")
    return time.perf_counter() - begun


@contextmanager
def running(clone: Path, cache: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """`make` in the clone, in a session of its own, ended whatever happens within `LIMIT_S`."""
    env = {name: value for name, value in os.environ.items() if name not in _OURS}
    env |= {"PIP_CACHE_DIR": str(cache)}
    process = subprocess.Popen(
        ["make", *command], cwd=clone, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    limit = threading.Timer(LIMIT_S, end, [process])
    limit.start()
    try:
        yield process
    finally:
        limit.cancel()
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Ctrl-C to all of it, then the hard way; the demo's servers go with the demo."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)


def tell(name: str, played: Played, pip: float | None) -> Figure:
    """One run as a figure."""
    extra = {
        "story_s": played.story_s,
        "set_up_s": played.set_up_s,
        "stopped_s": played.stopped_s,
        "steps": played.steps,
        "cores": os.cpu_count() or 0,
    }
    return emit(Figure(f"cold_start.{name}", played.finished_s, "s", pip, extra=extra))


def main(arguments: list[str] | None = None) -> int:
    """Measure, print lines, print the table."""
    argparse.ArgumentParser(prog="bench.cold_start", description="A newcomer's wait.").parse_args(arguments)
    try:
        table(measure())
    except (RuntimeError, subprocess.CalledProcessError, FileNotFoundError) as fault:
        print(f"cold_start: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
