"""A lock that nobody owns comes to the broker, is enrolled there and comes back as itself; then its firmware."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from firmware_sim.core.core import Settings
from firmware_sim.core.enrol import login_offer
from firmware_sim.core.events import ButtonPressed
from firmware_sim.core.identity import FactoryIdentity
from firmware_sim.core.image import build_image
from firmware_sim.factory import make_lock, open_ca, sign_image
from firmware_sim.links.drive import Driver
from firmware_sim.links.flash_file import FileMedium
from firmware_sim.links.login import Login, factory_login
from firmware_sim.links.mqtt import BrokerAddress, MqttLink
from firmware_sim.links.mqtt_light import LightMqttLink
from lockserver.domain.lock import hash_broker_secret
from lockserver.keys.devices import FactoryTrust
from lockserver.mqtt.authorise import KnownLock
from lockserver.mqtt.callout import Callout
from lockserver.protocol.commands import Command, CommandKind, FirmwareBody
from lockserver.protocol.curve import private_key, public_bytes
from lockserver.protocol.enrolment import E2, E4, read_e4, write_e1
from lockserver.protocol.handshake import REFUSAL
from lockserver.protocol.limits import MAX_CHUNK
from lockserver.protocol.reports import FirmwareState, Hello
from lockserver.protocol.topics import ENROL_FILTER, command_topic, enrol_down, enrol_up, report_topic, shard
from lockserver.run.roles.bridge import Makers
from tests.contract.broker.brokers import (
    HOST,
    MOSQUITTO,
    MosquittoUnderTest,
    NatsUnderTest,
    Station,
    connect,
)
from tests.support.site import Enrolled, Site, burn, claim_offer, source

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


class NatsWithMakers(NatsUnderTest):
    """The callout that also judges locks without identity."""

    makers: Makers

    async def start(self) -> None:
        await super().start()
        assert self.callout is not None
        await self.callout.close()
        self.callout = Callout(
            self.settings, self.signer, self.directory, lambda: int(time.time()), factories=self.makers
        )
        await self.callout.open()


class MosquittoWithMakers(MosquittoUnderTest):
    """A certificate's name is a serial or a lock id; each reaches its own topics."""

    acl = (
        MosquittoUnderTest.acl
        + "pattern write e/%u/up\npattern read e/%u/down\n"
        + "user bridge-0\ntopic read e/+/up\ntopic write e/+/down\n"
    )


