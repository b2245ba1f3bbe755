"""A simulated lock at real brokers: NATS with our auth callout, and Debian's mosquitto with mTLS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from firmware_sim.core.core import Settings
from firmware_sim.core.events import ButtonPressed, RadioConnected, RadioMessage
from firmware_sim.links.drive import Driver
from firmware_sim.links.memory import MemoryMedium
from firmware_sim.links.mqtt import BrokerAddress, MqttLink
from firmware_sim.links.mqtt_light import LightMqttLink
from lockserver.domain.lock import hash_broker_secret
from lockserver.mqtt.authorise import KnownLock
from lockserver.protocol.journal import Entry, Head, verify_chain
from lockserver.protocol.reports import (
    Applied,
    Hello,
    JournalBatch,
    Outcome,
    Report,
    Result,
    TimeRequest,
)
from lockserver.protocol.topics import command_topic, report_topic, shard
from tests.contract.broker.brokers import (
    HOST,
    MOSQUITTO,
    MosquittoUnderTest,
    NatsUnderTest,
    Station,
    connect,
)
from tests.support.site import Enrolled, Site, ask_claim, burn, claim_offer


class DeafRadio:
    """Keeps what the lock says, for an enrolment without a radio."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def send(self, _connection: int, data: bytes) -> None:
        self.said.append(data)

    def close(self, _connection: int) -> None:
        pass

    def advertise(self, _tag: bytes, *, claimable: bool) -> None:
        pass


@dataclass
class Bridge:
    """The server at the other end: opens what comes, answers questions for the time."""

    site: Site
    lock: Enrolled
    station: Station
    answer_time: bool = True
    reports: list[Report] = field(default_factory=list)
    _read: int = 0

    async def until(self, wanted: Callable[[Report], bool], seconds: float = 10) -> Report:
        async with asyncio.timeout(seconds):
            while True:
                for report in self._news():
                    if wanted(report):
                        return report
                await asyncio.sleep(0.005)

    async def journal_up_to(self, number: int) -> list[Entry]:
        def entries() -> list[Entry]:
            return [e for r in self.reports if isinstance(r, JournalBatch) for e in r.entries]

        async with asyncio.timeout(10):
            while not any(e.number >= number for e in entries()):
                self._news()
                await asyncio.sleep(0.005)
        return entries()

    def send(self, sealed: bytes) -> None:
        assert self.station.link.publish(command_topic(self.lock.lock_id), sealed)

    def _news(self) -> list[Report]:
        self.site.now = int(time.time())
        got = self.station.received[self._read :]
        self._read = len(self.station.received)
        fresh = [self.site.open(self.lock, payload).report for _topic, payload, _ in got]
        for report in fresh:
            if isinstance(report, TimeRequest) and self.answer_time:
                self.send(self.site.documents(self.lock, self.site.time(self.lock, report.nonce)))
        self.reports += fresh
        return fresh


@dataclass
class Place:
    driver: Driver
    mqtt: MqttLink | LightMqttLink
    bridge: Bridge
    broker: NatsUnderTest | MosquittoUnderTest


def device_ca(broker: MosquittoUnderTest) -> Callable[[bytes, bytes], bytes]:
    def certify(lock_id: bytes, public: bytes) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, lock_id.hex())])
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        builder = broker.authority._builder(name, key)
        return builder.sign(broker.authority.key, hashes.SHA256()).public_bytes(Encoding.DER)

    return certify


@asynccontextmanager
async def place(kind: str, folder: Path) -> AsyncIterator[Place]:
    broker = MosquittoUnderTest(folder, []) if kind == "mosquitto" else NatsUnderTest(folder, [])
    await broker.start()
    site = Site(now=int(time.time()))
    ca = None
    if isinstance(broker, MosquittoUnderTest):
        site.certify = device_ca(broker)
        ca, port = broker.authority.root, broker.port
    else:
        port = broker.mqtt_port
    driver = Driver(burn(), MemoryMedium(), settings=Settings(auto_lock=0))
    link = LightMqttLink if kind == "nats, light client" else MqttLink
    mqtt = link(BrokerAddress(HOST, port, ca), driver.feed)
    radio = DeafRadio()
    driver.radio = radio
    driver.power_on()
    driver.feed(ButtonPressed())
    driver.feed(RadioConnected(1))
    driver.feed(RadioMessage(1, ask_claim(site.holder())))
    e3, lock = site.enrol(claim_offer(radio.said[-1]), driver.factory.claim_code)
    if isinstance(broker, NatsUnderTest):
        name = lock.lock_id.hex()
        broker.directory.known[name] = KnownLock(
            name, shard(lock.lock_id), "active", hash_broker_secret(lock.broker_secret), b""
        )
    station = await connect(broker.bridge())
    await station.link.subscribe([report_topic(lock.lock_id)])
    driver.broker = mqtt
    driver.feed(RadioMessage(1, e3))
    try:
        yield Place(driver, mqtt, Bridge(site, lock, station), broker)
    finally:
        driver.power_off()
        await mqtt.stop()
        await station.link.close()
        await broker.stop()


