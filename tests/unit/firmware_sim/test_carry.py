"""A gateway at the door: it carries sealed commands in and sealed reports out, and can do nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from firmware_sim.core.events import BrokerDown
from firmware_sim.core.server import Server
from firmware_sim.core.sessions import CARRIERS, CARRY_IDLE_MS, IDLE_MS
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.commands import FirmwareBody
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.handshake import REFUSAL, Answer
from lockserver.protocol.journal import How, What
from lockserver.protocol.limits import MAX_PARCELS
from lockserver.protocol.parcels import Channel, Parcel, ParcelKind
from lockserver.protocol.reports import (
    Hello,
    JournalBatch,
    Outcome,
    Report,
    Result,
    TimeRequest,
)
from tests.unit.firmware_sim.desk import Desk


@dataclass
class Carried:
    """One gateway's session with the lock of `desk`; `site` is behind it."""

    desk: Desk
    changes: dict[str, object] = field(default_factory=dict)
    operation: Operation = Operation.CARRY

    def __post_init__(self) -> None:
        desk = self.desk
        gateway = desk.site.holder()
        claims: dict[str, object] = {
            "capabilities": Capability.CARRY,
            "holder_class": HolderClass.GATEWAY,
            "epoch": None,
        }
        credential = desk.site.credential(desk.enrolled, gateway, **(claims | self.changes))
        self.connection = desk.connect()
        phone = desk.phone()
        phone.receive_m2(desk.say(self.connection, phone.hello())[0])
        said = desk.say(self.connection, phone.request(credential, self.operation, gateway.signer, ()))
        self.answer: Answer | None = None if said[0] == REFUSAL else phone.receive_m4(said[0])
        self.channel: Channel | None = None
        self._read = 2  # M2 and M4
        if self.answer is not None and self.answer.code is AirCode.GRANTED:
            self.channel = phone.channel()

    def hand(self, box: bytes) -> None:
        """A command for the lock."""
        assert self.channel is not None
        self.desk.say(self.connection, self.channel.pack(Parcel(ParcelKind.COMMAND, box)))

    def boxes(self) -> list[bytes]:
        """Sealed reports since the last look."""
        assert self.channel is not None
        said = self.desk.lock.said[self.connection]
        fresh, self._read = said[self._read :], len(said)
        parcels = [self.channel.unpack(message) for message in fresh]
        assert all(p.kind is ParcelKind.REPORT for p in parcels)
        return [p.content for p in parcels]

    def reports(self) -> list[Report]:
        return self.desk.site.reports(self.desk.enrolled, self.boxes())

    def attest(self) -> list[Report]:
        """Answer the lock's question for the time through the gateway; what else it said."""
        desk, seen = self.desk, self.reports()
        asked = [r for r in seen if isinstance(r, TimeRequest)]
        if asked:
            self.hand(desk.site.documents(desk.enrolled, desk.site.time(desk.enrolled, asked[-1].nonce)))
        return seen

    @property
    def open(self) -> bool:
        return self.connection not in self.desk.lock.closed


def carried(desk: Desk | None = None) -> Carried:
    session = Carried(desk or Desk())
    session.desk.wait(0.5)
    return session


def rebooted() -> Desk:
    """Whose clock goes and is attested by nobody."""
    desk = Desk()
    desk.lock.power_on()
    return desk


def test_at_its_start_the_lock_says_where_it_stands_and_gives_its_journal() -> None:
    session = carried(rebooted())
    reports = session.reports()
    assert isinstance(reports[0], Hello)
    assert any(isinstance(r, JournalBatch) for r in reports)
    assert any(isinstance(r, TimeRequest) for r in reports)


def test_a_remote_unlock_comes_by_a_gateway_and_its_result_goes_back_by_it() -> None:
    session = carried()
    session.attest()
    desk = session.desk
    sealed, command = desk.site.unlock(desk.enrolled, desk.site.holder())
    session.hand(sealed)
    assert desk.openings == 1
    results = [r for r in session.reports() if isinstance(r, Result)]
    assert [(r.command_id, r.outcome, r.bolt) for r in results] == [
        (command.command_id, Outcome.DONE, BoltState.UNLOCKED)
    ]
    assert desk.entries(What.UNLOCKED)[-1].how is How.REMOTE
    session.hand(sealed)
    assert desk.openings == 1


