"""All figures, or one: `python -m bench [NAME [OPTIONS OF THAT FIGURE]]`.

Each runs in a process of its own, one after the other; its JSON lines go to standard output as they come, and
one table of all to standard error. A figure that fails or takes longer than its limit does not stop the others,
and is what the exit status tells.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO

from bench.report import Figure, table

FIGURES = (
    "unlock_remote",
    "unlock_ble",
    "command_verify",
    "pin_search",
    "tap_to_receipt",
    "journal_ingest",
    "fleet",
    "document",
    "face",
    "cold_start",
)
NEEDS_DATA = frozenset({"face"})
"""Measured on real people's pictures, which are no part of this tree."""
LIMIT_S = 3600.0
"""For the longest, `face` on a small machine: 6,000 pairs at some hundred milliseconds each engine."""
GRACE_S = 60.0
SAID_LINES = 15


def main(arguments: list[str]) -> int:
    """Run what was asked for; 0 only if every figure of it was measured."""
    if arguments and arguments[0] not in FIGURES:
        print(f"python -m bench [{' | '.join(FIGURES)}] [OPTIONS]", file=sys.stderr)
        return 0 if arguments[0] in {"-h", "--help"} else 2
    if arguments:
        measured, whole = run(arguments[0], arguments[1:])
        told = {arguments[0]: whole}
    else:
        measured, told = [], {}
        for name in FIGURES:
            if name in NEEDS_DATA:
                print(
                    f'# {name} skipped: make bench ONLY="{name} --data DIR" (see bench/{name}.py)',
                    file=sys.stderr,
                )
                continue
            figures, told[name] = run(name, [])
            measured += figures
    if measured:
        table(measured)
    failed = [name for name, whole in told.items() if not whole]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str, options: list[str]) -> tuple[list[Figure], bool]:
    """One figure's lines, and whether it came to its end."""
    print(f"# {name} …", file=sys.stderr, flush=True)
    begun, figures = time.perf_counter(), []
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"bench.{name}", *options],
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        limit = threading.Timer(LIMIT_S, end, [process])
        limit.start()
        try:
            for text in process.stdout or ():
                print(text, end="", flush=True)
                figures.append(read(text))
            status = process.wait()
        finally:
            limit.cancel()
            end(process)
        if status or not figures:
            show(name, status, errors)
    print(f"# {name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return figures, status == 0 and bool(figures)


def read(text: str) -> Figure:
    """A line back as a figure, for the table of all."""
    line = json.loads(text)
    return Figure(line["figure"], line["value"], line["unit"], line["beside"], line["ratio"], line["n"])


def show(name: str, status: int, errors: IO[str]) -> None:
    """The last that a failed figure said."""
    errors.seek(0)
    said = errors.read().splitlines()[-SAID_LINES:]
    print(f"{name} ended with {status}:", *said, sep="\n  ", file=sys.stderr)


def end(process: subprocess.Popen[str]) -> None:
    """Ctrl-C, so that it tidies up; then the hard way (its servers are on a leash and go with it)."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
