"""Reading in a card or finger at the door, and what the keypad module really holds."""

from __future__ import annotations

import pytest

from firmware_sim.core.events import Sign
from firmware_sim.core.reader import Reader
from lockserver.protocol.access import Operation
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.cose import peek
from lockserver.protocol.curve import private_key, public_bytes
from lockserver.protocol.enrolment import DoorKind
from lockserver.protocol.envelope import Envelope, Position, seal_report
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.handshake import PhoneHandshake
from lockserver.protocol.journal import How, What
from lockserver.protocol.limits import (
    MAX_ACTIVATIONS,
    MAX_ALL_SLOTS,
    MAX_HOUR,
    MAX_NUMBER,
    MAX_SLOTS,
    MAX_TIME,
)
from lockserver.protocol.parcels import MAX_CONTENT, ParcelKind
from lockserver.protocol.pin import Activation, OfflinePin, PinCode, activation, verifier
from lockserver.protocol.reports import Captured, CapturedKind, Inventory, Outcome, Report, Result
from lockserver.protocol.slots import MAX_SLOT, Slot, SlotKind
from tests.support.site import T0, Holder, Site
from tests.unit.firmware_sim.doorstep import Doorstep
from tests.unit.firmware_sim.test_carry import Carried, carried

CARD = bytes.fromhex("04a1b2c3d4e5f6")
OTHER_CARD = bytes.fromhex("11223344")
FINGER = bytes(range(16))
CTI = 7


def cti_of(credential: bytes) -> bytes:
    cti = peek(credential)[CTI]
    assert isinstance(cti, bytes)
    return cti


def ask(door: Doorstep, holder: Holder, credential: bytes) -> tuple[PhoneHandshake, int, AirCode]:
    """A phone asks to read in; its connection stays open after a grant."""
    connection, phone = door.connect(), door.phone()
    phone.receive_m2(door.say(connection, phone.hello())[0])
    said = door.say(connection, phone.request(credential, Operation.CAPTURE, holder.signer))
    return phone, connection, phone.receive_m4(said[0]).code


def parcels(door: Doorstep, phone: PhoneHandshake, connection: int, after: int) -> list[Report]:
    channel = phone.channel()
    reports: list[Report] = []
    for data in door.lock.said[connection][after:]:
        parcel = channel.unpack(data)
        assert parcel.kind is ParcelKind.REPORT
        reports.append(door.site.open(door.enrolled, parcel.content).report)
    return reports


def test_a_tenant_reads_in_his_card_and_it_opens_once_the_state_names_it() -> None:
    door = Doorstep()
    tenant = door.site.holder()
    key = door.site.credential(door.enrolled, tenant)
    _, _, code = ask(door, tenant, key)
    assert code is AirCode.GRANTED
    assert door.openings == 0, "reading in moves nothing"
    assert door.card(CARD) is Sign.CAPTURED
    wanted = verifier(door.seed_of_door, SlotKind.CARD, CARD)
    assert door.captured() == [Captured(CapturedKind.CARD, wanted, cti_of(key), already=False)]
    assert door.card(CARD) is Sign.DENIED, "captured is not given"
    assert door.openings == 0
    door.give(cards=(door.slot(1, CARD, SlotKind.CARD),))
    assert door.card(CARD) is Sign.OPEN
    (entry,) = door.entries(What.CAPTURED)
    assert (entry.how, entry.subject) == (How.CARD, cti_of(key))


def test_a_finger_that_a_slot_has_already_is_said_to_be_there() -> None:
    door = Doorstep()
    door.give(fingers=(door.slot(2, FINGER, SlotKind.FINGER),))
    tenant = door.site.holder()
    ask(door, tenant, door.site.credential(door.enrolled, tenant))
    assert door.finger(FINGER) is Sign.CAPTURED
    (report,) = door.captured()
    assert (report.kind, report.already) == (CapturedKind.FINGER, True)
    assert door.openings == 0


