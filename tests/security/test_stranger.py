"""A client written from the page alone opens a door, in memory and over real GATT."""

import ast
import asyncio
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from cryptography.hazmat.primitives.asymmetric import ec

from firmware_sim.core.events import BoltReport, ButtonPressed, KeypadEntered, RadioConnected, RadioMessage
from firmware_sim.links.memory import MemoryLock
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.claims import Capability
from lockserver.protocol.framing import Fragmenter, Reassembler
from lockserver.protocol.reports import Hello, JournalBatch, Outcome, Report
from mobile_api.phone.bleak_bumble import backends
from tests.e2e.test_ble_door import Room, a_room
from tests.security import stranger as them
from tests.support.site import Enrolled, Holder, Site, burn, source
from tests.unit.firmware_sim.desk import Desk

MTU = 23


def kit(site: Site, lock: Enrolled) -> them.Kit:
    return them.Kit(site.root.public, site.key_set, site.door(lock))


def visitor(site: Site) -> Holder:
    """Somebody whose key the stranger made."""
    return Holder(them.new_key(), site.random(16))


class InMemory:
    """The stranger at a lock on a desk, with fragments of the smallest MTU both ways."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.connection = desk.connect()
        self._lock_hears, self._they_hear = Reassembler(), them.Stream()

    def say(self, message: bytes) -> list[bytes]:
        answers: list[bytes] = []
        for piece in them.fragments(message, MTU):
            for whole in self._lock_hears.push(piece):
                for answer in self.desk.say(self.connection, whole):
                    for back in Fragmenter(MTU).split(answer):
                        answers += self._they_hear.push(back)
        return answers


def test_a_client_written_from_the_page_opens_a_door_in_memory() -> None:
    desk = Desk()
    site, holder = desk.site, visitor(desk.site)
    documents = [
        (2, site.revocation(desk.enrolled).raw),
        (4, site.state(desk.enrolled, version=1, occupied=True).raw),
        (1, site.key_set),
    ]
    door = them.AtTheDoor(kit(site, desk.enrolled), holder.key)
    link = InMemory(desk)
    (m2,) = link.say(door.m1())
    info = door.take_m2(m2)
    assert (info.lock_id, info.list_number, info.key_set_number) == (desk.enrolled.lock_id, 0, 1)
    news = door.news(info, documents)
    assert [kind for kind, _ in news] == [2, 4], "the key set is no news"
    (m4,) = link.say(door.m3(site.credential(desk.enrolled, holder), news, them.UNLOCK))
    answer = door.take_m4(m4)
    assert (answer.code, answer.bolt) == (them.GRANTED, them.UNLOCKED)
    assert desk.lock.door.moves == [BoltState.UNLOCKED]
    said = link.say(door.pack(site.say_hello(desk.enrolled)))
    reports = [site.open(desk.enrolled, door.unpack(parcel)).report for parcel in said]
    hello = next(report for report in reports if isinstance(report, Hello))
    assert (hello.list_number, hello.state_version, hello.occupied) == (1, 1, True)


def test_their_wish_moves_a_bolt_from_afar() -> None:
    desk = Desk()
    desk.broker_up()
    holder = visitor(desk.site)
    wish = them.wish(holder.key, desk.enrolled.lock_id, them.UNLOCK, desk.site.now + 20)
    sealed, command = desk.site.unlock(desk.enrolled, holder, wish=wish)
    desk.news()
    desk.deliver(sealed)
    assert [(r.command_id, r.outcome) for r in desk.results()] == [(command.command_id, Outcome.DONE)]
    assert desk.lock.door.moves == [BoltState.UNLOCKED]


@pytest.mark.parametrize("pinned", ["another key", "another lock"])
def test_L03_they_tell_a_lock_that_is_not_the_pinned_one_nothing(pinned: str) -> None:
    desk = Desk()
    site, lock = desk.site, desk.enrolled
    other = {
        "another key": Enrolled(lock.lock_id, site.issuer.public, b"", b""),
        "another lock": Enrolled(bytes(16), lock.sign_public, b"", b""),
    }[pinned]
    door = them.AtTheDoor(kit(site, other), visitor(site).key)
    (m2,) = InMemory(desk).say(door.m1())
    with pytest.raises(them.RefusedError):
        door.take_m2(m2)
    with pytest.raises(AttributeError):
        door.m3(site.credential(lock, visitor(site)), [], them.UNLOCK)
    assert desk.lock.door.moves == []


def test_they_take_no_kit_that_their_root_did_not_sign() -> None:
    desk, elsewhere = Desk(), Site(source(9))
    root, key_set = desk.site.root.public, desk.site.key_set
    for keys, door in (
        (elsewhere.key_set, desk.site.door(desk.enrolled)),
        (key_set, elsewhere.door(desk.enrolled)),
        (key_set, key_set),
    ):
        with pytest.raises(them.RefusedError):
            them.Kit(root, keys, door)


def test_a_denial_is_told_to_them_coarsely() -> None:
    desk = Desk()
    site, holder = desk.site, visitor(desk.site)
    door = them.AtTheDoor(kit(site, desk.enrolled), holder.key)
    link = InMemory(desk)
    door.take_m2(link.say(door.m1())[0])
    weak = site.credential(desk.enrolled, holder, capabilities=Capability.LOCK)
    answer = door.take_m4(link.say(door.m3(weak, [], them.UNLOCK))[0])
    assert answer.code == them.DENIED
    assert desk.lock.door.moves == []


def test_L05_a_key_that_is_not_the_credentials_is_answered_with_one_byte() -> None:
    desk = Desk()
    site, holder = desk.site, visitor(desk.site)
    thief = them.AtTheDoor(kit(site, desk.enrolled), them.new_key())
    link = InMemory(desk)
    thief.take_m2(link.say(thief.m1())[0])
    said = link.say(thief.m3(site.credential(desk.enrolled, holder), [], them.UNLOCK))
    assert said in ([b"\x7f"], []), "at once, or held back"
    assert desk.lock.door.moves == []


def test_they_claim_a_lock_once_its_button_was_pressed() -> None:
    site, factory = Site(source(3)), burn(3)
    lock = MemoryLock(factory, source(4))
    connections = iter(range(1, 9))

    def say(connection: int, message: bytes) -> bytes:
        lock.feed(RadioMessage(connection, message))
        return lock.said[connection][-1]

    def claiming(code: bytes = factory.claim_code) -> tuple[int, them.Claiming]:
        connection = next(connections)
        lock.feed(RadioConnected(connection))
        return connection, them.Claiming(them.new_key(), factory.serial, code)

    connection, early = claiming()
    with pytest.raises(them.RefusedError, match="button"):
        early.take_e2(say(connection, early.e1()))
    for code, taken in ((bytes(16), False), (factory.claim_code, True)):
        lock.feed(ButtonPressed())
        connection, owner = claiming(code)
        offer = owner.take_e2(say(connection, owner.e1()))
        e3, enrolled = site.enrol(offer, bytes(16))  # the MAC is the phone's to make
        answer = say(connection, owner.e3(e3[2 + 32 :]))
        assert (answer != b"\x7f") is taken
        if taken:
            assert isinstance(site.open(enrolled, owner.take_e4(answer)).report, Hello)


def test_digits_reckoned_from_the_page_open_a_lock_that_was_never_told_of_them() -> None:
    desk = Desk()
    now, seed = desk.site.now, desk.enrolled.door_seed
    for digits, opened in (
        (them.offline_pin(seed, 0, 2, now - 3600), True),
        (them.offline_pin(seed, 0, 0, now), True),
        (them.offline_pin(seed, 0, 0, now), False),  # once
        (them.offline_pin(seed, 0, 2, now - 25 * 3600), False),  # never used, and a day over
        (them.offline_pin(bytes(32), 0, 2, now), False),  # another door's
    ):
        before = desk.openings
        desk.lock.feed(KeypadEntered(digits))
        assert (desk.openings > before) is opened
        desk.lock.feed(BoltReport(BoltState.LOCKED))


# ------------------------------------------------------------------------------- over GATT


async def over_gatt(room: Room, holder: ec.EllipticCurvePrivateKey, credential: bytes) -> them.Answered:
    """Find the beacon, connect, open, carry a command in and reports out."""
    assert room.enrolled is not None
    lock_id = room.enrolled.lock_id
    scanner, client_class = backends(room.radio)
    device = await BleakScanner.find_device_by_filter(
        lambda _, heard: heard.manufacturer_data.get(them.COMPANY) == them.beacon(lock_id),
        timeout=10,
        backend=scanner,
        service_uuids=[them.SERVICE],
    )
    assert device is not None
    stream, heard = them.Stream(), asyncio.Queue[bytes]()

    def notified(_: object, piece: bytearray) -> None:
        for message in stream.push(bytes(piece)):
            heard.put_nowait(message)

    async with BleakClient(device, backend=client_class) as link:

        async def say(message: bytes) -> None:
            pieces = list(them.fragments(message, link.mtu_size))
            for piece in pieces:
                await link.write_gatt_char(them.ASK, piece, response=piece is pieces[-1])

        async def hear() -> bytes:
            return await asyncio.wait_for(heard.get(), 15)

        await link.start_notify(them.ANSWER, notified)
        door = them.AtTheDoor(kit(room.site, room.enrolled), holder)
        await say(door.m1())
        door.take_m2(await hear())
        await say(door.m3(credential, [(2, room.site.revocation(room.enrolled).raw)], them.UNLOCK))
        answer = door.take_m4(await hear())
        await say(door.pack(room.site.say_hello(room.enrolled)))
        reports: list[Report] = []
        # one hello was asked for; another and the journal come unasked
        while [type(report) for report in reports if not isinstance(report, JournalBatch)] != [
            Hello,
            Hello,
        ] or not any(isinstance(report, JournalBatch) for report in reports):
            reports.append(room.site.open(room.enrolled, door.unpack(await hear())).report)
        return answer


@pytest.mark.parametrize("over_tcp", [False, True])
async def test_a_client_written_from_the_page_opens_a_door_over_gatt(over_tcp: bool) -> None:
    async with a_room(over_tcp=over_tcp) as room:
        await room.enrol()
        assert room.enrolled is not None
        holder = visitor(room.site)
        credential = room.site.credential(room.enrolled, holder)
        answer = await over_gatt(room, holder.key, credential)
        assert (answer.code, answer.bolt) == (them.GRANTED, them.UNLOCKED)
        assert room.driver.mechanics.openings == 1
        assert room.driver.lock is not None
        assert room.driver.lock.held is not None
        assert room.driver.lock.held.list_number == 1, "and the list in"


# ------------------------------------------------------------------------------- honesty


def imported(source: str) -> set[str]:
    """Top-level packages that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return {name.split(".")[0] for name in names}


def test_the_stranger_shares_no_code_with_us() -> None:
    source = Path(them.__file__).read_text(encoding="utf-8")
    theirs = {"hashlib", "hmac", "secrets", "collections", "dataclasses", "typing", "cryptography"}
    assert imported(source) == theirs
    assert imported(source + "\nfrom lockserver.protocol import cose\n") != theirs
