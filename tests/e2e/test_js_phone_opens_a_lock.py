"""A phone written in JavaScript from the page alone, at a lock written in Python: they understand each other."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from firmware_sim.core.core import Settings
from firmware_sim.core.events import (
    BrokerMessage,
    BrokerUp,
    ButtonPressed,
    CardPresented,
    KeypadEntered,
    RadioConnected,
    RadioGone,
    RadioMessage,
)
from firmware_sim.links.memory import MemoryLock
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.curve import private_key
from lockserver.protocol.documents import DoorDocument, sign_door
from lockserver.protocol.framing import Fragmenter, Reassembler
from lockserver.protocol.pin import verifier
from lockserver.protocol.reports import Captured, CapturedKind, Hello, Outcome, Result
from lockserver.protocol.request import hash_body, read_request
from lockserver.protocol.sealed import Box, box_info, seal, unseal
from lockserver.protocol.slots import Slot, SlotKind
from tests.support.site import Enrolled, Holder, Site, burn, source

SCRIPT = Path(__file__).parents[1] / "support" / "js_phone.mjs"
SERIAL = "LSIM-TEST-0000000001"
MTU = 247


@dataclass
class JsPhone:
    """The other end of the pipe. `sent` is every byte that it gave away for a lock."""

    process: subprocess.Popen[str]
    sent: list[bytes] = field(default_factory=list)

    def do(self, step: str, **given: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"step": step, **given}) + "\n")
        self.process.stdin.flush()
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.sent += [bytes.fromhex(each) for each in said.get("fragments", [])]
        return said


@pytest.fixture
def phone() -> Iterator[JsPhone]:
    node = shutil.which("node")
    assert node, "Node.js 18 or later is needed (Debian: apt install nodejs)"
    process = subprocess.Popen([node, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield JsPhone(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


@dataclass
class Hallway:
    """A lock, the site behind it, and the JavaScript phone before it. All radio goes through here."""

    phone: JsPhone
    site: Site = field(default_factory=lambda: Site(source(11)))

    def __post_init__(self) -> None:
        self.factory = burn(5, SERIAL)
        self.lock = MemoryLock(self.factory, source(12), settings=Settings(auto_lock=0))
        self.connection = 0
        self.public = bytes.fromhex(self.phone.do("keys")["public"])
        self.enrolled = self._enrol()

    def connect(self) -> None:
        self.lock.feed(RadioGone(self.connection))
        self.connection += 1
        self.reassembler = Reassembler()
        self.lock.feed(RadioConnected(self.connection))

    def over_the_air(self, fragments: list[str], *, bend: bool = False) -> list[str]:
        """The lock's answer, in fragments; `bend`: somebody in between changes one bit of it."""
        before = len(self.lock.said.get(self.connection, []))
        for fragment in fragments:
            for message in self.reassembler.push(bytes.fromhex(fragment)):
                self.lock.feed(RadioMessage(self.connection, message))
        answers = self.lock.said.get(self.connection, [])[before:]
        if bend:
            answers = [each[:-1] + bytes([each[-1] ^ 1]) for each in answers]
        return [part.hex() for each in answers for part in Fragmenter(MTU).split(each)]

    def _enrol(self) -> Enrolled:
        self.lock.feed(ButtonPressed())
        self.connect()
        e2 = self.over_the_air(self.phone.do("enrol")["fragments"])
        offer = bytes.fromhex(self.phone.do("e2", fragments=e2, serial=SERIAL)["offer"])
        signed, enrolled = self.site.enrol(offer, bytes(16))  # the site does not know the claim code
        document = signed[2 + 32 :]
        e3 = self.phone.do("e3", claim_code=self.factory.claim_code.hex(), document=document.hex())
        e4 = self.phone.do("e4", fragments=self.over_the_air(e3["fragments"]))
        hello = self.site.open(enrolled, bytes.fromhex(e4["box"])).report
        assert isinstance(hello, Hello)
        return enrolled

    def give_key(self, *, door: bytes | None = None, **claims: object) -> bytes:
        """Door document and credential for this phone's key; the credential's id."""
        holder = _Named(self.public, bytes(range(16)))
        made = self.site.claims(self.enrolled, holder, **claims)  # type: ignore[arg-type]
        credential = self.site.credential(self.enrolled, holder, **(claims | {"cti": made.cti}))  # type: ignore[arg-type]
        said = self.phone.do(
            "pin",
            root=self.site.root.public.hex(),
            key_set=self.site.key_set.hex(),
            door=(door or self.site.door(self.enrolled)).hex(),
            credential=credential.hex(),
        )
        assert said["mine"], said
        self.secrets = [made.subject, made.cti, self.public, self.public[1:33], credential]
        self.phone.sent.clear()  # E1 told the owner's key, as it must
        return made.cti

    def approach(self) -> dict[str, Any]:
        """Up to and with M2."""
        self.connect()
        return self.phone.do("m2", fragments=self.over_the_air(self.phone.do("approach")["fragments"]))

    def ask(
        self, operation: str = "unlock", *, bend: bool = False, optimistic: bool = False, **brings: str
    ) -> dict[str, Any]:
        """M3 and M4."""
        m3 = self.phone.do("m3", operation=operation, **brings)
        m4 = self.over_the_air(m3["fragments"], bend=bend)
        return self.phone.do("m4", fragments=m4, optimistic=optimistic)


