"""How keys die at a lock: L-05, L-08, L-12, L-52, the turnover epoch, and back-off (L-06)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_sim.core import held as held_room
from firmware_sim.core.backoff import BackOff
from firmware_sim.core.events import BrokerMessage, RadioConnected, RadioMessage
from firmware_sim.core.held import Held
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.claims import Capability, HolderClass
from lockserver.protocol.cose import peek
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.documents import RevocationList, sign_revocation_list
from lockserver.protocol.enrolment import DoorKind
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.handshake import REFUSAL
from lockserver.protocol.journal import What
from tests.support.site import T0, Site, source
from tests.unit.firmware_sim.desk import Desk

CTI = 7


def code(answer: object) -> AirCode | None:
    return None if answer is None else answer.code  # type: ignore[attr-defined]


# ---- the turnover epoch


def after_the_next_tenant(desk: Desk) -> AirCode | None:
    """B lives here, C moves in and unlocks with the lock offline; what B's key says then."""
    b, c, guest = desk.site.holder(), desk.site.holder(), desk.site.holder()
    b_key = desk.site.credential(desk.enrolled, b, epoch=1)
    guest_key = desk.site.credential(desk.enrolled, guest, epoch=1, holder_class=HolderClass.GUEST)
    assert code(desk.open(b, b_key)) is AirCode.GRANTED
    assert code(desk.open(guest, guest_key)) is AirCode.GRANTED
    assert code(desk.open(c, desk.site.credential(desk.enrolled, c, epoch=2))) is AirCode.GRANTED
    assert code(desk.open(guest, guest_key)) is not AirCode.GRANTED
    return code(desk.open(b, b_key))


def test_the_next_tenants_first_unlock_kills_every_key_of_the_last() -> None:
    desk = Desk()
    assert after_the_next_tenant(desk) is AirCode.DENIED
    assert Denial.EPOCH_LOW in desk.denials()
    desk.lock.power_on()
    b = desk.site.holder()
    assert code(desk.open(b, desk.site.credential(desk.enrolled, b, epoch=1))) is AirCode.DENIED


def test_turnover_mutant_a_lock_that_forgets_the_epoch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Held, "raise_for", lambda *_: False)
    with pytest.raises(AssertionError):
        after_the_next_tenant(Desk())


def test_a_gate_notices_nothing_of_a_turnover() -> None:
    desk = Desk(kind=DoorKind.SHARED)
    holders = [desk.site.holder() for _ in range(3)]
    keys = [desk.site.credential(desk.enrolled, h, epoch=None) for h in holders]
    for _ in range(2):
        for holder, key in zip(holders, keys, strict=True):
            assert code(desk.open(holder, key)) is AirCode.GRANTED
    raised = desk.site.credential(desk.enrolled, holders[0], epoch=5)
    assert code(desk.open(holders[0], raised)) is AirCode.DENIED
    assert desk.denials() == [Denial.EPOCH_SHARED]


def test_an_epoch_may_not_skip_ahead() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    assert (
        code(desk.open(tenant, desk.site.credential(desk.enrolled, tenant, epoch=10_000))) is AirCode.DENIED
    )
    assert code(desk.open(tenant, desk.site.credential(desk.enrolled, tenant, epoch=1))) is AirCode.GRANTED


def test_only_a_key_inside_its_window_raises_the_epoch() -> None:
    desk = Desk()
    b, c = desk.site.holder(), desk.site.holder()
    early = desk.site.credential(desk.enrolled, c, epoch=2, nbf=T0 + 3600, exp=T0 + 7200)
    assert code(desk.open(c, early)) is AirCode.DENIED
    assert code(desk.open(b, desk.site.credential(desk.enrolled, b, epoch=1))) is AirCode.GRANTED


# ---- L-08, L-12: lists and states


def test_L08_any_phone_with_the_newer_list_ends_the_exposure() -> None:
    desk = Desk()
    a, passer_by = desk.site.holder(), desk.site.holder()
    a_key = desk.site.credential(desk.enrolled, a)
    cti = peek(a_key)[CTI]
    assert isinstance(cti, bytes)
    assert code(desk.open(a, a_key)) is AirCode.GRANTED
    # the passer-by is himself refused (his key is long over): the list is taken from him all the same
    over = desk.site.credential(desk.enrolled, passer_by, nbf=T0 - 7200, exp=T0 - 3600)
    assert code(desk.open(passer_by, over, desk.site.revocation(desk.enrolled, cti))) is AirCode.DENIED
    assert code(desk.open(a, a_key)) is AirCode.DENIED
    desk.lock.power_on()
    assert code(desk.open(a, a_key)) is AirCode.DENIED
    assert desk.denials().count(Denial.REVOKED) == 2