def test_a_lock_whose_clock_is_not_attested_asks_by_the_gateway_and_then_obeys() -> None:
    session = carried(rebooted())
    session.reports()
    desk = session.desk
    desk.wait(3)  # the first question was never answered: too late for an attestation
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
    session.hand(sealed)
    assert desk.openings == 0
    session.attest()
    assert desk.openings == 1


def test_an_ordinary_phone_hands_no_act_in() -> None:
    desk = Desk()
    key: dict[str, object] = {
        "capabilities": Capability.UNLOCK,
        "holder_class": HolderClass.TENANT,
        "epoch": 0,
    }
    session = Carried(desk, key, Operation.SYNC)
    desk.wait(0.5)
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
    session.hand(sealed)
    assert desk.openings == 0
    assert Denial.UNSUPPORTED in desk.denials()


@pytest.mark.parametrize("operation", [o for o in Operation if o is not Operation.CARRY])
def test_a_gateways_own_key_does_nothing_but_carry(operation: Operation) -> None:
    session = Carried(Desk(), operation=operation)
    assert session.answer is not None
    assert session.answer.code is AirCode.DENIED
    assert session.desk.openings == 0
    assert session.desk.denials() == [Denial.CAPABILITY]


@pytest.mark.parametrize("holder_class", [c for c in HolderClass if c is not HolderClass.GATEWAY])
def test_nobody_elses_key_carries(holder_class: HolderClass) -> None:
    changes: dict[str, object] = {
        "holder_class": holder_class,
        "epoch": 0,
        "capabilities": Capability.UNLOCK | Capability.CARRY,
    }
    session = Carried(Desk(), changes)
    assert session.answer is not None
    assert session.answer.code is AirCode.DENIED


def test_a_gateways_key_raises_no_epoch() -> None:
    session = Carried(Desk(), {"epoch": 5})
    assert session.answer is not None
    assert session.answer.code is AirCode.DENIED
    lock = session.desk.lock.lock
    assert lock is not None
    assert lock.held is not None
    assert (lock.held.epoch, lock.held.occupied) == (0, False)


def test_a_gateway_sees_no_contents() -> None:
    """What passes through its hands holds neither the command's nor the holder's names in clear."""
    session = carried()
    session.attest()
    desk, holder = session.desk, Desk().site.holder()
    sealed, command = desk.site.unlock(desk.enrolled, holder)
    session.hand(sealed)
    hands = [sealed, *session.boxes()]
    for secret in (command.command_id, holder.subject, holder.public, desk.enrolled.lock_id):
        assert not any(secret in box for box in hands)


