"""What one role is told at its start: addresses, folders, ports. Built once in `main`, passed down.

Sources, the first wins: environment variables `LOCKSERVER_…`, then files in the role's secrets folder
(`<LOCKSERVER_SECRETS_DIR>/<role>/lockserver_database_url` and so on, as container platforms mount them).
Passwords come from files; every fault is told at once, with the name of the setting.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "LOCKSERVER_"


class Role(StrEnum):
    """A part of the authority that runs by itself, with a database user and keys of its own."""

    API = "api"
    ISSUER = "issuer"
    VERIFY = "verify"
    BRIDGE = "bridge"
    RELAY = "relay"
    JOBS = "jobs"
    MIGRATE = "migrate"
    AUDIT = "audit"

    @property
    def database_user(self) -> str:
        """Its PostgreSQL user."""
        return f"ls_{self.value}"


SERVING = (Role.ISSUER, Role.VERIFY, Role.BRIDGE, Role.RELAY, Role.JOBS, Role.API)
"""The roles that run all the time, in the order in which they start: who answers comes before who asks."""


class SettingsError(ValueError):
    """Settings are missing or wrong; the message has one line for each fault."""


class Settings(BaseSettings):
    """One role's settings. Frozen: what a process was told does not change under it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    role: Role

    data_dir: Path = Path("data")
    keys_dir: Path = Field(Path("data/keys"), description="holds one folder of key files a role")
    log_level: str = "INFO"
    log_json: bool = True

    database_url: SecretStr = Field(description="postgresql://user:password@host:port/database")
    database_pool: PositiveInt = 8

    broker_url: str = Field("mqtt://127.0.0.1:1883", description="mqtt:// or mqtts://")
    broker_user: str | None = Field(None, description="of a broker that is not ours; else `bridge`")
    broker_password: SecretStr | None = Field(None, description="else the one in the bridge's keys")
    broker_ca: Path | None = Field(None, description="PEM; for mqtts")
    broker_certificate: Path | None = Field(None, description="PEM, the bridge's client certificate")
    broker_key: Path | None = None
    broker_public_url: str | None = Field(None, description="where locks find the broker, if elsewhere")
    nats_url: str | None = Field(None, description="for the auth callout; none where the broker is not NATS")
    nats_auth_password: SecretStr | None = Field(None, description="else the one in the bridge's keys")
    nats_system_password: SecretStr | None = Field(None, description="else the one in the bridge's keys")
    bridge_number: int = Field(1, ge=1, le=64)
    bridge_count: int = Field(1, ge=1, le=64, description="bridges share the 64 shards")

    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=0, le=65535)
    public_url: str = Field("http://127.0.0.1:8080", description="what links to tenants start with")
    sms_file: Path | None = Field(None, description="demo and tests: messages are appended here, not sent")

    province_url: str = "http://127.0.0.1:8090"
    province_ca: Path | None = None
    callback_host: str = "127.0.0.1"
    callback_port: int = Field(8091, ge=0, le=65535, description="the relay's own listener for the province")

    verify_processes: int = Field(1, ge=1, le=32, description="recognition runs in this many processes")

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname:
            raise ValueError("must look like postgresql://user:password@host:port/database")
        return value

    @field_validator("broker_url")
    @classmethod
    def _is_mqtt(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"mqtt", "mqtts"} or not urlsplit(value).hostname:
            raise ValueError("must look like mqtt://host:port or mqtts://host:port")
        return value

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.bridge_number > self.bridge_count:
            raise ValueError("bridge_number must not exceed bridge_count")
        if bool(self.broker_certificate) != bool(self.broker_key):
            raise ValueError("broker_certificate and broker_key come together")
        return self

    @property
    def role_keys(self) -> Path:
        """The folder with this role's keys and nobody else's."""
        return self.keys_dir / self.role.value


def load(role: Role, **given: Any) -> Settings:  # noqa: ANN401 - values are judged by the model
    """One role's settings from environment and secret files; `given` wins over both.

    Raises SettingsError with one line for each fault.
    """
    secrets_root = os.environ.get(f"{PREFIX}SECRETS_DIR")
    folder = Path(secrets_root) / role.value if secrets_root else None
    if folder is not None and not folder.is_dir():
        raise SettingsError(f"{PREFIX}SECRETS_DIR: there is no folder {folder}")
    unknown = [
        name
        for name in os.environ
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in _KNOWN
    ]
    faults = [f"{name} is no setting: remove it, or mend its spelling" for name in sorted(unknown)]
    settings = None
    try:
        settings = Settings(role=role, _secrets_dir=folder, **given)
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = ".".join(map(str, fault["loc"])).upper()
            faults.append(f"{PREFIX}{name}: {fault['msg']}" if name else fault["msg"])
    if settings is None or faults:
        raise SettingsError("\n".join(faults))
    return settings


_KNOWN = {*Settings.model_fields, "secrets_dir", "ready_fd", "test_database_url"}
