"""A whole installation on one machine: database, broker, province and roles, each started and stopped by itself.

Everything lives below one data folder, and a second run on the same folder finds it again:

    postgres/  broker/     the embedded servers (not used with URLs of real ones)
    keys/<role>/           one folder of key files a role
    secrets/<role>/        its database URL
    secrets/passwords.json what those are made from; read by the supervisor alone
    province/              the mock province's store
    factory/  locks/       the simulated manufacturer's CA, and a folder a crate of simulated locks
    running.json           where its parts listen, while it runs
    logs/<program>.log     what each program says
    sms.jsonl              messages that a provider would have sent

Ports are chosen once and kept while the installation runs, so that a role that is started again is where the
others expect it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

import lockserver
from lockserver.db.embedded import EmbeddedPostgres
from lockserver.db.migrate import migrate, role_url
from lockserver.keys.keyring import load_bridge
from lockserver.mqtt.authorise import CalloutSigner
from lockserver.mqtt.embedded import EmbeddedNats, Passwords
from lockserver.ports import free_port, is_free
from lockserver.run.doctor import RUNNING_FILE
from lockserver.run.site import CLIENT_FILE, create_keys, publish_keys
from lockserver.run.supervisor import Program, Supervisor
from lockserver.run.world import SystemClock
from lockserver.settings import PREFIX, SERVING, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

log = structlog.get_logger(__name__)

WATCH_S = 0.5
PROVINCE_CHECKS_S = "0.3"
"""The mock's checks take long enough to be seen as a step of their own, and nobody waits for them."""
MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}  # where a URL names none


class InstallationError(RuntimeError):
    """It cannot be set up here; the message is one line that names the cure."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an installation is asked to be."""

    data: Path
    port: int = 8080
    database_url: str | None = None  # a superuser's, of a real server
    broker_url: str | None = None
    locks: int = 3
    extra: Mapping[str, str] = field(default_factory=dict)  # settings for every role, without the prefix