@dataclass
class Yard:
    """A broker, a lock fresh from the factory, and a server that only knows how to enrol."""

    kind: str
    folder: Path
    broker: NatsWithMakers | MosquittoWithMakers
    factory: FactoryIdentity
    driver: Driver
    link: MqttLink | LightMqttLink
    station: Station
    site: Site
    address: BrokerAddress

    async def ask(self, message: bytes, wanted: int | None, seconds: float = 10) -> bytes:
        """Send a message to the unowned lock; its next answer of that kind (None: any)."""
        read = len(self.station.received)
        self.station.link.publish(enrol_down(self.factory.serial), message)
        async with asyncio.timeout(seconds):
            while True:
                for topic, payload, _ in self.station.received[read:]:
                    assert topic == enrol_up(self.factory.serial)
                    if wanted is None or payload[0] == wanted:
                        return payload
                await asyncio.sleep(0.01)

    async def until(self, true: Callable[[], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.01)

    async def more_than(self, count: int) -> None:
        """Wait for another message."""
        await self.until(lambda: len(self.station.received) > count)

    def knows(self, lock_id: bytes, secret: bytes) -> None:
        if isinstance(self.broker, NatsUnderTest):
            name = lock_id.hex()
            row = KnownLock(name, shard(lock_id), "active", hash_broker_secret(secret), b"")
            self.broker.directory.known[name] = row

    @property
    def lock_id(self) -> bytes | None:
        found = None if self.driver.lock is None else self.driver.lock.identity
        return None if found is None else found.lock_id


@asynccontextmanager
async def yard(kind: str, folder: Path) -> AsyncIterator[Yard]:
    ca = open_ca(folder / "factory")
    factory = make_lock(folder / "factory", ca)
    broker: NatsWithMakers | MosquittoWithMakers
    site = Site(source(5), now=int(time.time()))
    if kind.startswith("nats"):
        broker = NatsWithMakers(folder, [])
        broker.makers = Makers(FactoryTrust((ca.certificate,)))
        await broker.start()
        address = BrokerAddress(HOST, broker.mqtt_port)
    else:
        broker = MosquittoWithMakers(folder, [])
        factory = certified(broker, factory)
        await broker.start()
        address = BrokerAddress(HOST, broker.port, broker.authority.root)
        site.certify = lambda lock_id, public: leaf(broker, lock_id.hex(), public)
    station = await connect(broker.bridge())
    await station.link.subscribe([ENROL_FILTER])
    settings = Settings(auto_lock=0, network_enrolment=True)
    medium = FileMedium(folder / "lock.flash")
    driver = Driver(factory, medium, settings=settings)
    link = (LightMqttLink if kind == "nats, light client" else MqttLink)(address, driver.feed)
    driver.broker = link
    driver.power_on()
    try:
        yield Yard(kind, folder, broker, factory, driver, link, station, site, address)
    finally:
        driver.power_off()
        await link.stop()
        await station.link.close()
        await broker.stop()
        medium.close()


def leaf(broker: MosquittoUnderTest, name: str, public: bytes) -> bytes:
    """A device certificate by the broker's own authority."""
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    signed = broker.authority._builder(subject, key).sign(broker.authority.key, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def certified(broker: MosquittoUnderTest, factory: FactoryIdentity) -> FactoryIdentity:
    """For mosquitto manufacturer and site are one authority: it trusts one file."""
    return replace(factory, certificate=leaf(broker, factory.serial, factory.signer.public))


async def enrolled(here: Yard) -> tuple[Enrolled, bytes]:
    """Claim the lock over the broker. (what the server knows of it, E4's box)."""
    owner = here.site.holder()
    await here.until(lambda: here.link.up)
    assert await here.ask(write_e1(owner.public), None) == REFUSAL, "before the button nobody gets an offer"
    here.driver.feed(ButtonPressed())
    e2 = await here.ask(write_e1(owner.public), E2)
    assert await here.ask(write_e1(owner.public), E2) == e2, "asked twice, it is one offer"
    e3, lock = here.site.enrol(claim_offer(e2), here.factory.claim_code)
    here.knows(lock.lock_id, lock.broker_secret)
    await here.station.link.subscribe([report_topic(lock.lock_id)])
    e4 = await here.ask(e3, E4)
    return lock, read_e4(e4)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lock_is_enrolled_over_the_broker_and_comes_back_as_itself(kind: str, tmp_path: Path) -> None:
    async with yard(kind, tmp_path) as here:
        lock, box = await enrolled(here)
        assert here.lock_id == lock.lock_id
        assert isinstance(here.site.open(lock, box).report, Hello)
        topic = report_topic(lock.lock_id)
        await here.until(lambda: any(t == topic for t, *_ in here.station.received))
        await here.until(lambda: here.link.up)
        here.station.link.publish(command_topic(lock.lock_id), here.site.say_hello(lock))
        read = len(here.station.received)
        await here.until(lambda: len(here.station.received) > read)
        assert await silent(here), "nobody answers any more under the factory's name"


async def silent(here: Yard) -> bool:
    try:
        await here.ask(write_e1(here.site.holder().public), None, seconds=1)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_claim_code_enrols_nothing_over_the_broker(kind: str, tmp_path: Path) -> None:
    async with yard(kind, tmp_path) as here:
        await here.until(lambda: here.link.up)
        here.driver.feed(ButtonPressed())
        e2 = await here.ask(write_e1(here.site.holder().public), E2)
        e3, _ = here.site.enrol(claim_offer(e2), b"not the code, 16")
        assert await here.ask(e3, None) == REFUSAL
        assert here.lock_id is None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lock_that_was_let_go_waits_at_the_broker_for_its_next_owner(
    kind: str, tmp_path: Path
) -> None:
    async with yard(kind, tmp_path) as here:
        lock, _ = await enrolled(here)
        await here.until(lambda: here.link.up)
        order = here.site.documents(lock, here.site.release(lock))
        here.station.link.publish(command_topic(lock.lock_id), order)
        await here.until(lambda: here.lock_id is None)
        await here.until(lambda: here.link.up)
        again, _ = await enrolled(here)
        assert again.lock_id != lock.lock_id


async def refused(here: Yard, login: Login) -> bool:
    """Whether the broker shuts this out."""
    link = MqttLink(here.address, lambda _event: None)
    link.login(login)
    try:
        await here.until(lambda: link.up, seconds=2)
    except TimeoutError:
        return True
    finally:
        await link.stop()
    return False


async def test_only_a_lock_of_the_factory_waits_at_the_broker_and_only_under_its_name(tmp_path: Path) -> None:
    async with yard("nats", tmp_path) as here:
        await here.until(lambda: here.link.up)
        fresh = source(9)
        stranger = burn(4, "LSIM-2026-0000000404")
        other = make_lock(here.folder / "factory", open_ca(here.folder / "factory"))
        assert await refused(here, factory_login(stranger, fresh)), "of no maker that we know"
        as_other = replace(factory_login(other, fresh), name=f"factory-{here.factory.serial}")
        assert await refused(here, as_other), "under another lock's serial"
        here.driver.feed(ButtonPressed())
        e2 = await here.ask(write_e1(public_bytes(private_key(fresh))), E2)
        with_offer = replace(factory_login(here.factory, fresh), secret=lambda: claim_offer(e2))
        assert await refused(here, with_offer), "with an offer that landlord and server have seen"
        assert not await refused(here, factory_login(other, fresh)), "while a real one is let in"
        assert login_offer(other, fresh) != login_offer(other, fresh), "with a fresh word each time"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_update_goes_through_a_real_broker_piece_by_piece(kind: str, tmp_path: Path) -> None:
    async with yard(kind, tmp_path) as here:
        lock, _ = await enrolled(here)
        await here.until(lambda: here.link.up)
        image = build_image("2.0.0", source(6)(20 * MAX_CHUNK + 77))
        manifest = sign_image(here.folder / "factory", image, 9, "2.0.0")
        read = len(here.station.received)
        here.station.link.publish(command_topic(lock.lock_id), piece(here, lock, manifest, 0, None))
        async with asyncio.timeout(60):
            while True:
                await here.more_than(read)
                got, read = here.station.received[read:], len(here.station.received)
                reports = [
                    here.site.open(lock, data).report for t, data, _ in got if t == report_topic(lock.lock_id)
                ]
                states = [r for r in reports if isinstance(r, FirmwareState)]
                if any(isinstance(r, Hello) and r.firmware == 9 for r in reports):
                    break
                if states and states[-1].offset < len(image):
                    at = states[-1].offset
                    assert states[-1].denial is None
                    chunk = image[at : at + MAX_CHUNK]
                    sealed = piece(here, lock, manifest, at, chunk)
                    here.station.link.publish(command_topic(lock.lock_id), sealed)
        assert here.driver.lock is not None
        assert here.driver.lock.position["firmware_version"] == "2.0.0"


def piece(here: Yard, lock: Enrolled, manifest: bytes, at: int, chunk: bytes | None) -> bytes:
    command = Command(here.site.random(16), CommandKind.FIRMWARE, FirmwareBody(manifest, at, chunk))
    return here.site.seal(lock, command)
