"""`unlock_remote`: from the HTTP request to the lock's signed `done`, at 50/s and 200/s.

    python -m bench.unlock_remote [--locks N] [--seconds S] [--rates 50,200]

Beside it, in the same run and on the same broker at the same rate: a raw MQTT ping-pong over two hops
(bridge's client → broker → a lock's client → broker → back) with messages of the same size and nothing
in between. Roles api, issuer and bridge, PostgreSQL and NATS are processes of their own; the simulated
locks (firmware's core on its MQTT link) and the caller share one.

`unlock_remote.floor`: what no unlock can go below that keeps its promises, in the same run at the same
rate: the three commits that it needs one after the other (the command; `sent`, before anything is
published; the end), bare, and the two hops. No HTTP, no signature, no lock is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import uvloop

from bench.caller import Caller
from bench.report import Figure, emit, p50, percentile, table
from firmware_sim.factory import open_ca
from lockserver.db.connection import Pool
from lockserver.keys.keyring import load_bridge
from lockserver.mqtt.link import BrokerAddress, BrokerLink
from lockserver.ports import free_port
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.topics import command_topic, report_topic
from lockserver.run.installation import Installation, Wanted, open_installation
from lockserver.settings import Role
from tests.support.doorway import Doorway, Person, SimLock, b64

COMMAND_BYTES, RESULT_BYTES = 900, 420
"""What a sealed command with wish and credential, and a sealed result, weigh."""
COMMITS = 3
COMMIT_BYTES = 512
"""About what one of an unlock's commits writes."""
PHONE = "13900000001"


class Broker:
    """The installation's broker, as `Doorway` wants to see it."""

    def __init__(self, port: int) -> None:
        self.mqtt_port = port


class Site(Doorway):
    """A `Doorway` over roles that run as processes."""

    def __init__(self, installation: Installation, http: httpx.AsyncClient) -> None:
        self.folder = installation.data
        self.factory = open_ca(installation.data / "factory")
        self.locks = []
        self.http = http
        self.caller = Caller(installation.api_url)
        if installation.broker is None:
            raise RuntimeError("the bench runs on the embedded broker")
        self.nats = Broker(installation.broker.mqtt_port)  # type: ignore[assignment]
        self.bridge_keys = load_bridge(installation.keys / "bridge")


async def log_in(installation: Installation, http: httpx.AsyncClient) -> Person:
    """A landlord with a session and a pending phone, by the front door."""
    await _post(http, "/v1/login/codes", {"phone": PHONE})
    sent = json.loads(installation.sms_file.read_text().splitlines()[-1])
    tokens = await _post(http, "/v1/login", {"phone": PHONE, "code": sent["code"]})
    http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
    me = (await http.get("/v1/me")).json()
    signer = EcdsaSigner(private_key(secrets.token_bytes))
    ecdh = EcdsaSigner(private_key(secrets.token_bytes)).public
    session_id = UUID(tokens["session_id"])
    proof = sign_request(
        PhoneRequest(
            session_id.bytes,
            "POST /v1/phones",
            hash_body(signer.public + ecdh),
            int(time.time()),
            secrets.token_bytes(8),
        ),
        signer,
    )
    body = {"sign_pub": b64(signer.public), "ecdh_pub": b64(ecdh), "proof": b64(proof)}
    phone = await _post(http, "/v1/phones", body)
    return Person(UUID(me["holder_id"]), session_id, tokens["access_token"], signer, ecdh, UUID(phone["id"]))


async def furnish(site: Site, owner: Person, count: int) -> list[SimLock]:
    """A house with `count` gates, a claimed lock at each, and the owner's keys for them."""
    address = {"name": "bench", "address_id": "ADDR-0001", "station_code": "330106000001"}
    house = await _post(site.http, "/v1/houses", address)
    locks = []
    for number in range(count):
        path = f"/v1/houses/{house['id']}/doors"
        made = await _post(site.http, path, {"kind": "gate", "name": str(number), "capacity": None})
        lock = site.unpack(UUID(made["id"]))
        answer = await site.claim(owner, lock)
        answer.raise_for_status()
        locks.append(lock)
    await asyncio.sleep(1.1)  # a credential begins at a whole second
    for lock in locks:
        await lock.online()
        await site.converged(owner, lock)
    await site.sync(owner)
    return locks


async def paced(rate: int, seconds: float, act: Callable[[int], Awaitable[None]]) -> None:
    """Start `act(i)` at a steady rate, whether or not earlier ones have ended."""
    started = time.perf_counter()
    running = []
    for number in range(int(rate * seconds)):
        delay = started + number / rate - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        running.append(asyncio.ensure_future(act(number)))
    await asyncio.gather(*running)


async def unlocks(
    site: Site, owner: Person, locks: Sequence[SimLock], rate: int, seconds: float
) -> tuple[list[float], dict[str, int]]:
    """Milliseconds of each unlock that ended `done`, and how many ended how."""
    took: list[float] = []
    ended: dict[str, int] = {}

    async def one(number: int) -> None:
        lock = locks[number % len(locks)]
        wish = owner.wish(lock.id)
        path, body, headers = f"/v1/locks/{lock.id}/unlock", {"wish": b64(wish)}, owner.headers
        begun = time.perf_counter()
        answer = await site.caller.post(path, body, headers)
        word = answer.body.get("state") or answer.body.get("reason") or answer.body["code"]
        ended[str(word)] = ended.get(str(word), 0) + 1
        if answer.status == 200:
            took.append((time.perf_counter() - begun) * 1000)

    await paced(rate, seconds, one)
    return took, ended


