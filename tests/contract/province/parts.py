"""Parts for tests of the relay against the real mock province over loopback HTTP."""

import ipaddress
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from police_sync.relay.client import ProvinceClient, province_http
from police_sync.relay.deliver import Delivery
from police_sync.relay.filing import Kind
from police_sync.relay.loop import Relay, RelaySettings
from police_sync.relay.memory import MemoryOutbox
from police_sync.relay.policy import BackOff
from police_sync.relay.ports import CannotOpenError, Claimed
from police_sync.relay.receipts import PinnedKeys
from police_sync.relay.signing import Es256Signer

STATION = "330106000001"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
QUICK = BackOff(first_s=0.02, cap_s=0.1, poll_first_s=0.02, poll_cap_s=0.1)


class WallClock:
    """Aware UTC, the real one."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ClearOpener:
    """Stands for sealing: a prefix that an unsealed or misplaced body lacks."""

    def open(self, claim: Claimed) -> bytes:
        prefix = f"sealed:{claim.client_no}:".encode()
        if not claim.sealed.startswith(prefix):
            raise CannotOpenError(claim.entry_id)
        return claim.sealed.removeprefix(prefix)


def sealed(body: dict[str, Any]) -> bytes:
    return f"sealed:{body['client_no']}:".encode() + json.dumps(body, ensure_ascii=False).encode()


def invented_number(birth: str = "19900307", *, male: bool = True) -> str:
    """A valid number of region 330999, which was never assigned."""
    serial = secrets.randbelow(499) * 2 + (1 if male else 0)
    first = f"330999{birth}{serial:03d}"
    total = sum(int(d) * w for d, w in zip(first, _WEIGHTS, strict=True))
    return first + "10X98765432"[total % 11]


def registration(**changed: object) -> dict[str, Any]:
    """A right registration of a fresh person at a fresh address."""
    today = datetime.now(UTC).astimezone().date()
    born = datetime(1950, 1, 1, tzinfo=UTC) + timedelta(days=secrets.randbelow(18_000))
    body = {
        "contract_version": "1",
        "client_no": str(uuid4()),
        "version": 1,
        "digest_salt": secrets.token_hex(16),
        "name": "试样·例",
        "document_type": "111",
        "document_number": invented_number(f"{born:%Y%m%d}"),
        "sex": "1",
        "birth_date": f"{born:%Y-%m-%d}",
        "ethnicity": "01",
        "registered_address": "示例省示例市示例路1号",
        "phone": "13000000000",
        "address_id": f"ADDR-{secrets.token_hex(6)}",
        "station": STATION,
        "arrival": (today - timedelta(days=1)).isoformat(),
        "planned_until": (today + timedelta(days=300)).isoformat(),
        "reason_code": "01",
        "occupation_code": "60",
    }
    return {**body, **changed}


def follow_up(first: dict[str, Any], version: int, **rest: object) -> dict[str, Any]:
    """The body of a later filing of the same registration."""
    return {
        "contract_version": "1",
        "client_no": first["client_no"],
        "version": version,
        "digest_salt": secrets.token_hex(16),
        **rest,
    }


def change_of(first: dict[str, Any], version: int, **changes: object) -> dict[str, Any]:
    return follow_up(first, version, changes=changes, change_reason="03", effective=first["arrival"])


def departure_of(first: dict[str, Any], version: int) -> dict[str, Any]:
    return follow_up(first, version, departed_on=first["arrival"], departure_reason="01")


@dataclass
class Province:
    """A running mock province, and the way to its control door."""

    url: str
    keys: bytes
    client_pem: bytes
    control: httpx.Client
    data: Path
    process_id: int

    def order(self, kind: str, **rest: object) -> dict[str, Any]:
        reply = self.control.post("/control/faults", json={"kind": kind, **rest})
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    def settings(self, **turned: object) -> None:
        assert self.control.put("/control/settings", json=turned).status_code == 200

    def clear(self) -> None:
        self.control.delete("/control/faults").raise_for_status()

    def know(self, body: dict[str, Any], **person: object) -> None:
        """Put the person and the address of `body` into the province's registers."""
        one = {name: body[name] for name in ("name", "document_type", "document_number")}
        people = {"people": [{**one, **person}]}
        self.control.post("/control/population", json=people).raise_for_status()
        place = {"address_id": body["address_id"], "station": body["station"], "capacity": 2}
        self.control.post("/control/premises", json={"premises": [place]}).raise_for_status()

    def record(self, client_no: str) -> dict[str, Any] | None:
        reply = self.control.get("/control/ledger", params={"client_no": client_no})
        records = reply.raise_for_status().json()["records"]
        assert len(records) <= 1
        return records[0] if records else None

    def calls(self, client_no: str) -> list[dict[str, Any]]:
        reply = self.control.get("/control/calls", params={"client_no": client_no})
        return list(reply.raise_for_status().json()["calls"])


def new_client_key() -> tuple[bytes, bytes]:
    """A client key pair: private PEM, public PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mock province")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@contextmanager
def running_province(folder: Path, *options: str) -> Iterator[Province]:
    """The province as a process of its own, as `lockserver province` runs it."""
    private, public = new_client_key()
    client = folder / "client.pub.pem"
    client.write_bytes(public)
    data = folder / "province"
    command = [
        sys.executable, "-m", "police_sync.mock_province", "--data", str(data), "--port", "0",
        "--control-port", "0", "--check-seconds", "0.05", "--client", str(client), *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        token = Path(line["token_file"]).read_text(encoding="ascii").strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=line["control"], headers=headers, trust_env=False) as control:
            keys = Path(line["keys"]).read_bytes()
            yield Province(line["url"], keys, private, control, data, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
        assert status in {0, -signal.SIGKILL}, "it did not end cleanly"


@dataclass
class RelayUnderTest:
    """A relay on an outbox in memory, driven step by step."""

    province: Province
    http: httpx.AsyncClient
    call_timeout_s: float = 3.0
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)

    def __post_init__(self) -> None:
        self.clock = WallClock()
        self.pins = PinnedKeys.from_json(self.province.keys)
        signer = Es256Signer.from_pem(self.province.client_pem)
        self.client = ProvinceClient(self.http, signer, self.clock, call_timeout_s=self.call_timeout_s)
        self.relay = self.build(Delivery)

    def build(self, delivery: type[Delivery]) -> Relay:
        parts = delivery(self.outbox, ClearOpener(), self.client, self.pins, self.clock, lambda: 0.5, QUICK)
        settings = RelaySettings("test", concurrency=4, lease_s=30, idle_poll_s=0.05, verdict_poll_s=0.05)
        return Relay(parts, settings)

    def put(self, kind: Kind, body: dict[str, Any]) -> str:
        self.outbox.enqueue(body["client_no"], body["version"], kind, sealed(body), self.clock.now())
        return str(body["client_no"])

    def attempts(self, client_no: str, version: int = 1) -> list[str | None]:
        """The recorded outcomes, in order."""
        return [a.outcome for a in self.outbox.rows[client_no, version].attempts]

    def state(self, client_no: str, version: int = 1) -> str:
        return self.outbox.rows[client_no, version].state

    async def until(self, condition: Callable[[], bool], seconds: float = 45.0) -> None:
        """Step and wait until `condition()` holds."""
        deadline = self.clock.now() + timedelta(seconds=seconds)
        while not condition():
            assert self.clock.now() < deadline, "it did not come about"
            if await self.relay.step() is None:
                await self.outbox.wait(0.02)


def http_for(province: Province) -> httpx.AsyncClient:
    return province_http(province.url, connections=8)
