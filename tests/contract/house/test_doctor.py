"""The doctor finds what is wrong, each time with a cure, and calls nothing broken that merely rests."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from lockserver.db.examine import DatabaseAwayError, examine_database, expected_revision
from lockserver.db.migrate import migrate, role_url
from lockserver.main import main
from lockserver.run.installation import InstallationError, Wanted, open_installation
from lockserver.run.site import create_keys
from lockserver.settings import Role
from tests.support.database import PASSWORDS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.contract


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCKSERVER_SECRETS_DIR", "LOCKSERVER_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def examined(data: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    status = main(["doctor", "--json", "--data", str(data)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return status, {line["what"]: line for line in lines}


def test_nothing_set_up_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = examined(tmp_path / "none", capsys)
    assert status == 0
    assert found["installation"]["state"] == "idle"
    assert "make demo" in found["installation"]["cure"]


def test_open_and_missing_keys_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("factory", "province"):
        (tmp_path / name).mkdir()
    create_keys(tmp_path / "keys", factory=tmp_path / "factory", province_data=tmp_path / "province")
    assert examined(tmp_path, capsys)[0] == 0
    (tmp_path / "keys" / "issuer" / "issuer.pem").chmod(0o644)
    (tmp_path / "keys" / "jobs" / "checkpoint.pem").unlink()
    status, found = examined(tmp_path, capsys)
    assert status == 1
    assert "chmod 600" in found["keys issuer"]["cure"]
    assert found["keys jobs"]["state"] == "fail"
    assert found["keys api"]["state"] == "ok"


def test_parts_that_do_not_answer_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("factory", "province"):
        (tmp_path / name).mkdir()
    create_keys(tmp_path / "keys", factory=tmp_path / "factory", province_data=tmp_path / "province")
    with socket.socket() as bound:  # nobody listens: connections are refused
        bound.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{bound.getsockname()[1]}"
        for role in Role:
            folder = tmp_path / "secrets" / role.value
            folder.mkdir(parents=True)
            (folder / "lockserver_database_url").write_text(f"postgresql://u:p@{nobody}/d")
        where = {"api": f"http://{nobody}", "broker": f"mqtt://{nobody}", "province": f"http://{nobody}"}
        (tmp_path / "running.json").write_text(json.dumps(where))
        status, found = examined(tmp_path, capsys)
    assert status == 1
    for what in ("database api", "database audit", "broker", "province", "api"):
        assert found[what]["state"] == "fail", what
        assert found[what]["cure"], what


def test_database_is_examined_as_each_role(postgres: str) -> None:
    migrate(postgres, PASSWORDS, database="doctored")  # users belong to the server: all tests share them
    for role in Role:
        url = role_url(postgres, role.value, PASSWORDS[role.value], database="doctored")
        found = examine_database(url, role.value)
        assert found.user == role.database_user
        assert found.missing == ()
        assert abs(found.clock_ahead_s) < 60
        if role in {Role.AUDIT, Role.MIGRATE}:
            assert found.revision == expected_revision()


def test_mutant_a_grant_taken_away_is_found(postgres: str) -> None:
    import psycopg

    migrate(postgres, PASSWORDS, database="ungranted")
    owner = role_url(postgres, "migrate", PASSWORDS["migrate"], database="ungranted")
    with psycopg.connect(owner) as connection:
        connection.execute("REVOKE SELECT ON doors FROM ls_bridge")
    url = role_url(postgres, "bridge", PASSWORDS["bridge"], database="ungranted")
    assert examine_database(url, "bridge").missing == ("SELECT on doors",)


def test_wrong_password_is_said_without_it(postgres: str) -> None:
    url = postgres.replace(postgres.split(":")[2].split("@", maxsplit=1)[0], "hush-hush")
    with pytest.raises(DatabaseAwayError) as told:
        examine_database(url, "api")
    assert "password authentication failed" in str(told.value)
    assert "hush" not in str(told.value)


class TestInstallationIsRefused:
    """What cannot work is said in one line with a cure, before anything is started."""

    async def test_taken_port(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(InstallationError, match=rf"port {port} is taken: .*--port N"):
                open_installation(Wanted(tmp_path / "data", port=port))
        assert not (tmp_path / "data").exists()

    async def test_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        in_the_way = tmp_path / "file"
        in_the_way.write_text("")
        with pytest.raises(InstallationError, match=r"cannot write .*--data DIR"):
            open_installation(Wanted(in_the_way / "data", port=0))

    @pytest.mark.parametrize(
        "wrong", [{"database_url": "mysql://u@h/d"}, {"broker_url": "http://h"}, {"broker_url": "mqtt:"}]
    )
    async def test_wrong_addresses(self, tmp_path: Path, wrong: dict[str, str]) -> None:
        with pytest.raises(InstallationError, match="must start with"):
            open_installation(Wanted(tmp_path / "data", port=0, **wrong))  # type: ignore[arg-type]

    async def test_secrets_are_for_their_owner_alone(self, tmp_path: Path) -> None:
        open_installation(Wanted(tmp_path / "data", port=0))
        file = tmp_path / "data" / "secrets" / "passwords.json"
        assert file.stat().st_mode & 0o077 == 0
        assert file.parent.stat().st_mode & 0o077 == 0
        first = file.read_text()
        open_installation(Wanted(tmp_path / "data", port=0))
        assert file.read_text() == first
