"""What of a program is still running: looked for by its data folder, from outside."""

from __future__ import annotations

import os
import time
from pathlib import Path

PATIENCE_S = 30


def processes_about(data: Path) -> dict[int, str]:
    """Command lines of all processes whose command line, environment or working folder names `data`.

    PostgreSQL's workers overwrite the first two with what they do, and stand in the cluster's folder.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            told = (
                command + b"\0" + (entry / "environ").read_bytes() + os.fsencode((entry / "cwd").readlink())
            )
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if os.fsencode(data) in told and state != "Z":
            found[int(entry.name)] = command.replace(b"\0", b" ").decode()
    return found


def left_behind(data: Path, patience_s: float = PATIENCE_S) -> dict[int, str]:
    """What is still running after all had that long to end; empty is what one hopes for."""
    until = time.monotonic() + patience_s
    while (found := processes_about(data)) and time.monotonic() < until:
        time.sleep(0.1)
    return found