def test_with_no_broker_the_phone_that_asked_carries_the_sealed_report() -> None:
    door = Doorstep()
    door.go_offline()
    tenant = door.site.holder()
    key = door.site.credential(door.enrolled, tenant)
    phone, connection, _ = ask(door, tenant, key)
    door.wait(55)
    assert connection not in door.lock.closed, "it waits as long as the lock does"
    door.card(CARD)
    (report,) = [r for r in parcels(door, phone, connection, 2) if isinstance(r, Captured)]
    assert report.cti == cti_of(key)
    assert door.captured() == []
    door.broker_up()
    assert door.captured() == [report], "and the lock says it itself as soon as somebody hears"
    door.broker_up()
    assert door.captured() == []


def test_a_gateway_carries_the_wish_in_and_what_was_read_in_out() -> None:
    door = Doorstep()
    door.go_offline()
    session = carried(door)
    session.attest()
    tenant = door.site.holder()
    key = door.site.credential(door.enrolled, tenant)
    session.hand(door.site.capture(door.enrolled, tenant, credential=key)[0])
    seen = [*session.attest(), *session.reports()]
    assert door.card(CARD) is Sign.CAPTURED
    seen += session.reports()
    assert [r.outcome for r in seen if isinstance(r, Result)] == [Outcome.DONE]
    assert [r.cti for r in seen if isinstance(r, Captured)] == [cti_of(key)]
    assert door.openings == 0


def test_a_command_to_read_in_that_a_phone_carries_is_refused_as_an_act_would_be() -> None:
    door = Doorstep()
    door.go_offline()
    tenant = door.site.holder()
    session = Carried(
        door,
        {"capabilities": Capability.UNLOCK, "holder_class": HolderClass.TENANT, "epoch": 0},
        Operation.SYNC,
    )
    session.hand(door.site.capture(door.enrolled, tenant)[0])
    assert door.card(CARD) is Sign.DENIED
    assert Denial.UNSUPPORTED in door.denials()


def test_the_wait_is_over_after_a_minute_or_one_card_or_a_power_cut() -> None:
    door = Doorstep()
    door.give(cards=(door.slot(1, CARD, SlotKind.CARD),))
    tenant = door.site.holder()
    key = door.site.credential(door.enrolled, tenant)
    ask(door, tenant, key)
    door.wait(60)
    assert door.card(CARD) is Sign.OPEN
    ask(door, tenant, key)
    assert door.card(OTHER_CARD) is Sign.CAPTURED
    assert door.card(CARD) is Sign.OPEN
    ask(door, tenant, key)
    door.lock.power_on()
    assert door.card(CARD) is Sign.OPEN


def test_a_pin_is_judged_as_ever_while_a_card_is_awaited() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, "2718281"),))
    tenant = door.site.holder()
    ask(door, tenant, door.site.credential(door.enrolled, tenant))
    assert door.key("2718281") is Sign.OPEN
    assert door.card(CARD) is Sign.CAPTURED


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": T0 - 1, "nbf": T0 - 99},
        {"epoch": 0, "capabilities": 4},
        {"uses": 1, "holder_class": HolderClass.GUEST},
        {"holder_class": HolderClass.OWNER, "epoch": None},
        {"holder_class": HolderClass.STAFF, "epoch": None, "capabilities": 1 | 32},
    ],
    ids=["expired", "no unlock", "one-time", "owner", "staff with entry"],
)
def test_L52_reading_in_is_refused_as_an_unlock_would_be_and_to_who_only_visits(
    changes: dict[str, object],
) -> None:
    door = Doorstep()
    door.give(occupied=True)
    if "capabilities" in changes:
        changes = changes | {"capabilities": Capability(changes["capabilities"])}  # type: ignore[arg-type]
    someone = door.site.holder()
    _, _, code = ask(door, someone, door.site.credential(door.enrolled, someone, **changes))
    assert code is AirCode.DENIED
    assert door.card(CARD) is Sign.DENIED
    assert door.captured() == []


