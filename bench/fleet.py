"""`fleet`: how many locks one process holds, and what each costs.

    python -m bench.fleet [--locks N] [--radios N]

- `fleet.mqtt`: N locks (the whole core, enrolled, with flash and keys) connected to a NATS server; memory a lock
  beside the broker's own for it;
- `fleet.back`: seconds until all are back after the broker was killed and started anew, jitter included;
- `fleet.ble`: memory of a lock that advertises on the simulated radio, beside the same lock without one.

Memory is the resident set of the process (or the broker's), before and after, by the number of locks.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Figure, emit, table
from firmware_sim.core.core import Settings
from firmware_sim.core.events import ButtonPressed, RadioConnected, RadioMessage
from firmware_sim.links.ble import BleLink, Peripheral, static_address
from firmware_sim.links.drive import Driver
from firmware_sim.links.memory import MemoryMedium
from firmware_sim.links.mqtt import BrokerAddress
from firmware_sim.links.mqtt_light import LightMqttLink
from firmware_sim.links.radio import Ether
from lockserver.mqtt.embedded import EmbeddedNats, Passwords
from tests.support.site import Site, ask_claim, burn, claim_offer

HOST = "127.0.0.1"
#: Connections being made at once: the broker's queue of strangers is short.
AT_ONCE = 200
#: Seconds between two advertisements of one lock that nobody stands at.
QUIET_MS = 2_000
PATIENCE_S = 300.0


class OpenNats(EmbeddedNats):
    """The embedded server without a door-keeper: this measures connections, not admission."""

    def _config(self, store: Path) -> str:
        said = super()._config(store)
        return said[: said.index("accounts {")]


class Shelf:
    """Takes what a lock says to a phone."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def send(self, _connection: int, data: bytes) -> None:
        """Keep it."""
        self.said.append(data)

    def close(self, _connection: int) -> None:
        """Nothing."""

    def advertise(self, _tag: bytes, *, claimable: bool) -> None:
        """Nothing."""


def resident(pid: int | None = None) -> int:
    """Bytes in memory of a process."""
    said = Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii")
    return int(said.split()[1]) * resource.getpagesize()


def enrolled(site: Site, number: int) -> Driver:
    """A lock of ours, as an enrolment leaves it."""
    driver = Driver(burn(number, f"LSIM-CROWD-{number:06d}"), MemoryMedium(), settings=Settings(auto_lock=0))
    shelf = Shelf()
    driver.radio = shelf
    driver.power_on()
    driver.feed(ButtonPressed())
    driver.feed(RadioConnected(1))
    driver.feed(RadioMessage(1, ask_claim(site.holder())))
    e3, _ = site.enrol(claim_offer(shelf.said[-1]), driver.factory.claim_code)
    driver.feed(RadioMessage(1, e3))
    driver.radio = None
    return driver


async def all_up(links: list[LightMqttLink]) -> float:
    """Seconds until every lock's subscription stands. Raises TimeoutError."""
    started = time.perf_counter()
    async with asyncio.timeout(PATIENCE_S):
        while not all(link.up for link in links):
            await asyncio.sleep(0.05)
    return time.perf_counter() - started


async def over_mqtt(site: Site, count: int, folder: Path) -> list[Figure]:
    """Connect all, weigh, kill the broker, wait for all."""
    broker = OpenNats(folder, callout_issuer="", passwords=Passwords("", "", ""))
    await asyncio.to_thread(broker.start)
    try:
        gc.collect()
        empty, broker_empty = resident(), resident(_pid(broker))
        drivers = [enrolled(site, number) for number in range(count)]
        gc.collect()
        locks = resident()
        links: list[LightMqttLink] = []
        for driver in drivers:
            link = LightMqttLink(BrokerAddress(HOST, broker.mqtt_port), driver.feed)
            driver.broker = link
            if driver.lock is not None and driver.lock.identity is not None:
                link.identity(driver.lock.identity)
            links.append(link)
            if len(links) % AT_ONCE == 0:
                await all_up(links)
        await all_up(links)
        gc.collect()
        connected, broker_full = resident(), resident(_pid(broker))
        await asyncio.to_thread(broker.kill)
        while any(link.up for link in links):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(broker.start)
        back = await all_up(links)
        for link in links:
            await link.stop()
        for driver in drivers:
            driver.power_off()
    finally:
        await asyncio.to_thread(broker.stop)
    each = (connected - locks) / count / 1024
    theirs = (broker_full - broker_empty) / count / 1024
    whole = (connected - empty) / count / 1024
    return [
        emit(Figure("fleet.mqtt", each, "KiB a lock", theirs, n=count, extra={"with_its_core_kib": whole})),
        emit(Figure("fleet.back", back, "s", n=count)),
    ]


def _pid(broker: EmbeddedNats) -> int:
    server = broker._server  # noqa: SLF001 - its memory is what we ask for
    if server is None:
        raise RuntimeError("the broker does not run")
    return server.pid


async def over_radio(count: int) -> list[Figure]:
    """Locks that advertise, and the same locks before they had a radio."""
    gc.collect()
    empty = resident()
    drivers = [
        Driver(burn(number, f"LSIM-AIR-{number:08d}"), MemoryMedium(), settings=Settings(auto_lock=0))
        for number in range(count)
    ]
    links = [BleLink(driver.feed) for driver in drivers]
    for driver, link in zip(drivers, links, strict=True):
        driver.radio = link
        driver.power_on()
    gc.collect()
    mute = resident()
    ether = Ether()
    for driver, link in zip(drivers, links, strict=True):
        address = static_address(driver.factory.serial.encode())
        controller = ether.controller("lock")
        link.attach(Peripheral.beside(controller, "lock", address, link, interval_ms=QUIET_MS))
        await link.start()
    gc.collect()
    told = resident()
    for driver, link in zip(drivers, links, strict=True):
        driver.power_off()
        await link.stop()
    await ether.close()
    each, beside = (told - mute) / count / 1024, (mute - empty) / count / 1024
    return [emit(Figure("fleet.ble", each, "KiB a lock", beside, n=count))]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print lines, print the table."""
    parser = argparse.ArgumentParser(prog="bench.fleet", description="Many locks in one process.")
    parser.add_argument("--locks", type=int, default=10_000)
    parser.add_argument("--radios", type=int, default=1_000)
    asked = parser.parse_args(arguments)
    logging.getLogger("bumble").setLevel(logging.CRITICAL)  # as in `lockserver sim`, and for its reason
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = asked.locks + 500
    if needed > soft:
        if needed > hard:
            print(
                f"{asked.locks} locks need {needed} open files, {hard} are allowed: ulimit -n",
                file=sys.stderr,
            )
            return 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder:
        figures = asyncio.run(over_radio(asked.radios))
        figures += asyncio.run(over_mqtt(Site(now=int(time.time())), asked.locks, Path(folder) / "broker"))
    table(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