@dataclass
class _Named:
    """A holder whose private key is in the JavaScript process alone."""

    public: bytes
    subject: bytes


@pytest.fixture
def hallway(phone: JsPhone) -> Hallway:
    return Hallway(phone)


def _named(hallway: Hallway) -> list[bytes]:
    """What the phone gave away of its holder since the last look, in clear."""
    stream = b"".join(hallway.phone.sent)
    return [secret for secret in hallway.secrets if secret in stream]


def test_the_js_phone_enrols_a_lock_and_opens_its_door(hallway: Hallway) -> None:
    hallway.give_key()
    info = hallway.approach()
    assert (info["list"], info["key_set"]) == (0, 1)
    assert hallway.lock.door.openings == 0
    answer = hallway.ask()
    assert (answer["code"], answer["bolt"], answer["screen"]) == ("granted", "unlocked", "open")
    assert hallway.lock.door.openings == 1
    assert hallway.lock.door.state is BoltState.UNLOCKED
    assert _named(hallway) == []  # who listens learns nothing of the holder


def test_the_private_key_never_leaves_the_browser(phone: JsPhone) -> None:
    assert phone.do("keys")["extractable"] is False


def test_a_revocation_list_brought_by_the_js_phone_rules_at_once(hallway: Hallway) -> None:
    cti = hallway.give_key()
    hallway.approach()
    answer = hallway.ask(list=hallway.site.revocation(hallway.enrolled, cti).raw.hex())
    assert (answer["code"], answer["screen"]) == ("denied", "closed")
    assert hallway.lock.door.openings == 0
    assert hallway.approach()["list"] == 1


def test_a_time_statement_brought_by_the_js_phone_sets_a_lost_clock(hallway: Hallway) -> None:
    hallway.give_key()
    hallway.lock.power_off()
    hallway.lock.clocks.pull_battery(chip=0.0)
    hallway.lock.power_on()
    info = hallway.approach()
    assert info["time"] is None
    assert hallway.ask()["code"] == "clock_lost"
    nonce = bytes.fromhex(hallway.approach()["nonce"])
    statement = hallway.site.time(hallway.enrolled, nonce).raw.hex()
    assert hallway.ask(time=statement, nonce=nonce.hex())["screen"] == "open"
    assert hallway.lock.door.openings == 1


def test_parcels_between_the_js_phone_and_the_lock(hallway: Hallway) -> None:
    hallway.give_key(capabilities=Capability.UNLOCK)
    hallway.approach()
    assert hallway.ask("sync")["code"] == "granted"
    sealed = hallway.site.say_hello(hallway.enrolled)
    parcels = hallway.over_the_air(hallway.phone.do("carry", box=sealed.hex())["fragments"])
    assert parcels
    report = hallway.phone.do("report", fragments=parcels)
    assert report["kind"] == 2
    hello = hallway.site.open(hallway.enrolled, bytes.fromhex(report["box"])).report
    assert isinstance(hello, Hello)


def test_the_js_phone_has_a_card_read_in_and_carries_the_report_out(hallway: Hallway) -> None:
    cti = hallway.give_key()
    hallway.approach()
    said = hallway.ask("capture")
    assert (said["code"], said["screen"]) == ("granted", "closed"), "granted, and nothing opened"
    before = len(hallway.lock.said[hallway.connection])
    hallway.lock.feed(CardPresented(b"\xca\xfe\x00\x07"))
    reports = []
    for message in hallway.lock.said[hallway.connection][before:]:
        fragments = [part.hex() for part in Fragmenter(MTU).split(message)]
        box = hallway.phone.do("report", fragments=fragments)["box"]
        reports.append(hallway.site.open(hallway.enrolled, bytes.fromhex(box)).report)
    (captured,) = [report for report in reports if isinstance(report, Captured)]
    expected = verifier(hallway.enrolled.door_seed, SlotKind.CARD, b"\xca\xfe\x00\x07")
    assert (captured.kind, captured.verifier, captured.cti) == (CapturedKind.CARD, expected, cti)
    assert hallway.lock.door.openings == 0


def test_the_js_phone_brings_a_state_with_its_tenants_pin(hallway: Hallway) -> None:
    hallway.give_key()
    site, lock = hallway.site, hallway.enrolled
    digits = "2904751"
    slot = Slot(
        3,
        verifier(lock.door_seed, SlotKind.PIN, digits.encode()),
        bytes(16),
        site.now - 9,
        site.now + 9999,
        HolderClass.TENANT,
        0,
    )
    hallway.approach()
    state = site.state(lock, version=1, occupied=True, pins=(slot,)).raw.hex()
    assert hallway.ask(state=state)["screen"] == "open"
    hallway.lock.feed(KeypadEntered(digits))
    assert hallway.lock.door.openings == 2