def test_reading_in_from_afar_takes_the_holders_wish_and_answers_at_once() -> None:
    door = Doorstep()
    tenant = door.site.holder()
    key = door.site.credential(door.enrolled, tenant)
    sealed, command = door.site.capture(door.enrolled, tenant, credential=key)
    door.deliver(sealed)
    (result,) = door.results()
    assert (result.command_id, result.outcome) == (command.command_id, Outcome.DONE)
    assert door.finger(FINGER) is Sign.CAPTURED
    (report,) = door.captured()
    assert report.cti == cti_of(key)
    door.deliver(sealed)
    assert door.finger(FINGER) is Sign.DENIED, "the same command again waits for nothing"


def test_a_wish_for_an_unlock_reads_nothing_in_and_a_thief_neither() -> None:
    door = Doorstep()
    tenant, thief = door.site.holder(), door.site.holder()
    key = door.site.credential(door.enrolled, tenant)
    for holder, changes in ((tenant, {"wish": True}), (thief, {})):
        sealed, command = door.site.capture(door.enrolled, holder, credential=key)
        if changes:
            from dataclasses import replace

            from lockserver.protocol.commands import CaptureBody

            body = CaptureBody(door.site.wish(door.enrolled, tenant), key)
            sealed = door.site.seal(door.enrolled, replace(command, body=body))
        door.deliver(sealed)
        (result,) = door.results()
        assert (result.outcome, result.denial) == (Outcome.REFUSED, Denial.WISH_BAD)
        assert door.card(CARD) is Sign.DENIED


# ---- what the module really holds


def plant(door: Doorstep, number: int, value: bytes, kind: SlotKind = SlotKind.PIN) -> None:
    door.core.plant_slot(kind, number, value)


def test_the_inventory_is_the_state_when_nobody_meddled() -> None:
    door = Doorstep()
    door.give(
        pins=(door.slot(3, "2718281"),),
        cards=(door.slot(4, CARD, SlotKind.CARD),),
        fingers=(door.slot(5, FINGER, SlotKind.FINGER),),
    )
    door.key(door.offline(PinCode.WEEK))
    told = door.inventory()
    assert (told.pins, told.cards, told.fingers) == (door.pins, door.cards, door.fingers)
    assert told.activations == (activation(OfflinePin(0, PinCode.WEEK, T0 // 3600)),)
    assert (told.state_version, told.list_number, told.epoch) == (1, 0, 0)
    assert Doorstep(kind=DoorKind.SHARED).inventory().epoch is None


@pytest.mark.parametrize("kind", list(SlotKind))
def test_a_slot_that_a_service_tool_planted_opens_nothing_and_is_told(kind: SlotKind) -> None:
    door = Doorstep()
    value = {SlotKind.PIN: b"2718281", SlotKind.CARD: CARD, SlotKind.FINGER: FINGER}[kind]

    def given() -> Sign:
        if kind is SlotKind.PIN:
            return door.key(value.decode())
        return door.card(value) if kind is SlotKind.CARD else door.finger(value)

    plant(door, 9, value, kind)
    assert given() is Sign.DENIED
    door.lock.power_on()
    door.broker_up()
    assert given() is Sign.DENIED
    told = door.inventory()
    (slot,) = {SlotKind.PIN: told.pins, SlotKind.CARD: told.cards, SlotKind.FINGER: told.fingers}[kind]
    assert (slot.slot, slot.verifier) == (9, verifier(door.seed_of_door, kind, value))
    assert door.openings == 0


def test_mutant_a_lock_that_believes_its_module_opens_for_a_planted_pin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Reader, "usable", Reader.holds)
    door = Doorstep()
    plant(door, 9, b"2718281")
    assert door.key("2718281") is Sign.OPEN


def test_a_slot_that_the_module_lost_or_holds_altered_opens_nothing_until_it_is_written_anew() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, "2718281"), door.slot(2, "3141592")))
    door.core.lose_slot(SlotKind.PIN, 1)
    plant(door, 2, b"1618033")
    assert {door.key(d) for d in ("2718281", "3141592", "1618033")} == {Sign.DENIED}
    told = door.inventory()
    assert [s.slot for s in told.pins] == [2]
    assert told.pins[0].verifier != door.pins[1].verifier
    door.give()  # a newer state of the same content
    assert door.key("2718281") is Sign.OPEN
    assert door.key("3141592") is Sign.OPEN
    assert door.key("1618033") is Sign.DENIED
    assert door.inventory().pins == door.pins