KINDS = [
    "nats",
    "nats, light client",
    pytest.param(
        "mosquitto",
        marks=[
            pytest.mark.mosquitto,
            pytest.mark.skipif(MOSQUITTO is None, reason="Debian's mosquitto is not here"),
        ],
    ),
]


def is_done(command_id: bytes) -> Callable[[Report], bool]:
    return lambda r: isinstance(r, Result) and r.command_id == command_id


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lock_says_hello_opens_on_command_and_its_journal_arrives(kind: str, tmp_path: Path) -> None:
    async with place(kind, tmp_path) as here:
        bridge, site, lock = here.bridge, here.bridge.site, here.bridge.lock
        await bridge.until(lambda r: isinstance(r, Hello))
        sealed, command = site.unlock(lock, site.holder())
        bridge.send(sealed)
        result = await bridge.until(is_done(command.command_id))
        assert isinstance(result, Result)
        assert result.outcome is Outcome.DONE
        assert here.driver.mechanics.openings == 1
        entries = await bridge.journal_up_to(result.journal_number or 0)
        chain = verify_chain(Head(), entries)
        assert not chain.flaws
        bridge.send(site.documents(lock, site.state(lock, version=1, epoch=3, occupied=True)))
        applied = await bridge.until(lambda r: isinstance(r, Applied) and r.state_version == 1)
        assert isinstance(applied, Applied)
        assert (applied.epoch, applied.occupied) == (3, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_L15_a_lock_whose_network_was_cut_opens_late_for_nobody(kind: str, tmp_path: Path) -> None:
    """The command waits at a hostile broker until the lock is back: delivered then, it opens nothing."""
    async with place(kind, tmp_path) as here:
        bridge, site, lock = here.bridge, here.bridge.site, here.bridge.lock
        await bridge.until(lambda r: isinstance(r, Hello))
        here.mqtt.cut_network()
        sealed, late = site.unlock(lock, site.holder(), life=1)
        bridge.send(sealed)  # into the void: nothing is kept for an absent lock
        await asyncio.sleep(2.1)
        assert here.driver.mechanics.openings == 0
        here.mqtt.heal()
        await bridge.until(lambda r: isinstance(r, Hello))
        assert here.driver.mechanics.openings == 0, "no broker kept it"
        bridge.send(sealed)  # ... and a hostile one delivers it now
        result = await bridge.until(is_done(late.command_id))
        assert isinstance(result, Result)
        assert result.outcome is Outcome.REFUSED
        assert here.driver.mechanics.openings == 0
        again, command = site.unlock(lock, site.holder())
        bridge.send(again)
        fresh = await bridge.until(is_done(command.command_id))
        assert isinstance(fresh, Result)
        assert fresh.outcome is Outcome.DONE, "the honest one still opens"


@pytest.mark.parametrize("kind", ["nats", "nats, light client"])
async def test_a_killed_broker_is_found_again_and_a_hello_says_where_we_stand(
    kind: str, tmp_path: Path
) -> None:
    async with place(kind, tmp_path) as here:
        assert isinstance(here.broker, NatsUnderTest)
        await here.bridge.until(lambda r: isinstance(r, Hello))
        assert here.broker.callout is not None
        await here.broker.callout.close()
        await asyncio.to_thread(here.broker.server.kill)
        for _ in range(500):
            if not here.mqtt.up:
                break
            await asyncio.sleep(0.01)
        assert not here.mqtt.up
        await here.broker.start()
        station = await connect(here.broker.bridge())
        await station.link.subscribe([report_topic(here.bridge.lock.lock_id)])
        bridge = Bridge(here.bridge.site, here.bridge.lock, station)
        await bridge.until(lambda r: isinstance(r, Hello), seconds=30)
        bridge.send(bridge.site.say_hello(bridge.lock))
        await bridge.until(lambda r: isinstance(r, Hello))
        await station.link.close()