def test_a_gateway_that_alters_a_command_is_found_out() -> None:
    session = carried()
    session.attest()
    desk = session.desk
    sealed, _ = desk.site.unlock(desk.enrolled, desk.site.holder())
    session.hand(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert desk.openings == 0
    assert Denial.BAD_BOX in desk.denials()


def test_without_a_broker_what_happens_at_the_door_goes_by_the_gateway() -> None:
    session = carried()
    session.attest()
    desk = session.desk
    tenant = desk.site.holder()
    desk.open(tenant, desk.site.credential(desk.enrolled, tenant))
    batches = [r for r in session.reports() if isinstance(r, JournalBatch)]
    entry = desk.entries(What.UNLOCKED)[-1]
    assert any(entry in b.entries for b in batches)
    assert desk.lock.lock is not None
    session.hand(desk.site.acknowledge(desk.enrolled, desk.lock.lock.journal.head))
    assert desk.lock.lock.journal.held == ()


def test_with_a_broker_the_gateway_gets_answers_and_the_broker_the_journal() -> None:
    desk = Desk()
    desk.broker_up()
    desk.news()
    session = carried(desk)
    assert isinstance(session.reports()[0], Hello)
    tenant = desk.site.holder()
    desk.open(tenant, desk.site.credential(desk.enrolled, tenant))
    assert any(isinstance(r, JournalBatch) for r in desk.news())
    assert not any(isinstance(r, JournalBatch) for r in session.reports())
    session.hand(desk.site.say_hello(desk.enrolled))
    assert any(isinstance(r, Hello) for r in session.reports())


@pytest.mark.parametrize("lost", ["broker", "gateway"])
def test_what_was_on_its_way_with_who_is_gone_goes_by_who_is_left(lost: str) -> None:
    desk = Desk()
    if lost == "broker":
        desk.broker_up()
    first = carried(desk)
    last = carried(desk) if lost == "gateway" else None
    tenant = desk.site.holder()
    desk.open(tenant, desk.site.credential(desk.enrolled, tenant))
    entry = desk.entries(What.UNLOCKED)[-1]
    first.reports()
    if last is None:
        desk.lock.feed(BrokerDown())
    else:
        desk.hang_up(last.connection)
    desk.wait(1)
    assert any(entry in r.entries for r in first.reports() if isinstance(r, JournalBatch))


def test_a_gateway_that_dies_loses_nothing_the_next_one_is_told_again() -> None:
    session = carried()
    session.attest()
    desk = session.desk
    sealed, command = desk.site.unlock(desk.enrolled, desk.site.holder())
    session.hand(sealed)  # the lock obeys; the gateway dies before it says so
    desk.hang_up(session.connection)
    other = carried(desk)
    results = [r for r in other.reports() if isinstance(r, Result)]
    assert [(r.command_id, r.outcome) for r in results] == [(command.command_id, Outcome.DONE)]
    other.hand(sealed)
    assert desk.openings == 1


def test_a_silent_gateway_stays_longer_than_a_phone_and_not_for_ever() -> None:
    session = carried()
    session.attest()
    desk = session.desk
    desk.wait(IDLE_MS / 1000 + 5)
    assert session.open
    desk.wait(CARRY_IDLE_MS / 1000)
    assert not session.open


def test_gateways_leave_places_for_phones() -> None:
    desk = Desk()
    sessions = [carried(desk) for _ in range(CARRIERS + 1)]
    assert [s.open for s in sessions] == [False, *[True] * CARRIERS]
    tenant = desk.site.holder()
    assert desk.open(tenant, desk.site.credential(desk.enrolled, tenant)) is not None
    entry = desk.entries(What.UNLOCKED)[-1]
    batches = [r for r in sessions[-1].reports() if isinstance(r, JournalBatch)]
    assert any(entry in b.entries for b in batches), "what came last carries"


def test_many_parcels_and_then_it_connects_again() -> None:
    session = carried()
    session.attest()
    desk = session.desk
    for _ in range(MAX_PARCELS + 4):
        if not session.open:
            break
        session.hand(desk.site.say_hello(desk.enrolled))
    assert not session.open
    assert len(desk.lock.said[session.connection]) == 2 + MAX_PARCELS
    again = carried(desk)
    assert again.open


def test_firmware_comes_by_a_gateway_too() -> None:
    from lockserver.protocol.commands import Command, CommandKind
    from tests.unit.firmware_sim.test_law_firmware import IMAGE, Works

    works = Works()
    works.lock.power_on()
    session = carried(works)
    session.attest()
    manifest = works.manifest(IMAGE)
    at = 0
    while at < len(IMAGE):
        body = FirmwareBody(manifest, at, IMAGE[at : at + 2048])
        session.hand(works.site.seal(works.enrolled, Command(works.random(16), CommandKind.FIRMWARE, body)))
        at += 2048
    assert works.lock.lock is not None
    assert works.lock.lock.position["firmware"] == 2


def test_an_order_to_let_the_lock_go_comes_by_a_gateway_and_its_last_word_goes_by_it() -> None:
    session = carried()
    session.attest()
    desk = session.desk
    session.hand(desk.site.documents(desk.enrolled, desk.site.release(desk.enrolled)))
    reports = session.reports()
    retired = [e for r in reports if isinstance(r, JournalBatch) for e in r.entries if e.what is What.RETIRED]
    assert len(retired) == 1
    assert isinstance(reports[-1], Hello)
    assert not session.open
    assert desk.lock.lock is not None
    assert desk.lock.lock.identity is None


def test_mutant_a_lock_that_takes_acts_from_any_phone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    command = Server.command

    def trusting(self: Server, data: bytes, reply: object, *, acts: bool) -> None:
        del acts
        command(self, data, reply, acts=True)  # type: ignore[arg-type]

    monkeypatch.setattr(Server, "command", trusting)
    with pytest.raises(AssertionError):
        test_an_ordinary_phone_hands_no_act_in()