class Installation:
    """Starts and stops the parts. Built by `open_installation`; all methods belong to one event loop."""

    def __init__(self, wanted: Wanted, passwords: dict[str, str], supervisor: Supervisor) -> None:
        self.wanted = wanted
        self.data = wanted.data
        self.supervisor = supervisor
        self._passwords = passwords
        self.keys = self.data / "keys"
        self._province_port, self._control_port, self._callback_port = free_port(), free_port(), free_port()
        self.postgres = None if wanted.database_url else EmbeddedPostgres(self.data / "postgres")
        self.broker: EmbeddedNats | None = None
        self._watch: asyncio.Task[None] | None = None
        self._expected: set[str] = set()

    # -- addresses ------------------------------------------------------------------------------

    @property
    def api_url(self) -> str:
        """Where the app's door is."""
        return f"http://127.0.0.1:{self.wanted.port}"

    @property
    def province_url(self) -> str:
        """Where the mock province listens, unless another is configured."""
        return self.wanted.extra.get("province_url", f"http://127.0.0.1:{self._province_port}")

    @property
    def broker_url(self) -> str:
        """Where locks and bridges meet."""
        if self.wanted.broker_url:
            return self.wanted.broker_url
        if self.broker is None:
            raise InstallationError("the broker has not been started")
        return self.broker.mqtt_url

    @property
    def superuser_url(self) -> str:
        """Of the database server; for migrations and the auditor's own set-up."""
        return self.wanted.database_url or (self.postgres.url if self.postgres else "")

    def database_url(self, role: Role) -> str:
        """The database as this role sees it."""
        return role_url(self.superuser_url, role.value, self._passwords[role.value])

    @property
    def own_servers(self) -> list[str]:
        """The servers that are ours to stop; one that was given by URL is not."""
        ours = {
            "the database": self.wanted.database_url is None,
            "the broker": self.wanted.broker_url is None,
        }
        return [name for name, here in ours.items() if here]

    @property
    def sms_file(self) -> Path:
        """Messages that a provider would have sent, one JSON object a line."""
        return self.data / "sms.jsonl"

    # -- parts ----------------------------------------------------------------------------------

    async def start_database(self) -> None:
        """Start the embedded server if there is one; create or migrate the database; hand out passwords."""
        if self.postgres is not None:
            await asyncio.to_thread(self.postgres.start)
            self._expected.add("postgres")
        passwords = {role.value: self._passwords[role.value] for role in Role}
        await asyncio.to_thread(migrate, self.superuser_url, passwords)
        for role in Role:
            self._hand_out(role, "database_url", self.database_url(role))
        await asyncio.to_thread(publish_keys, self.keys, self.database_url(Role.MIGRATE))

    async def stop_database(self) -> None:
        """Stop the embedded server; a real one is not ours to stop."""
        self._expected.discard("postgres")
        if self.postgres is not None:
            await asyncio.to_thread(self.postgres.stop)

    async def make_keys(self) -> None:
        """Make every role's keys, once, and exchange public halves with factory and province."""
        province = self.data / "province"
        await asyncio.to_thread(create_keys, self.keys, factory=self.data / "factory", province_data=province)

    async def start_broker(self) -> None:
        """Start the embedded broker, with an empty store; who may enter it stands in the bridge's keys."""
        if self.wanted.broker_url:
            return
        if self.broker is None:
            known = load_bridge(self.keys / "bridge")
            self.broker = EmbeddedNats(
                self.data / "broker",
                callout_issuer=CalloutSigner(known.callout_seed).public,
                passwords=Passwords(
                    known.passwords["auth"], known.passwords["bridge"], known.passwords["sys"]
                ),
            )
        await asyncio.to_thread(self.broker.start)
        self._expected.add("broker")

    async def stop_broker(self) -> None:
        """Stop the embedded broker; a real one is not ours to stop."""
        self._expected.discard("broker")
        if self.broker is not None:
            await asyncio.to_thread(self.broker.stop)

    async def start_province(self) -> dict[str, Any]:
        """Start the mock province, with its own store and keys; the answer says where its doors are."""
        folder = self.data / "province"
        return await self.start_program(
            "province",
            (
                "province", "--data", str(folder), "--client", str(folder / CLIENT_FILE),
                "--port", str(self._province_port), "--control-port", str(self._control_port),
                "--check-seconds", PROVINCE_CHECKS_S,
                "--callback-url", f"http://127.0.0.1:{self._callback_port}/callback",
            ),
        )  # fmt: skip

    async def start_locks(self) -> dict[str, Any]:
        """Unpack a crate of new simulated locks and switch them on; the answer says how to reach them.

        Started again after a crash, they are the same locks with the same flash.
        """
        stamp = SystemClock().now().strftime("%Y%m%dT%H%M%S.%f")
        crate = self.data / "locks" / stamp
        await asyncio.to_thread(shutil.copytree, self.data / "factory", crate)
        broker = urlsplit(self.broker_url)
        arguments = [
            "sim", "--data", str(crate), "--locks", str(self.wanted.locks), "--gateways", "1",
            "--radio", f"tcp:127.0.0.1:{free_port()}", "--control", str(free_port()),
            "--broker", f"{broker.hostname}:{broker.port or MQTT_PORTS[broker.scheme]}",
        ]  # fmt: skip
        given = {**_given_for(self.wanted.broker_url), **self.wanted.extra}
        if "broker_ca" in given:
            arguments += ["--broker-ca", given["broker_ca"]]
        return await self.start_program("locks", tuple(arguments))

    async def start_roles(self, roles: Iterable[Role] = SERVING) -> None:
        """Start these roles, each a process; side by side, since each waits for its own ready word.

        Raises ProgramError, the first of them.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for role in roles:
                    group.create_task(self.start_role(role))
        except ExceptionGroup as faults:  # one line for a person, not a tree of them
            raise faults.exceptions[0] from None

    async def start_role(self, role: Role) -> None:
        """Start one role. Raises ProgramError."""
        program = Program(role.value, _command("serve", "--roles", role.value), self._role_environment(role))
        await self.supervisor.start(program)

    async def stop_roles(self, roles: Iterable[Role] = SERVING) -> None:
        """Stop these roles: first who asks for people, then who answers, side by side."""
        wanted = set(roles)
        if Role.API in wanted:
            await self.supervisor.stop(Role.API.value)
        async with asyncio.TaskGroup() as group:
            for role in wanted - {Role.API}:
                group.create_task(self.supervisor.stop(role.value))

    async def start_program(self, name: str, arguments: tuple[str, ...], **env: str) -> dict[str, Any]:
        """Start another program of ours (`sim`, `province`); what it said when ready is the answer."""
        return await self.supervisor.start(
            Program(name, _command(*arguments), {**program_environment(), **env})
        )

    async def stop_servers(self) -> None:
        """Everything of the authority: roles, database and broker. Locks, phones and province stay."""
        await self.stop_roles()
        await self.stop_broker()
        await self.stop_database()

    async def start_servers(self) -> None:
        """Keys, database, broker, roles, in that order."""
        await self.make_keys()
        await self.start_database()
        await self.start_broker()
        await self.start_roles()
        self._say_where()
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_servers())

    async def close(self) -> None:
        """Stop all there is. Nothing is left running."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        (self.data / RUNNING_FILE).unlink(missing_ok=True)
        await self.stop_roles()
        await self.supervisor.stop_all()
        await self.stop_broker()
        await self.stop_database()

    # -- inside ---------------------------------------------------------------------------------

    async def _keep_servers(self) -> None:
        """Start an embedded server again that died; the roles find it by themselves."""
        while True:
            await asyncio.sleep(WATCH_S)
            if "postgres" in self._expected and self.postgres is not None and not self.postgres.running:
                log.warning("database.died")
                await asyncio.to_thread(self.postgres.start)
            if "broker" in self._expected and self.broker is not None and not self.broker.running:
                log.warning("broker.died")
                await asyncio.to_thread(self.broker.start)

    def _say_where(self) -> None:
        """For the doctor, and for whoever wants to look at a running installation."""
        where = {
            "pid": os.getpid(),
            "api": self.api_url,
            "broker": self.broker_url,
            "province": self.province_url,
            "province_control": f"http://127.0.0.1:{self._control_port}",
        }
        (self.data / RUNNING_FILE).write_text(json.dumps(where, indent=1) + "\n", encoding="utf-8")

    def _role_environment(self, role: Role) -> dict[str, str]:
        told = {
            "data_dir": self.data,
            "keys_dir": self.data / "keys",
            "secrets_dir": self.data / "secrets",
            "http_port": self.wanted.port,
            "public_url": self.api_url,
            "broker_url": self.broker_url,
            "province_url": self.province_url,
            "callback_port": self._callback_port,
            "sms_file": self.sms_file,
            **_given_for(self.wanted.broker_url),
            **self.wanted.extra,
        }
        if role is Role.BRIDGE and self.broker is not None:
            told |= {"nats_url": self.broker.nats_url}
        return {
            **program_environment(),
            **{PREFIX + name.upper(): str(value) for name, value in told.items()},
        }

    def _hand_out(self, role: Role, name: str, value: str) -> None:
        folder = self.data / "secrets" / role.value
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_secret(folder / f"{PREFIX.lower()}{name}", value)


