"""`unlock_ble`: how long a phone stands before a door.

    python -m bench.unlock_ble [--times N]

- `unlock_ble.connect`: from a known device to an open door (connect, MTU, discovery, handshake, bolt);
- `unlock_ble.handshake`: handshake and unlock alone, beside an echo of messages of the same sizes over
  the same GATT link;
- `unlock_ble.crypto`: what both sides compute in one handshake, beside the bare operations of the library;
- `unlock_ble.two_processes`: the first again, the locks in a process of their own, HCI over TCP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.report import Figure, emit, p50, percentile, table
from firmware_sim.control import control
from firmware_sim.core.core import Settings
from firmware_sim.core.events import ButtonPressed, Event, RadioMessage
from firmware_sim.factory import load_lock
from firmware_sim.links.ble import BleLink, Peripheral, static_address
from firmware_sim.links.drive import Driver
from firmware_sim.links.memory import MemoryMedium
from firmware_sim.links.radio import Ether
from lockserver.protocol import gatt
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.curve import private_key
from lockserver.protocol.enrolment import read_e3
from lockserver.protocol.errors import AirCode
from lockserver.protocol.handshake import Answer, LockHandshake, LockInfo, PhoneHandshake
from lockserver.protocol.journal import Head
from mobile_api.phone.conversation import Conversation, find
from mobile_api.phone.door import claim
from mobile_api.phone.radio import PhoneRadio
from tests.support.site import Enrolled, Holder, Site, burn

#: Sizes of M1 to M4 in bytes, as this handshake has them (told again from the run itself).
Sizes = tuple[int, int, int, int]


class EchoLock:
    """Answers a message of M1's size with one of M2's, and M3 with M4: GATT without thought."""

    def __init__(self, sizes: Sizes) -> None:
        self._answers = {sizes[0]: bytes(sizes[1]), sizes[2]: bytes(sizes[3])}
        self.link = BleLink(self.feed)

    def feed(self, event: Event) -> None:
        """Echo."""
        if isinstance(event, RadioMessage):
            self.link.send(event.connection, self._answers[len(event.data)])


async def attach(ether: Ether, link: BleLink, name: bytes) -> None:
    """Give a link a radio of its own."""
    controller = ether.controller(name.hex()[:8])
    link.attach(Peripheral.beside(controller, "lock", static_address(name), link))
    await link.start()


async def unlock(door: Conversation, lock: Enrolled, tenant: Holder, credential: bytes) -> Sizes:
    """One handshake that must open; the sizes of its messages."""
    phone = PhoneHandshake(lock.lock_id, lock.sign_public, private_key(secrets.token_bytes))
    m1 = phone.hello()
    m2 = await door.ask(m1)
    phone.receive_m2(m2)
    m3 = phone.request(credential, Operation.UNLOCK, tenant.signer)
    m4 = await door.ask(m3)
    if phone.receive_m4(m4).code is not AirCode.GRANTED:
        raise RuntimeError("the lock did not open: nothing was measured")
    return len(m1), len(m2), len(m3), len(m4)


@asynccontextmanager
async def room(site: Site) -> AsyncIterator[tuple[Ether, PhoneRadio, Driver, Enrolled]]:
    """A lock and a phone in one process."""
    ether = Ether()
    driver = Driver(burn(), MemoryMedium(), settings=Settings(auto_lock=0))
    link = BleLink(driver.feed)
    driver.radio = link
    driver.power_on()
    await attach(ether, link, driver.factory.serial.encode())
    radio = await PhoneRadio.beside(ether.controller("phone"))
    driver.feed(ButtonPressed())
    lock = await enrol(site, radio, driver.factory.serial, driver.factory.claim_code)
    try:
        yield ether, radio, driver, lock
    finally:
        driver.power_off()
        await link.stop()
        await radio.close()
        await ether.close()


async def enrol(site: Site, radio: PhoneRadio, serial: str, code: bytes) -> Enrolled:
    """Claim a lock for our site."""
    made: list[Enrolled] = []

    async def ask(offer: bytes) -> tuple[bytes, bytes]:
        e3, enrolled = site.enrol(offer, code)
        made.append(enrolled)
        return read_e3(e3)

    await claim(radio, serial, site.holder().signer, ask)
    return made[0]


async def one_process(site: Site, times: int) -> list[Figure]:
    """Connect and handshake, and the echo between them."""
    whole: list[float] = []
    alone: list[float] = []
    echo: list[float] = []
    async with room(site) as (ether, radio, driver, lock):
        tenant = site.holder()
        credential = site.credential(lock, tenant)
        device = await find(radio, lock.lock_id)
        async with Conversation(radio, device) as door:
            sizes = await unlock(door, lock, tenant, credential)
        mute = EchoLock(sizes)
        mute.link.advertise(gatt.tag(b"echo"), claimable=False)
        await attach(ether, mute.link, b"echo")
        echo_device = await find(radio, b"echo")
        before = driver.mechanics.openings
        for _ in range(times):
            started = time.perf_counter()
            async with Conversation(radio, device) as door:
                connected = time.perf_counter()
                await unlock(door, lock, tenant, credential)
                opened = time.perf_counter()
            whole.append(1000 * (opened - started))
            alone.append(1000 * (opened - connected))
            async with Conversation(radio, echo_device) as door:
                started = time.perf_counter()
                await door.ask(bytes(sizes[0]))
                await door.ask(bytes(sizes[2]))
                echo.append(1000 * (time.perf_counter() - started))
        if driver.mechanics.openings - before != times:
            raise RuntimeError("the door opened more or less often than it was asked")
        await mute.link.stop()
    return [
        figure("unlock_ble.connect", whole, None),
        figure("unlock_ble.handshake", alone, p50(echo), sizes=[str(size) for size in sizes]),
    ]


def figure(name: str, samples: list[float], beside: float | None, **extra: list[str]) -> Figure:
    """Median, with the tail beside it."""
    told: dict[str, float | list[str]] = {"p99": percentile(samples, 0.99), **extra}
    return emit(Figure(name, p50(samples), "ms", beside, n=len(samples), extra=told))


async def two_processes(site: Site, times: int) -> list[Figure]:
    """Locks in their own process; this one is the phone, with one socket to the radio."""
    folder = Path(tempfile.mkdtemp(prefix="bench-ble-"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "firmware_sim.main", "--locks", "1", "--data", str(folder),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        ready = json.loads(await process.stdout.readline() if process.stdout else b"")
        host, port = ready["control"].split(":")
        serial = ready["locks"][0]["serial"]
        burnt = load_lock(folder / f"{serial}.factory.json")
        radio = await PhoneRadio.open(ready["radio"])
        await control(host, int(port), do="press_button", serial=serial)
        lock = await enrol(site, radio, serial, burnt.claim_code)
        tenant = site.holder()
        credential = site.credential(lock, tenant)
        device = await find(radio, lock.lock_id)
        samples = []
        for _ in range(times):
            started = time.perf_counter()
            async with Conversation(radio, device) as door:
                await unlock(door, lock, tenant, credential)
                samples.append(1000 * (time.perf_counter() - started))
        packets = radio.count.total
        await radio.close()
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return [figure("unlock_ble.two_processes", samples, None, hci_packets=[str(packets)])]


def crypto(site: Site, times: int) -> list[Figure]:
    """Both sides of a handshake without a radio, and the bare operations in it."""
    lock_key = Holder(private_key(secrets.token_bytes), bytes(16))
    lock = Enrolled(secrets.token_bytes(16), lock_key.public, b"", b"")
    tenant = site.holder()
    credential = site.credential(lock, tenant)
    trust = site.trust()
    info = LockInfo(lock.lock_id, site.now, 1, 1, bytes(8))
    samples = []
    for _ in range(times):
        started = time.perf_counter()
        phone = PhoneHandshake(lock.lock_id, lock.sign_public, private_key(secrets.token_bytes))
        door = LockHandshake(info, lock_key.signer, private_key(secrets.token_bytes))
        phone.receive_m2(door.greet(phone.hello()))
        door.receive(phone.request(credential, Operation.UNLOCK, tenant.signer), trust)
        answer = Answer(AirCode.GRANTED, BoltState.UNLOCKED, site.now, Head())
        phone.receive_m4(door.answer(answer))
        samples.append(1000 * (time.perf_counter() - started))
    return [figure("unlock_ble.crypto", samples, p50(bare(times)))]


def bare(times: int) -> list[float]:
    """Two key pairs, two agreements, two signatures, three verifications, in milliseconds."""
    curve, algorithm = ec.SECP256R1(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    message = bytes(200)
    samples = []
    for _ in range(times):
        started = time.perf_counter()
        one, two = ec.generate_private_key(curve), ec.generate_private_key(curve)
        one.exchange(ec.ECDH(), two.public_key())
        two.exchange(ec.ECDH(), one.public_key())
        signatures = [key.sign(message, algorithm) for key in (one, two)]
        for signature, key in zip([*signatures, signatures[0]], [one, two, one], strict=True):
            key.public_key().verify(signature, message, algorithm)
        samples.append(1000 * (time.perf_counter() - started))
    return samples


def main(arguments: list[str] | None = None) -> int:
    """Measure, print lines, print the table."""
    parser = argparse.ArgumentParser(prog="bench.unlock_ble", description="A phone before a door.")
    parser.add_argument("--times", type=int, default=40)
    times = parser.parse_args(arguments).times
    logging.getLogger("bumble").setLevel(logging.CRITICAL)  # as in `lockserver sim`, and for its reason
    site = Site(secrets.token_bytes, now=int(time.time()))
    figures = crypto(site, 5 * times)
    figures += asyncio.run(one_process(site, times))
    figures += asyncio.run(two_processes(site, max(times // 4, 5)))
    table(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