def test_L08_a_forged_list_revokes_nobody() -> None:
    desk = Desk()
    a = desk.site.holder()
    a_key = desk.site.credential(desk.enrolled, a)
    mallory = EcdsaSigner(private_key(source(66)))
    cti = peek(a_key)[CTI]
    assert isinstance(cti, bytes)
    forged = sign_revocation_list(RevocationList(desk.enrolled.lock_id, 99, ((cti, T0 + 99),), T0), mallory)
    assert code(desk.open(a, a_key, SignedDocument(DocumentKind.REVOCATION, forged))) is AirCode.GRANTED


def rolled_back(desk: Desk) -> AirCode | None:
    """A revoked holder brings the older, honestly signed list that did not name him yet."""
    a = desk.site.holder()
    a_key = desk.site.credential(desk.enrolled, a)
    cti = peek(a_key)[CTI]
    assert isinstance(cti, bytes)
    older = desk.site.revocation(desk.enrolled, number=1)
    newer = desk.site.revocation(desk.enrolled, cti, number=2)
    assert code(desk.open(a, a_key, newer)) is AirCode.DENIED
    return code(desk.open(a, a_key, older))


def test_L12_an_older_list_is_refused_however_well_signed() -> None:
    assert rolled_back(Desk()) is AirCode.DENIED


def test_L12_mutant_a_lock_that_takes_any_signed_list_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_room, "_must_rise", lambda *_: None)
    assert rolled_back(Desk()) is AirCode.GRANTED


def test_L12_an_older_access_state_lowers_neither_epoch_nor_occupancy() -> None:
    desk = Desk()
    desk.broker_up()
    lock = desk.enrolled
    desk.deliver(desk.site.documents(lock, desk.site.state(lock, version=5, epoch=3, occupied=True)))
    desk.deliver(desk.site.documents(lock, desk.site.state(lock, version=4, epoch=0, occupied=False)))
    desk.deliver(desk.site.documents(lock, desk.site.state(lock, version=6, epoch=2, occupied=False)))
    hello = desk.lock.lock
    assert hello is not None
    held = hello.held
    assert held is not None
    assert (held.state_version, held.epoch, held.occupied) == (6, 3, True)
    desk.deliver(desk.site.documents(lock, desk.site.state(lock, version=7, epoch=3, occupied=False)))
    assert not held.occupied


def test_a_key_set_travels_on_any_phone_and_the_old_issuer_is_done() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    old_key = desk.site.credential(desk.enrolled, tenant)
    desk.site.issuer = EcdsaSigner(private_key(source(12)))
    desk.site.key_number = 2
    new_key = desk.site.credential(desk.enrolled, tenant)
    assert desk.open(tenant, new_key) is None, "an issuer the lock does not know yet"
    assert code(desk.open(tenant, new_key, desk.site.keys())) is AirCode.GRANTED
    assert desk.open(tenant, old_key) is None
    desk.lock.power_on()
    assert code(desk.open(tenant, new_key)) is AirCode.GRANTED


# ---- L-05


def test_L05_two_guests_pool_their_material_and_gain_nothing() -> None:
    desk = Desk()
    one, two = desk.site.holder(), desk.site.holder()
    key_one = desk.site.credential(desk.enrolled, one, exp=T0 + 60, holder_class=HolderClass.GUEST)
    key_two = desk.site.credential(
        desk.enrolled, two, capabilities=Capability.READ_JOURNAL, holder_class=HolderClass.GUEST
    )
    desk.wait(120)
    assert code(desk.open(one, key_one)) is AirCode.DENIED  # expired
    assert code(desk.open(two, key_two)) is AirCode.DENIED  # no capability
    assert desk.open(one, key_two) is None  # his credential, the other's key
    assert desk.open(two, key_one) is None
    self_made = issue_credential(desk.site.claims(desk.enrolled, one), one.signer)
    assert desk.open(one, self_made) is None
    assert desk.openings == 0


# ---- L-52