def test_pins_pass_between_the_js_phone_and_the_issuer_both_ways(hallway: Hallway) -> None:
    pins = private_key(hallway.site.random)
    hallway.site.pins_key = pins
    hallway.give_key()
    lock_id = hallway.enrolled.lock_id
    box = bytes.fromhex(hallway.phone.do("seal_pin", digits="2904751")["box"])
    assert unseal(pins, box, box_info(Box.PIN_SET, lock_id)) == b"2904751"
    assert hallway.phone.do("seal_pin", digits="1234567")["refused"] == "bad_format"
    theirs = bytes.fromhex(hallway.phone.do("keys")["ecdh"])
    for subject, said in ((lock_id, {"digits": "004071234"}), (bytes(16), {"refused": "bad_box"})):
        sealed = seal(theirs, b"004071234", box_info(Box.PIN, subject), private_key(hallway.site.random))
        told = hallway.phone.do("open_pin", box=sealed.hex())
        assert {name: told.get(name) for name in said} == said


def test_a_wish_signed_by_the_js_phone_opens_from_afar(hallway: Hallway) -> None:
    hallway.give_key()
    site, lock = hallway.site, hallway.lock
    lock.feed(BrokerUp())
    credential = hallway.secrets[-1]
    wish = bytes.fromhex(
        hallway.phone.do("wish", target=hallway.enrolled.lock_id.hex(), not_after=site.now + 20)["wish"]
    )
    nobody: Holder = site.holder()
    sealed, command = site.unlock(hallway.enrolled, nobody, credential=credential, wish=wish)
    lock.feed(BrokerMessage(sealed))
    results = [r for r in site.reports(hallway.enrolled, lock.published[1:]) if isinstance(r, Result)]
    assert [(r.command_id, r.outcome) for r in results] == [(command.command_id, Outcome.DONE)]
    assert lock.door.openings == 1


def test_a_request_signed_by_the_js_phone_is_read_by_the_server(hallway: Hallway) -> None:
    body, phone_id = b'{"doors":[]}', bytes(range(16))
    said = hallway.phone.do("request", phone_id=phone_id.hex(), body=body.hex(), issued_at=1_800_000_000)
    request = read_request(bytes.fromhex(said["request"]), hallway.public)
    assert (request.phone_id, request.method_path) == (phone_id, "POST /v1/phone/sync")
    assert (request.body_hash, request.issued_at) == (hash_body(body), 1_800_000_000)


def _wrong_door(hallway: Hallway) -> None:
    """The phone has pinned another key than that of the lock which answers under this id."""
    stranger = hallway.site.holder().public
    lock_id, now = hallway.enrolled.lock_id, hallway.site.now
    hallway.give_key(door=sign_door(DoorDocument(lock_id, stranger, now), hallway.site.issuer))


def test_L03_before_another_lock_the_js_phone_names_nobody(hallway: Hallway) -> None:
    _wrong_door(hallway)
    assert hallway.approach()["refused"] == "bad_signature"
    assert hallway.phone.do("m3", operation="unlock")["refused"] == "wrong_state"
    assert [len(each) for each in hallway.phone.sent] == [2 + 67]  # M1 and nothing else
    assert _named(hallway) == []
    assert hallway.lock.door.openings == 0


def test_L03_mutant_a_phone_that_blurts_is_noticed(hallway: Hallway) -> None:
    _wrong_door(hallway)
    hallway.approach()
    hallway.phone.do("blurt")
    assert len(_named(hallway)) == len(hallway.secrets) - 1  # all but the whole point, which COSE_Key splits


def test_L22_a_bent_m4_is_not_shown_as_open(hallway: Hallway) -> None:
    hallway.give_key()
    hallway.approach()
    answer = hallway.ask(bend=True)
    assert (answer["refused"], answer["screen"]) == ("bad_box", "unknown")
    assert hallway.lock.door.openings == 1  # it did open; the phone cannot know


def test_L22_mutant_an_optimistic_phone_is_noticed(hallway: Hallway) -> None:
    hallway.give_key()
    hallway.approach()
    assert hallway.ask(bend=True, optimistic=True)["screen"] == "open"


def test_a_wrong_claim_code_enrols_nothing(phone: JsPhone) -> None:
    hallway = Hallway(phone)
    blank = MemoryLock(burn(6, SERIAL), source(13), settings=Settings(auto_lock=0))
    hallway.lock, hallway.connection = blank, 0
    blank.feed(ButtonPressed())
    hallway.connect()
    e2 = hallway.over_the_air(phone.do("enrol")["fragments"])
    offer = bytes.fromhex(phone.do("e2", fragments=e2, serial=SERIAL)["offer"])
    signed, _ = hallway.site.enrol(offer, bytes(16))
    e3 = phone.do("e3", claim_code="00" * 16, document=signed[2 + 32 :].hex())
    assert phone.do("e4", fragments=hallway.over_the_air(e3["fragments"]))["refused"] == "burnt"
