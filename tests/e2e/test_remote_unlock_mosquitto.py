"""The same unlock over Debian's mosquitto: TLS both ways, the enrolment's own certificate as identity."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from firmware_sim.links.mqtt import BrokerAddress as LockBroker
from lockserver.keys.devices import sign_leaf
from lockserver.keys.files import read_private_key
from lockserver.protocol.curve import public_bytes
from lockserver.run.world import SystemClock
from lockserver.settings import Role, Settings
from tests.contract.broker.brokers import HOST, MOSQUITTO, Authority, free_port, listening, spawn
from tests.support.database import Database
from tests.support.doorway import Doorway, doorway

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.mosquitto,
    pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed"),
]


class Mosquitto(Doorway):
    """A `Doorway` whose broker is mosquitto, which knows nothing but the site's device CA."""

    server: subprocess.Popen[bytes]

    async def start_broker(self) -> None:
        folder = self.folder / "mosquitto"
        folder.mkdir()
        self.port = free_port()
        self.outside = Authority(folder)  # who vouches for the broker is nobody of ours
        certificate, key = self.outside.issue("localhost", server=True)
        self.bridge_files = self._bridge_certificate(folder)
        (folder / "acl").write_text(
            "user bridge-1\ntopic read l/+/+/up/#\ntopic write l/+/+/down/#\n"
            "pattern write l/+/%u/up/#\npattern read l/+/%u/down/#\n"
        )
        config = folder / "mosquitto.conf"
        config.write_text(
            f"persistence false\nallow_anonymous false\nlistener {self.port} {HOST}\n"
            f"set_tcp_nodelay true\ncafile {self.keys / 'issuer' / 'device_ca.crt'}\n"
            f"certfile {certificate}\nkeyfile {key}\nrequire_certificate true\n"
            "use_identity_as_username true\nuse_username_as_clientid true\n"
            f"acl_file {folder / 'acl'}\n" + ("user root\n" if os.geteuid() == 0 else "")
        )
        assert MOSQUITTO is not None
        with (folder / "log").open("wb") as log:
            self.server = await asyncio.to_thread(spawn, [MOSQUITTO, "-c", str(config)], log)
        await listening(self.port, self.server)

    async def stop_broker(self) -> None:
        self.server.terminate()
        await asyncio.to_thread(self.server.wait)

    def settings(self, role: Role) -> Settings:
        certificate, key = self.bridge_files
        return Settings(
            role=role,
            keys_dir=self.keys,
            data_dir=self.folder,
            database_url=self.database.url(role.value),
            broker_url=f"mqtts://{HOST}:{self.port}",
            broker_ca=self.outside.root,
            broker_certificate=certificate,
            broker_key=key,
        )

    def _bridge_certificate(self, folder: Path) -> tuple[Path, Path]:
        """As the operator does at set-up: the device CA certifies the bridge's own key too."""
        issuer = self.keys / "issuer"
        authority = x509.load_pem_x509_certificate((issuer / "device_ca.crt").read_bytes())
        command = read_private_key(self.keys / "bridge" / "command.pem")
        leaf = sign_leaf(
            "bridge-1",
            public_bytes(command),
            authority,
            read_private_key(issuer / "device_ca.pem"),
            SystemClock().now(),
        )
        certificate, key = folder / "bridge.crt", folder / "bridge.key"
        certificate.write_bytes(leaf.public_bytes(Encoding.PEM))
        key.write_bytes(command.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key

    def lock_broker(self) -> LockBroker:
        return LockBroker(HOST, self.port, self.outside.root)


async def test_a_holder_opens_his_door_over_mosquitto_with_certificates(
    database: Database, tmp_path: Path
) -> None:
    async with doorway(database, tmp_path, Mosquitto) as world:
        owner = await world.person()
        gate, _ = await world.house(owner)
        lock = await world.settled_lock(owner, gate)
        await world.sync(owner)
        answer = await world.unlock(owner, lock)
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "done"
        assert lock.openings == 1
