"""A phone opens a simulated lock over real Bluetooth layers, in one process and over HCI on TCP."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from bumble import hci

from firmware_sim.core.core import Settings
from firmware_sim.core.events import ButtonPressed, Effect, Event, RadioMessage
from firmware_sim.core.rtc import Moment
from firmware_sim.links.ble import BleLink, Peripheral, static_address
from firmware_sim.links.drive import Driver
from firmware_sim.links.memory import MemoryMedium
from firmware_sim.links.radio import Ether
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.carried import SignedDocument
from lockserver.protocol.enrolment import DoorKind, read_e3
from lockserver.protocol.errors import AirCode, Denial, RemoteError
from lockserver.protocol.handshake import M1
from lockserver.protocol.journal import Head, What, verify_chain
from lockserver.protocol.reports import Hello, JournalBatch
from mobile_api.phone.bundle import b64
from mobile_api.phone.door import DoorKey, claim, visit
from mobile_api.phone.errors import RefusedError
from mobile_api.phone.phone import Phone
from mobile_api.phone.radio import PhoneRadio
from tests.support.site import Enrolled, Holder, Site, burn

ACL_VALUE = 12
"""Bytes before an attribute value: H4 1, ACL 4, L2CAP 4, ATT opcode and handle 3."""


@dataclass
class Room:
    ether: Ether
    driver: Driver
    site: Site
    radio: PhoneRadio
    address: str = ""
    enrolled: Enrolled | None = None

    def key(self, holder: Holder, *documents: SignedDocument, **claims: object) -> DoorKey:
        assert self.enrolled is not None
        return DoorKey(
            self.enrolled.lock_id,
            self.enrolled.sign_public,
            self.site.credential(self.enrolled, holder, **claims),
            documents,
        )

    def kit(self, holder: Holder) -> dict[str, Any]:
        """What a sync would answer."""
        assert self.enrolled is not None
        return {
            "site_root": b64(self.site.root.public),
            "key_set": b64(self.site.key_set),
            "doors": [
                {
                    "name": "room 1",
                    "kind": "room",
                    "door": b64(self.site.door(self.enrolled)),
                    "credential": b64(self.site.credential(self.enrolled, holder)),
                    "revocation_list": b64(self.site.revocation(self.enrolled).raw),
                }
            ],
        }

    async def enrol(self, kind: DoorKind = DoorKind.ROOM) -> Hello:
        async def at_the_server(offer: bytes) -> tuple[bytes, bytes]:
            e3, self.enrolled = self.site.enrol(offer, self.driver.factory.claim_code, kind=kind)
            return read_e3(e3)

        self.driver.feed(ButtonPressed())
        report = await claim(self.radio, self.driver.factory.serial, self.site.holder().signer, at_the_server)
        assert self.enrolled is not None
        hello = self.site.open(self.enrolled, report).report
        assert isinstance(hello, Hello)
        return hello


@asynccontextmanager
async def a_room(*, over_tcp: bool) -> AsyncIterator[Room]:
    ether = Ether()
    driver = Driver(burn(), MemoryMedium(), settings=Settings(auto_lock=0))
    link = BleLink(driver.feed)
    driver.radio = link
    address = static_address(driver.factory.serial.encode())
    spec = ""
    if over_tcp:
        host, port = await ether.listen("127.0.0.1", 0)
        spec = f"tcp:{host}:{port}"
        radio = await PhoneRadio.open(spec)
    else:
        radio = await PhoneRadio.beside(ether.controller("phone"))
    link.attach(Peripheral.beside(ether.controller("lock"), "lock", address, link))
    driver.power_on()
    await link.start()
    try:
        yield Room(ether, driver, Site(now=int(time.time())), radio, spec)
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
        assert room.enrolled is not None
        reports = [room.site.open(room.enrolled, r).report for r in result.reports]
        entries = [e for r in reports if isinstance(r, JournalBatch) for e in r.entries]
        chain = verify_chain(Head(), entries)
        assert not chain.flaws
        assert chain.accepted[-1].what is What.UNLOCKED
        assert chain.head == result.answer.journal
        assert room.radio.count.total > 0


async def test_a_phone_in_a_process_of_its_own_opens_with_no_socket_but_the_radio(tmp_path: Path) -> None:
    async with a_room(over_tcp=True) as room:
        await room.enrol()
        assert room.enrolled is not None
        phone = Phone.fresh(tmp_path / "phone.json")
        holder = Holder(phone.bundle.signing, room.site.random(16))
        phone.take(room.kit(holder))
        assert (tmp_path / "phone.json").stat().st_mode & 0o077 == 0
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mobile_api.phone.offline",
            "--bundle",
            str(tmp_path / "phone.json"),
            "--radio",
            room.address,
            "--lock",
            str(UUID(bytes=room.enrolled.lock_id)),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        said = json.loads(out)
        assert process.returncode == 0, said
        assert (said["ok"], said["code"], said["bolt"]) == (True, "granted", "unlocked")
        assert room.driver.mechanics.openings == 1
        radio = room.address.removeprefix("tcp:")
        named = [s for s in said["sockets"] if s["family"] != "AF_UNIX"]
        assert [s["peer"] for s in named] == [radio]
        assert all(s["peer"] == "(unnamed)" for s in said["sockets"] if s["family"] == "AF_UNIX")
        assert {a["where"] for a in said["network_acts"] if a["act"] == "connect"} == {radio}
        assert said["hci_packets"] > 50
        again = Phone.load(tmp_path / "phone.json")
        assert again.bundle.reports, "it carried the journal out"
        assert room.driver.lock is not None
        held = room.driver.lock.held
        assert held is not None
        assert held.list_number == 1, "and the list in"


async def test_a_phone_that_carries_nothing_leaves_the_lock_as_it_was() -> None:
    async with a_room(over_tcp=False) as room:
        await room.enrol()
        assert room.enrolled is not None
        phone = Phone.fresh()
        phone.take(room.kit(Holder(phone.bundle.signing, room.site.random(16))))
        assert (await phone.open(room.radio, room.enrolled.lock_id, carry=False)).opened
        assert room.driver.lock is not None
        held = room.driver.lock.held
        assert held is not None
        assert held.list_number == 0


async def test_a_listener_on_the_radio_learns_neither_key_nor_holder() -> None:
    async with a_room(over_tcp=False) as room:
        await room.enrol()
        assert room.enrolled is not None
        heard: list[bytes] = []
        for controller in room.ether.link.controllers:
            whole = controller.on_hci_packet

            def listen(packet: Any, whole: Any = whole) -> None:
                heard.append(bytes(packet))
                whole(packet)

            controller.on_hci_packet = listen  # type: ignore[method-assign]
        tenant = room.site.holder()
        key = room.key(tenant)
        assert (await visit(room.radio, key, tenant.signer)).opened
        # ATT cuts messages into fragments; a secret may lie across two, so look for parts of it
        acl = b"".join(packet[ACL_VALUE:] for packet in heard if packet[0] == hci.HCI_ACL_DATA_PACKET)
        assert b"\x01\x01\x04" in acl, "M1 in clear: the listener does hear them"
        secrets = {
            "credential": key.credential[60:],
            "holder's key": tenant.public[1:],
            "pseudonym": tenant.subject,
            "lock id": room.enrolled.lock_id,
            "lock's key": room.enrolled.sign_public[1:],
        }
        for name, secret in secrets.items():
            parts = [secret[at : at + 8] for at in range(len(secret) - 7)]
            assert not [part for part in parts if part in acl], name


async def test_a_phone_that_phones_home_would_be_seen(tmp_path: Path) -> None:
    """The mutant: one more connection, and both witnesses name it."""
    script = (
        "from mobile_api.phone.sockets import watch, open_sockets\n"
        "w = watch()\n"
        "import socket, json\n"
        "s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname())\n"
        "print(json.dumps([open_sockets(), w.acts, list(s.getsockname())]))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    sockets, acts, (host, port) = json.loads(out)
    assert f"{host}:{port}" in [s["peer"] for s in sockets]
    assert {"act": "connect", "where": f"{host}:{port}"} in acts


async def test_the_tenant_is_told_coarsely_and_the_journal_exactly() -> None:
    async with a_room(over_tcp=False) as room:
        await room.enrol()
        tenant = room.site.holder()
        old = room.key(tenant, nbf=room.site.now - 7200, exp=room.site.now - 3600)
        result = await visit(room.radio, old, tenant.signer)
        assert (result.opened, result.answer.code) == (False, AirCode.DENIED)
        stranger = room.site.holder()
        with pytest.raises(RefusedError):
            await visit(room.radio, room.key(tenant), stranger.signer)
        assert room.driver.mechanics.openings == 0
        assert room.driver.lock is not None
        denials = [e.denial for e in room.driver.lock.journal.held if e.denial]
        assert denials == [Denial.EXPIRED, Denial.BAD_PROOF]


async def test_L03_a_phone_says_nothing_of_its_holder_to_a_false_lock() -> None:
    async with a_room(over_tcp=False) as room:
        await room.enrol()
        tenant = room.site.holder()
        pinned = replace(room.key(tenant), lock_public=room.site.holder().public)
        heard: list[bytes] = []
        lock = room.driver.lock
        assert lock is not None
        whole = lock.step

        def listen(event: Event, at: Moment) -> list[Effect]:
            if isinstance(event, RadioMessage):
                heard.append(event.data)
            return whole(event, at)

        lock.step = listen  # type: ignore[method-assign]
        with pytest.raises(RemoteError, match="bad_signature"):
            await visit(room.radio, pinned, tenant.signer)
        assert [data[0] for data in heard] == [M1], "one hello with a fresh key, and nothing more"
        assert room.driver.mechanics.openings == 0