async def commit_bare(pool: Pool) -> None:
    """Commit as often as an unlock must, one after the other, with nothing in between."""
    for _ in range(COMMITS):
        async with pool.singles.connection() as connection:
            await connection.execute("INSERT INTO bare VALUES (%s)", (bytes(COMMIT_BYTES),))


async def ping_pong(
    site: Site, lock: SimLock, rate: int, seconds: float, first: Callable[[], Awaitable[None]] | None = None
) -> list[float]:
    """Milliseconds of each raw round trip over two hops, at the same rate; of `first` too, if given."""
    running = lock.driver.lock
    if running is None or running.identity is None:
        raise RuntimeError("the lock is not enrolled")
    identity = running.identity
    await lock.link.stop()
    waiting: dict[bytes, asyncio.Future[None]] = {}

    def answered(_topic: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - paho's flag
        back = waiting.pop(payload[:8], None)
        if back is not None:  # the bridge may still have had something for the lock
            back.set_result(None)

    def echo(_topic: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - paho's flag
        there.publish(report_topic(lock.id.bytes), payload[:8] + bytes(RESULT_BYTES - 8))

    name, port = lock.id.hex, site.nats.mqtt_port
    there = BrokerLink(BrokerAddress("127.0.0.1", port, name, name, b64(identity.broker_secret)), echo)
    here = BrokerLink(site.bridge_address(), answered)
    await there.connect()
    await there.subscribe([command_topic(lock.id.bytes)])
    await here.connect()
    await here.subscribe([report_topic(lock.id.bytes)])
    took: list[float] = []

    async def one(number: int) -> None:
        word = number.to_bytes(8, "big")
        back = waiting[word] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        if first is not None:
            await first()
        here.publish(command_topic(lock.id.bytes), word + bytes(COMMAND_BYTES - 8))
        await back
        took.append((time.perf_counter() - begun) * 1000)

    await paced(rate, seconds, one)
    await here.close()
    await there.close()
    lock.link.identity(identity)
    await lock.online()
    return took


async def measure(locks: int, seconds: float, rates: Sequence[int]) -> list[Figure]:
    """Set everything up, run each rate beside its ping-pong, tear everything down."""
    folder = Path(tempfile.mkdtemp(prefix="lockserver-bench-"))
    installation = open_installation(Wanted(folder, port=free_port()))
    figures: list[Figure] = []
    try:
        await installation.make_keys()
        await installation.start_database()
        await installation.start_broker()
        await installation.start_roles((Role.ISSUER, Role.BRIDGE, Role.API))
        async with httpx.AsyncClient(base_url=installation.api_url, timeout=40) as http:
            site = Site(installation, http)
            owner = await log_in(installation, http)
            doors = await furnish(site, owner, locks)
            pool = Pool(installation.superuser_url)
            async with pool.singles.connection() as connection:
                await connection.execute("CREATE TABLE bare (body bytea)")
            await unlocks(site, owner, doors, 20, 1.0)  # warm
            for rate in rates:
                raw = await ping_pong(site, doors[0], rate, seconds)
                took, ended = await unlocks(site, owner, doors, rate, seconds)
                floor = await ping_pong(site, doors[0], rate, seconds, lambda: commit_bare(pool))
                figures += tell(rate, took, raw, ended)
                figures += tell(rate, floor, raw, {}, "unlock_remote.floor")
            site.caller.close()
            await pool.close()
            for door in doors:
                await door.link.stop()
                door.driver.power_off()
    finally:
        await installation.close()
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def tell(
    rate: int,
    took: Sequence[float],
    raw: Sequence[float],
    ended: dict[str, int],
    figure: str = "unlock_remote",
) -> list[Figure]:
    """p50 and p99 at one rate. Only `done` counts; how the others ended stands beside."""
    outcomes = {"ended": {name: float(count) for name, count in ended.items()}} if ended else {}
    return [
        emit(
            Figure(
                f"{figure}.{name}_at_{rate}",
                percentile(took, share) if share != 0.5 else p50(took),
                "ms",
                beside=percentile(raw, share) if share != 0.5 else p50(raw),
                n=len(took),
                extra=outcomes,
            )
        )
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]


async def _post(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    answer = await http.post(path, json=body, headers={"Idempotency-Key": secrets.token_urlsafe(24)})
    answer.raise_for_status()
    return answer.json()


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--locks", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rates", default="50,200")
    given = parser.parse_args()
    rates = [int(rate) for rate in given.rates.split(",")]
    with (
        contextlib.suppress(KeyboardInterrupt),
        # The loop that the roles run on, for both sides of every ratio.
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        table(runner.run(measure(given.locks, given.seconds, rates)))


if __name__ == "__main__":
    main()
