"""Two real brokers to hold to one contract: NATS with our auth callout, mosquitto with mTLS."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ipaddress
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockserver.domain.lock import hash_broker_secret
from lockserver.mqtt.authorise import CalloutSigner, Kind, KnownLock, Proof
from lockserver.mqtt.callout import Callout, CalloutSettings
from lockserver.mqtt.embedded import EmbeddedNats, Passwords, TlsFiles
from lockserver.mqtt.link import BrokerAddress, BrokerLink, LinkLost
from lockserver.run.own_broker import ACL

HOST = "127.0.0.1"
MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")


@dataclass
class Credentials:
    """What one lock holds."""

    lock_id: str
    shard: str
    secret: bytes
    kind: Kind = "lock"

    @property
    def up(self) -> str:
        """Where it speaks."""
        own = f"{self.shard}/{self.lock_id}/up"
        return f"g/{own}" if self.kind == "gateway" else f"l/{own}/report"

    @property
    def down(self) -> str:
        """What it hears."""
        own = f"{self.shard}/{self.lock_id}/down"
        return f"g/{own}" if self.kind == "gateway" else f"l/{own}/command"


class Directory:
    """The authority's locks, in memory."""

    def __init__(self, locks: list[Credentials]) -> None:
        self.known = {
            lock.lock_id: KnownLock(
                lock.lock_id, lock.shard, "active", hash_broker_secret(lock.secret), b"", lock.kind
            )
            for lock in locks
        }
        self.broken = False

    async def known_lock(self, lock_id: str) -> KnownLock | None:
        if self.broken:
            raise RuntimeError("the database is away")
        return self.known.get(lock_id)

    def retire(self, lock_id: str) -> None:
        self.known[lock_id] = replace(self.known[lock_id], state="retired")


@dataclass
class Station:
    """One connection and what it received."""

    link: BrokerLink
    received: list[tuple[str, bytes, bool]] = field(default_factory=list)

    async def until(self, payload: bytes) -> None:
        async with asyncio.timeout(5):
            while all(got[1] != payload for got in self.received):
                if self.link.lost.is_set():
                    raise LinkLost("lost while waiting")
                await asyncio.sleep(0.005)


async def connect(address: BrokerAddress) -> Station:
    received: list[tuple[str, bytes, bool]] = []
    link = BrokerLink(address, lambda *got: received.append(got))
    await link.connect()
    return Station(link, received)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def spawn(command: list[str], log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=log, stderr=log)


async def listening(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if server.poll() is not None:
            raise RuntimeError("the broker died at its start")
        try:
            with socket.create_connection((HOST, port), timeout=0.2):
                return
        except OSError:
            await asyncio.sleep(0.02)
    raise RuntimeError("the broker does not listen")


class NatsUnderTest:
    """The NATS server that we ship, whose every MQTT connection we judge; a secret on loopback."""

    name = "nats"
    proof = Proof.SECRET

    def __init__(self, folder: Path, locks: list[Credentials]) -> None:
        self.folder = folder
        self.directory = Directory(locks)
        self.signer = CalloutSigner(bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_ACCOUNT)))
        self.callout: Callout | None = None

    async def start(self) -> None:
        if self.callout is None:  # started again, it listens where it did
            self.server = EmbeddedNats(
                self.folder / "nats",
                callout_issuer=self.signer.public,
                passwords=Passwords("a", "b", "s"),
                tls=self.tls(),
            )
        await asyncio.to_thread(self.server.start)
        self.callout = Callout(self.settings, self.signer, self.directory, lambda: int(time.time()))
        await self.callout.open()

    def tls(self) -> TlsFiles | None:
        return None

    @property
    def nats_port(self) -> int:
        return self.server.nats_port

    @property
    def mqtt_port(self) -> int:
        return self.server.mqtt_port

    @property
    def settings(self) -> CalloutSettings:
        return CalloutSettings(self.server.nats_url, "auth", "a", "sys", "s", proof=self.proof)

    async def stop(self) -> None:
        if self.callout is not None:
            await self.callout.close()
        await asyncio.to_thread(self.server.stop)

    def bridge(self) -> BrokerAddress:
        name = f"bridge-0-{secrets.token_hex(8)}"
        return BrokerAddress(HOST, self.mqtt_port, name, "bridge", "b")

    def lock(self, own: Credentials, client_id: str | None = None) -> BrokerAddress:
        password = base64.urlsafe_b64encode(own.secret).rstrip(b"=").decode()
        return BrokerAddress(HOST, self.mqtt_port, client_id or own.lock_id, own.lock_id, password)