def test_a_foreign_slot_is_not_repaired_in_silence() -> None:
    door = Doorstep()
    plant(door, 9, b"2718281")
    door.give(pins=(door.slot(1, "3141592"),))
    assert [s.slot for s in door.inventory().pins] == [1, 9]
    door.give(pins=(door.slot(1, "3141592"), door.slot(9, "1618033")))
    assert door.inventory().pins == door.pins, "a state that uses its place has written over it"
    door.give(pins=(door.slot(1, "3141592"),))
    assert door.inventory().pins == door.pins, "for good"


def test_the_fullest_inventory_fits_the_parcel_of_a_gateway() -> None:
    site = Site()

    def slots(count: int) -> tuple[Slot, ...]:
        numbers = range(MAX_SLOT - count, MAX_SLOT)
        guest = HolderClass.GUEST
        return tuple(Slot(n, bytes(16), bytes(16), MAX_TIME, MAX_TIME, guest, MAX_NUMBER) for n in numbers)

    used = tuple(
        Activation(OfflinePin(MAX_NUMBER, PinCode.CLEAR, MAX_HOUR - n, 1), MAX_TIME)
        for n in range(MAX_ACTIVATIONS)
    )
    full = Inventory(MAX_NUMBER, MAX_NUMBER, MAX_NUMBER, slots(MAX_SLOTS), slots(MAX_SLOTS), (), used)
    assert len(full.pins) + len(full.cards) == MAX_ALL_SLOTS
    envelope = Envelope(bytes(16), Position(MAX_NUMBER, MAX_NUMBER), full)
    ephemeral = private_key(site.random)
    assert len(seal_report(envelope, site.issuer, public_bytes(site.report_key), ephemeral)) <= MAX_CONTENT


@pytest.mark.parametrize("raw", [b"", b"\xff", b"\x80", b"\x81\x01", b"\x81\x80", b"\xa0", bytes(40)])
def test_rubbish_in_the_module_is_a_wiped_place_and_breaks_nothing(raw: bytes) -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, "2718281"), door.slot(2, "3141592")))
    door.core._core.flash.put({"reader.pin.001": raw})
    assert door.key("2718281") is Sign.DENIED
    assert door.key("3141592") is Sign.OPEN
    assert [s.slot for s in door.inventory().pins] == [2]
    for number in (-1, 256, 10**6):
        with pytest.raises(ValueError, match="numbers"):
            plant(door, number, b"1618033")


def test_a_module_holds_no_more_than_it_has_places() -> None:
    door = Doorstep()
    for number in range(40):
        if number < 24:
            plant(door, number, b"27182%02d" % number)
        else:
            with pytest.raises(ValueError, match="full"):
                plant(door, number, b"27182%02d" % number)
    for number in range(24):
        plant(door, number, bytes([number]) * 4, SlotKind.CARD)
    with pytest.raises(ValueError, match="full"):
        plant(door, 1, FINGER, SlotKind.FINGER)
    assert len(door.inventory().cards) == 24
    many = tuple(door.slot(100 + n, f"31415{n:02d}") for n in range(24))
    door.give(pins=many)
    assert door.inventory().pins == many, "what the server wants goes first"
    assert door.key("3141523") is Sign.OPEN