def open_installation(wanted: Wanted) -> Installation:
    """Prepare the data folder and check what can be checked before anything is started.

    Raises InstallationError with one line that names the cure.
    """
    data = wanted.data.absolute()
    wanted = Wanted(data, wanted.port, wanted.database_url, wanted.broker_url, wanted.locks, wanted.extra)
    if not is_free(wanted.port):
        raise InstallationError(f"port {wanted.port} is taken: stop what listens there, or choose --port N")
    for url, schemes, option in (
        (wanted.database_url, {"postgresql", "postgres"}, "--database-url"),
        (wanted.broker_url, {"mqtt", "mqtts"}, "--broker-url"),
    ):
        if url is not None and (urlsplit(url).scheme not in schemes or not urlsplit(url).hostname):
            raise InstallationError(
                f"{option} must start with {' or '.join(sorted(schemes))}:// and name a host"
            )
    _check_broker_files(wanted)
    try:
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(
            0o711
        )  # PostgreSQL's user passes through to its own folder; what is secret is closed below
        for name in ("secrets", "factory", "province", "locks", "logs"):
            (data / name).mkdir(mode=0o700, exist_ok=True)
        passwords = _passwords(data / "secrets" / "passwords.json")
    except OSError as error:
        raise InstallationError(
            f"cannot write {error.filename or data} ({error.strerror}): choose another folder, --data DIR"
        ) from None
    return Installation(wanted, passwords, Supervisor(data / "logs"))


def _check_broker_files(wanted: Wanted) -> None:
    """A broker with TLS needs certificates that can be read. Raises InstallationError."""
    given = {**_given_for(wanted.broker_url), **wanted.extra}
    if wanted.broker_url and urlsplit(wanted.broker_url).scheme == "mqtts" and "broker_ca" not in given:
        raise InstallationError("--broker-url mqtts://… needs --broker-ca PEM: who signed its certificate")
    for name in ("broker_ca", "broker_certificate", "broker_key"):
        option = f"--{name.replace('_', '-')}"
        if name in given and not wanted.broker_url:
            raise InstallationError(f"{option} belongs to a broker of your own: add --broker-url mqtts://…")
        if name in given and not os.access(given[name], os.R_OK):
            raise InstallationError(f"{option}: {given[name]} cannot be read")


def _given_for(broker_url: str | None) -> dict[str, str]:
    """Certificates, users and the callout's address of a broker that is not ours, from our own environment."""
    if broker_url is None:
        return {}
    wanted = (f"{PREFIX}BROKER_", f"{PREFIX}NATS_")
    given = {name: value for name, value in os.environ.items() if name.startswith(wanted)}
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in given.items()
        if name != f"{PREFIX}BROKER_URL"
    }


def _passwords(file: Path) -> dict[str, str]:
    """Database passwords of this installation, made once, one a role."""
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    if missing := [role.value for role in Role if role.value not in known]:
        known |= {name: secrets.token_urlsafe(32) for name in missing}
        _write_secret(file, json.dumps(known))
    return known


def _write_secret(file: Path, text: str) -> None:
    """Replace a file that only its owner may read; never half written."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as sink:
        sink.write(text)
    partial.replace(file)


def _command(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "lockserver.main", *arguments)


def program_environment() -> dict[str, str]:
    """What every program of ours sees; nothing of the caller's settings gets through by accident."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(Path(lockserver.__file__).parent.parent),  # found from any working folder
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",  # recognition scales by processes; more threads would starve the doors
    }
