"""Settings: frozen, complete at start-up, secrets from files, every fault at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from lockserver.main import main
from lockserver.settings import Role, SettingsError, load

if TYPE_CHECKING:
    from pathlib import Path

URL = "postgresql://ls_api:pw@127.0.0.1:5432/lockserver"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("LOCKSERVER_"):
            monkeypatch.delenv(name)


def test_secret_files_of_the_own_role_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for role, password in (("api", "mine"), ("issuer", "not-mine")):
        (tmp_path / role).mkdir()
        (tmp_path / role / "lockserver_database_url").write_text(f"postgresql://u:{password}@h/d\n")
    monkeypatch.setenv("LOCKSERVER_SECRETS_DIR", str(tmp_path))
    settings = load(Role.API)
    assert settings.database_url.get_secret_value() == "postgresql://u:mine@h/d"
    assert "mine" not in repr(settings)


def test_environment_wins_over_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "lockserver_database_url").write_text("postgresql://u:file@h/d")
    monkeypatch.setenv("LOCKSERVER_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("LOCKSERVER_DATABASE_URL", URL)
    assert load(Role.API).database_url.get_secret_value() == URL


def test_every_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSERVER_HTTP_PORT", "70000")
    monkeypatch.setenv("LOCKSERVER_BROKER_URL", "http://broker")
    monkeypatch.setenv("LOCKSERVER_BROKR_URL", "mqtt://broker")
    with pytest.raises(SettingsError) as told:
        load(Role.API)
    lines = str(told.value).splitlines()
    names = (
        "LOCKSERVER_DATABASE_URL",
        "LOCKSERVER_HTTP_PORT",
        "LOCKSERVER_BROKER_URL",
        "LOCKSERVER_BROKR_URL",
    )
    for name in names:
        assert any(line.startswith(name) for line in lines), name
    assert len(lines) == len(names)


def test_a_fault_does_not_quote_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSERVER_DATABASE_URL", "mysql://u:hush-hush@h/d")
    with pytest.raises(SettingsError) as told:
        load(Role.API)
    assert "hush" not in str(told.value)


def test_what_was_told_does_not_change() -> None:
    settings = load(Role.API, database_url=URL)
    with pytest.raises(ValidationError, match="frozen"):
        settings.http_port = 1  # type: ignore[misc]


def test_missing_secrets_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSERVER_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="there is no folder"):
        load(Role.API)


def test_the_command_tells_the_faults_of_all_roles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--roles", "api,issuer"]) == 78  # EX_CONFIG: the supervisor does not try again
    told = capsys.readouterr().err
    assert "api: LOCKSERVER_DATABASE_URL" in told
    assert "issuer: LOCKSERVER_DATABASE_URL" in told


def test_unknown_roles_and_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["serve", "--roles", "api,king"], ["serve", "--roles", "api", "--fast"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert "no such role: king" in capsys.readouterr().err
