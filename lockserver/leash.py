"""A program on a leash: when whoever holds the leash goes, however he goes, so does the program.

A supervisor that is killed with SIGKILL cannot clean up, and PostgreSQL, a broker or a pool of workers would
stay behind. So each program is started by a small guard (this file, run as a script): it holds one end of a
socket pair, and when the other end closes, it stops the program's whole process group. Should the guard itself
be killed, the kernel kills the program (`PR_SET_PDEATHSIG`, Linux). Programs get a session of their own, so
that a terminal's Ctrl-C reaches the supervisor alone and everything stops in order.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_START_S = 10.0  # forking and executing takes milliseconds; a machine that swaps takes longer


class Leashed:
    """One running program. Starting, stopping and waiting block; callers in an event loop use a thread.

    `user` is the (uid, gid) to run under, for a supervisor that is root. `stop_signal` asks the program to
    end; after `grace` seconds its process group is killed. Raises FileNotFoundError if the program is missing.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: tuple[int, int] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start the program, and return once it has been executed."""
        if not os.access(argv[0], os.X_OK):
            raise FileNotFoundError(argv[0])
        uid, gid = user or (-1, -1)
        self._grace = grace
        self._hand, guard_end = socket.socketpair()
        guard = [sys.executable, "-I", "-S", __file__, str(int(stop_signal)), str(grace)]
        with guard_end, log.open("ab") as sink:
            self._guard = subprocess.Popen(  # noqa: S603 - our own guard, absolute path
                [*guard, str(uid), str(gid), ",".join(map(str, pass_fds)), *argv],
                stdin=guard_end.fileno(),
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        self._hand.settimeout(_START_S)
        told = self._hand.recv(32)  # the guard's first word: the program's process id
        if not told:
            self.stop()
            raise ChildProcessError(f"{argv[0]} could not be started; see {log}")
        self.pid = int(told)
        self._hand.setblocking(False)  # from here on only its closing is of interest

    def fileno(self) -> int:
        """A descriptor that becomes readable when the program has ended."""
        return self._hand.fileno()

    def poll(self) -> int | None:
        """Exit status, 128 + signal number if a signal ended it, or None while it runs."""
        return self._guard.poll()

    def kill(self) -> None:
        """End the program at once, as a power cut would."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def stop(self) -> int:
        """Let go of the leash; wait until the program and all it started are gone."""
        self._hand.close()
        return self._guard.wait(self._grace + _START_S)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the program's own end. Raises subprocess.TimeoutExpired."""
        status = self._guard.wait(timeout)
        self._hand.close()
        return status


def _death_signal() -> Callable[[], object]:
    """What makes the kernel kill this process when its parent dies; nothing where there is no such call."""
    if sys.platform != "linux":
        return lambda: None
    import ctypes

    library = ctypes.CDLL(None)
    return lambda: library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _execute(user: tuple[int, int], argv: list[str], guard: int, fault: int) -> NoReturn:
    """Become the program: own session, other user, bound to the guard's life. A failure is told to `fault`."""
    try:
        os.setsid()
        die_with_parent = _death_signal()  # loaded while we may still read the interpreter's files
        uid, gid = user
        if uid >= 0:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        die_with_parent()  # after setuid, which would clear it
        if os.getppid() != guard:  # it died before it was bound
            os._exit(127)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.execv(argv[0], argv)  # noqa: S606 - the whole point
    except BaseException as error:  # noqa: BLE001 - in a forked child nothing may escape
        os.write(2, f"cannot execute {argv[0]}: {error}\n".encode())
        os.write(fault, b"!")
        os._exit(127)


def _guard(stop_signal: int, grace: float, user: tuple[int, int], argv: list[str], fds: list[int]) -> int:
    """Watch one program until it ends or the leash is let go; return its exit status."""
    hurry, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda _n, _f: None)
    for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(asked, _close_leash)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    hears, fault = os.pipe()  # closes by itself when the program is executed
    guard = os.getpid()
    program = os.fork()
    if program == 0:
        signal.set_wakeup_fd(-1)
        for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(asked, signal.SIG_DFL)
        _execute(user, argv, guard, fault)
    os.close(fault)
    if os.read(hears, 1):
        os.waitpid(program, 0)
        return 127
    for descriptor in fds:  # or the reader at the other end would never see it close
        os.close(descriptor)
    os.write(0, str(program).encode())
    deadline = None
    while True:
        ended, status = os.waitpid(program, os.WNOHANG)
        if ended:
            _kill_group(program)  # what it started and left behind
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if deadline is None and _let_go():
            deadline = time.monotonic() + grace
            os.kill(program, stop_signal)
        if deadline is not None and time.monotonic() > deadline:
            _kill_group(program)
        watched = [hurry] if deadline is not None else [0, hurry]
        select.select(watched, [], [], None if deadline is None else 0.1)
        if select.select([hurry], [], [], 0)[0]:
            os.read(hurry, 4096)


def _close_leash(_number: int, _frame: object) -> None:
    with contextlib.suppress(OSError):  # asked twice
        os.close(0)


def _let_go() -> bool:
    try:
        return bool(select.select([0], [], [], 0)[0]) and not os.read(0, 1)
    except OSError:  # closed by a signal's handler, or reset
        return True


def _kill_group(program: int) -> None:
    try:
        os.killpg(program, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    _stop, _grace, _uid, _gid, _fds, *_argv = sys.argv[1:]
    _passed = [int(fd) for fd in _fds.split(",") if fd]
    sys.exit(_guard(int(_stop), float(_grace), (int(_uid), int(_gid)), _argv, _passed))
