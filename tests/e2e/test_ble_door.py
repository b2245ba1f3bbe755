"""A phone opens a simulated lock over real Bluetooth layers, in one process and over HCI on TCP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from firmware_sim.core.core import Settings
from firmware_sim.core.events import ButtonPressed
from firmware_sim.links.ble import BleLink, Peripheral, static_address
from firmware_sim.links.drive import Driver
from firmware_sim.links.memory import MemoryMedium
from firmware_sim.links.radio import Ether
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.enrolment import DoorKind, read_e3
from lockserver.protocol.errors import AirCode
from lockserver.protocol.journal import Head, What, verify_chain
from lockserver.protocol.reports import Hello, JournalBatch
from mobile_api.phone.door import DoorKey, claim, visit
from mobile_api.phone.radio import PhoneRadio
from tests.support.site import Enrolled, Holder, Site, burn


@dataclass
class Room:
    ether: Ether
    driver: Driver
    site: Site
    radio: PhoneRadio
    enrolled: Enrolled | None = None

    def key(self, holder: Holder, *documents, **claims) -> DoorKey:
        assert self.enrolled is not None
        return DoorKey(
            self.enrolled.lock_id,
            self.enrolled.sign_public,
            self.site.credential(self.enrolled, holder, **claims),
            documents,
        )

    async def enrol(self, kind: DoorKind = DoorKind.ROOM) -> Hello:
        async def at_the_server(offer: bytes) -> tuple[bytes, bytes]:
            e3, self.enrolled = self.site.enrol(offer, self.driver.factory.claim_code, kind=kind)
            return read_e3(e3)

        self.driver.feed(ButtonPressed())
        report = await claim(
            self.radio, self.driver.factory.serial, self.site.holder().signer, at_the_server
        )
        assert self.enrolled is not None
        hello = self.site.open(self.enrolled, report).report
        assert isinstance(hello, Hello)
        return hello


@asynccontextmanager
async def a_room(*, over_tcp: bool) -> AsyncIterator[Room]:
    import time

    ether = Ether()
    driver = Driver(burn(), MemoryMedium(), settings=Settings(auto_lock=0))
    link = BleLink(driver.feed)
    driver.radio = link
    address = static_address(driver.factory.serial.encode())
    if over_tcp:
        host, port = await ether.listen("127.0.0.1", 0)
        radio = await PhoneRadio.open(f"tcp:{host}:{port}")
    else:
        radio = await PhoneRadio.beside(ether.controller("phone"))
    link.attach(Peripheral.beside(ether.controller("lock"), "lock", address, link))
    driver.power_on()
    await link.start()
    try:
        yield Room(ether, driver, Site(now=int(time.time())), radio)
    finally:
        driver.power_off()
        await link.stop()
        await radio.close()
        await ether.close()


@pytest.mark.parametrize("over_tcp", [False, True])
async def test_a_phone_claims_a_lock_and_a_tenant_opens_it(over_tcp: bool) -> None:
    async with a_room(over_tcp=over_tcp) as room:
        hello = await room.enrol()
        assert hello.attested
        tenant = room.site.holder()
        result = await visit(room.radio, room.key(tenant), tenant.signer)
        assert result.answer.code is AirCode.GRANTED
        assert result.answer.bolt is BoltState.UNLOCKED
        assert room.driver.mechanics.openings == 1
        reports = [room.site.open(room.enrolled, r).report for r in result.reports]
        entries = [e for r in reports if isinstance(r, JournalBatch) for e in r.entries]
        chain = verify_chain(Head(), entries)
        assert not chain.flaws
        assert chain.accepted[-1].what is What.UNLOCKED
        assert chain.head == result.answer.journal
        assert room.radio.count.total > 0