class NatsWithCertificates(NatsUnderTest):
    """The same over TLS: the client certificate is the identity, and no name is believed beside it."""

    name = "nats with certificates"
    proof = Proof.CERTIFICATE

    def __init__(self, folder: Path, locks: list[Credentials]) -> None:
        super().__init__(folder, locks)
        self.authority = Authority(folder)
        self.files: dict[str, tuple[Path, Path]] = {}
        for lock in locks:
            certificate, _ = self.files[lock.lock_id] = self.authority.issue(lock.lock_id)
            leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
            self.directory.known[lock.lock_id] = replace(
                self.directory.known[lock.lock_id], fingerprint=leaf.fingerprint(hashes.SHA256())
            )

    def tls(self) -> TlsFiles:
        certificate, key = self.authority.issue("localhost", server=True)
        return TlsFiles(certificate, key, self.authority.root)

    def bridge(self) -> BrokerAddress:
        context = self.context(*self.authority.issue("bridge-0"))
        return replace(super().bridge(), tls=context)

    def lock(self, own: Credentials, client_id: str | None = None) -> BrokerAddress:
        """Whatever name it gives, the certificate says who it is."""
        files = self.files.get(own.lock_id) or self.authority.issue(own.lock_id)
        return replace(super().lock(own, client_id), tls=self.context(*files))

    def context(self, certificate: Path, key: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.root))
        context.load_cert_chain(certificate, key)
        return context


class MosquittoUnderTest:
    """Debian's mosquitto: the certificate is the identity, patterns give the permissions."""

    name = "mosquitto"
    acl = ACL.format(bridge="bridge-0")
    client_id_rule = "use_username_as_clientid true"

    def __init__(self, folder: Path, locks: list[Credentials]) -> None:
        self.folder = folder
        self.port = free_port()
        self.authority = Authority(folder)

    async def start(self) -> None:
        assert MOSQUITTO is not None
        certificate, key = self.authority.issue("localhost", server=True)
        (self.folder / "acl").write_text(self.acl)
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"""
persistence false
allow_anonymous false
listener {self.port} {HOST}
set_tcp_nodelay true
cafile {self.authority.root}
certfile {certificate}
keyfile {key}
require_certificate true
use_identity_as_username true
{self.client_id_rule}
acl_file {self.folder / "acl"}
"""
            + ("user root\n" if os.geteuid() == 0 else "")
        )
        with (self.folder / "mosquitto.log").open("wb") as log:
            self.server = await asyncio.to_thread(spawn, [MOSQUITTO, "-c", str(config)], log)
        await listening(self.port, self.server)

    async def stop(self) -> None:
        self.server.terminate()
        await asyncio.to_thread(self.server.wait)

    def bridge(self) -> BrokerAddress:
        return self._address("bridge-0", f"bridge-0-{secrets.token_hex(8)}")

    def lock(self, own: Credentials, client_id: str | None = None) -> BrokerAddress:
        return self._address(own.lock_id, client_id or own.lock_id)

    def _address(self, name: str, client_id: str) -> BrokerAddress:
        certificate, key = self.authority.issue(name)
        context = ssl.create_default_context(cafile=str(self.authority.root))
        context.load_cert_chain(certificate, key)
        return BrokerAddress(HOST, self.port, client_id, tls=context)


class Authority:
    """A device certificate authority for the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "ca.pem"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test devices")])
        certificate = self._builder(self.name, self.key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        signed = certificate.sign(self.key, hashes.SHA256())
        self.root.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
        )

    def issue(self, name: str, *, server: bool = False) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key())
        if server:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]),
                critical=False,
            )
        signed = builder.sign(self.key, hashes.SHA256())
        stem = self.folder / f"{name}-{secrets.token_hex(4)}"
        certificate, private = stem.with_suffix(".crt"), stem.with_suffix(".key")
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, private
