"""A whole installation: it comes up, is cut off, comes back on the same data, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from lockserver.db.embedded import EmbeddedPostgres
from lockserver.main import main
from lockserver.ports import free_port
from lockserver.run.installation import Installation, Wanted, open_installation
from lockserver.settings import SERVING, Role
from tests.support.processes import left_behind, processes_about

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

HOLDER = """
import asyncio, sys
from pathlib import Path
from lockserver.run.installation import Wanted, open_installation

async def hold():
    site = open_installation(Wanted(Path(sys.argv[1]), port=int(sys.argv[2])))
    await site.start_servers()
    await site.start_province()
    await site.start_locks()
    print("up", flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


@pytest.fixture
def data() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lockserver-site-"))
    folder.chmod(0o711)  # PostgreSQL's user must be able to enter, where the tests run as root
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


async def nothing_left(data: Path) -> None:
    assert await asyncio.to_thread(left_behind, data) == {}


async def healthy(site: Installation) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{site.api_url}/v1/health")
    return answer.status_code == httpx.codes.OK


def doctor(data: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()  # what the supervisor has said meanwhile
    main(["doctor", "--json", "--data", str(data)])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_the_supervisor_killed_outright_leaves_nothing_and_the_data_serve_again(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(data), str(port),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"up\n"
    assert len(processes_about(data)) >= len(SERVING) + 2  # roles, province, locks, and the servers
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    await nothing_left(data)

    site = open_installation(Wanted(data, port=port))
    try:
        await site.start_servers()
        await site.start_province()
        assert await healthy(site)
        assert [one for one in doctor(data, capsys) if one["state"] == "fail"] == []
        assert main(["audit", "--json", "--data", str(data)]) == 0
        await site.stop_servers()  # the story's darkest hour: roles, database and broker
        assert site.supervisor.names == ["province"]
        assert {one["what"] for one in doctor(data, capsys) if one["state"] == "fail"} >= {
            "broker",
            "database api",
            "api",
        }
        await site.start_servers()
        assert await healthy(site)
        first = site.supervisor.pid("api")
        await site.supervisor.kill("api")
        async with asyncio.timeout(60):
            while site.supervisor.pid("api") == first or "api" not in site.supervisor.names:
                await asyncio.sleep(0.1)
        assert await healthy(site)
        assert not site.supervisor.failure.done()
    finally:
        await site.close()
    await nothing_left(data)
    assert [one["what"] for one in doctor(data, capsys) if one["state"] == "fail"] == []


async def test_a_real_server_is_used_and_left_running(data: Path, scratch: Path) -> None:
    with EmbeddedPostgres(scratch / "somebodys") as server:
        site = open_installation(Wanted(data, port=free_port(), database_url=server.url))
        try:
            await site.make_keys()
            await site.start_database()
            await site.start_broker()
            await site.start_role(Role.ISSUER)
            await site.start_role(Role.API)
            assert await healthy(site)
        finally:
            await site.close()
        assert not (data / "postgres").exists()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1 FROM pg_database WHERE datname = 'lockserver'").fetchone()