@pytest.mark.parametrize("holder_class", [HolderClass.OWNER, HolderClass.STAFF])
def test_L52_the_owner_of_an_occupied_room_stands_before_a_closed_door(holder_class: HolderClass) -> None:
    desk = Desk()
    owner, tenant = desk.site.holder(), desk.site.holder()
    owner_key = desk.site.credential(desk.enrolled, owner, holder_class=holder_class)
    assert code(desk.open(owner, owner_key)) is AirCode.GRANTED, "while nobody lives there"
    desk.open(tenant, desk.site.credential(desk.enrolled, tenant, epoch=1))
    assert code(desk.open(owner, owner_key)) is AirCode.DENIED
    assert desk.denials() == [Denial.OCCUPIED]
    with_consent = desk.site.credential(
        desk.enrolled,
        owner,
        holder_class=holder_class,
        capabilities=Capability.UNLOCK | Capability.ENTRY,
    )
    assert code(desk.open(owner, with_consent)) is AirCode.GRANTED


# ---- L-06, and strangers in general


def test_L06_a_valid_credential_never_meets_the_back_off_of_bad_ones() -> None:
    desk = Desk()
    tenant, stranger = desk.site.holder(), desk.site.holder()
    key = desk.site.credential(desk.enrolled, tenant)
    for _ in range(40):
        assert desk.open(stranger, key) is None
    before = desk.lock.clocks.true
    assert code(desk.open(tenant, key)) is AirCode.GRANTED
    assert desk.lock.clocks.true == before, "at once"


def held_back(desk: Desk) -> float:
    """Seconds that the refusal of the 12th failure is held back."""
    tenant, stranger = desk.site.holder(), desk.site.holder()
    key = desk.site.credential(desk.enrolled, tenant)
    for number in range(12):
        if number == 11:
            desk.lock.power_on()  # a power cut does not help
        desk.open(stranger, key)
    last = desk.last
    for tenths in range(700):
        if REFUSAL in desk.lock.said[last]:
            return tenths / 10
        desk.lock.wait(0.1)
    return 70


def test_L06_failures_cost_those_who_fail_and_a_power_cut_does_not_help() -> None:
    assert held_back(Desk()) >= 1


def test_L06_mutant_without_a_back_off_the_refusal_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BackOff, "failed", lambda *_: 0)
    assert held_back(Desk()) == 0


def test_m3_may_not_come_later_than_five_seconds_after_m2() -> None:
    desk = Desk()
    tenant = desk.site.holder()
    connection, phone = desk.connect(), desk.phone()
    phone.receive_m2(desk.say(connection, phone.hello())[0])
    m3 = phone.request(desk.site.credential(desk.enrolled, tenant), Operation.UNLOCK, tenant.signer)
    desk.lock.clocks.advance(5.1)
    desk.say(connection, m3)
    assert desk.openings == 0
    assert desk.denials() == [Denial.TIMED_OUT]


def test_a_silent_phone_gives_its_place_back() -> None:
    desk = Desk()
    connection = desk.connect()
    desk.wait(11)
    assert connection in desk.lock.closed


# ---- L-01 at the lock


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(["m1", "m3", "e1"])), max_size=6))
def test_L01_no_bytes_from_radio_or_broker_break_the_lock(messages: list[bytes | str]) -> None:
    desk = FUZZED
    tenant = desk.site.holder()
    phone = desk.phone()
    connection = 10_000 + desk.lock.medium.writes
    desk.lock.feed(RadioConnected(connection))
    for message in messages:
        data: bytes
        if message == "m1":
            data = phone.hello() if phone.state.value == "start" else b"\x01\x01"
        elif message == "m3":
            data = b"\x03" + bytes(300)
        elif message == "e1":
            data = b"\x10\x01" + tenant.public
        else:
            assert isinstance(message, bytes)
            data = message
        desk.lock.feed(RadioMessage(connection, data))
        desk.lock.feed(BrokerMessage(data))
    assert desk.lock.on
    assert desk.openings == 0


FUZZED = Desk(seed=31)


def test_every_refusal_before_the_credential_verified_is_one_byte() -> None:
    desk = Desk()
    for first in (b"\x01\x02" + bytes(65), b"\x01", b"\x7f", b"\x03", b"\x55" * 80):
        connection = desk.connect()
        said = desk.say(connection, first)
        assert said == [REFUSAL]
        assert connection in desk.lock.closed
    assert desk.journalled(What.DENIED) >= 1


def test_the_lock_of_another_site_is_another_world() -> None:
    desk = Desk()
    foreign = Site(source(500))
    tenant = foreign.holder()
    same_id = replace(desk.enrolled)
    assert desk.open(tenant, foreign.credential(same_id, tenant)) is None
    sealed, _ = foreign.unlock(same_id, tenant)
    desk.broker_up()
    desk.deliver(sealed)
    assert desk.openings == 0
    assert {Denial.BAD_ISSUER, Denial.UNKNOWN_KEY} <= set(desk.denials())
