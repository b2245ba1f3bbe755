"""Nothing outlives who holds the leash: killed holders, killed guards, stubborn programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lockserver.leash import Leashed

pytestmark = pytest.mark.contract

SLEEPER = ("/bin/sh", "-c", "sleep 300 & echo $! > child; wait")
STUBBORN = ("/bin/sh", "-c", 'trap "" TERM INT; echo $$ > child; while :; do sleep 1; done')


HOLDER = """
import sys, time
from pathlib import Path
from lockserver.leash import Leashed
leashed = Leashed(sys.argv[1:], log=Path("log"), grace=0.3)
print(leashed.pid, flush=True)
time.sleep(300)
"""


def gone(pid: int) -> bool:
    """Whether the process ends within ten seconds."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # ended; whoever adopted it has not looked yet
            return True
        time.sleep(0.02)
    return False


def written(file: Path) -> int:
    for _ in range(500):
        if file.exists() and file.read_text().strip():
            return int(file.read_text())
        time.sleep(0.02)
    raise AssertionError(f"{file} was not written")


def test_stop_ends_the_program_and_what_it_started(tmp_path: Path) -> None:
    leashed = Leashed(SLEEPER, log=tmp_path / "log", cwd=tmp_path)
    grandchild = written(tmp_path / "child")
    assert leashed.stop() == 128 + signal.SIGTERM
    assert gone(leashed.pid)
    assert gone(grandchild)


def test_a_program_that_will_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    leashed = Leashed(STUBBORN, log=tmp_path / "log", cwd=tmp_path, grace=0.3)
    written(tmp_path / "child")
    assert leashed.stop() == 128 + signal.SIGKILL


def test_exit_status_comes_through(tmp_path: Path) -> None:
    assert Leashed(("/bin/sh", "-c", "exit 7"), log=tmp_path / "log").wait(10) == 7


def test_missing_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Leashed((str(tmp_path / "nothing"),), log=tmp_path / "log")


@pytest.mark.parametrize("program", [SLEEPER, STUBBORN], ids=["ordinary", "stubborn"])
def test_holder_killed_outright_leaves_nothing(tmp_path: Path, program: tuple[str, ...]) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            *program,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    pid = int(holder.stdout.readline())
    child = written(tmp_path / "child")
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert gone(pid)
    assert gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
def test_guard_killed_outright_takes_the_program_along(tmp_path: Path) -> None:
    leashed = Leashed(("/bin/sleep", "300"), log=tmp_path / "log")
    guard = int(Path(f"/proc/{leashed.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(guard, signal.SIGKILL)
    assert gone(leashed.pid)
    leashed.stop()


def test_what_cannot_be_executed_is_told_at_once(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nowhere/at/all\n")
    script.chmod(0o755)
    with pytest.raises(ChildProcessError, match="could not be started"):
        Leashed((str(script),), log=tmp_path / "log")
    assert "cannot execute" in (tmp_path / "log").read_text()
