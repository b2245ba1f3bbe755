"""Letting a lock go: L-45 (never from a living tenant), L-13 (nothing of the old door stays), L-10 (cuts)."""

from __future__ import annotations

import pytest

from firmware_sim.core import release
from firmware_sim.core.events import (
    ButtonPressed,
    CardPresented,
    IdentityChanged,
    KeypadEntered,
    Reboot,
    ResetHeld,
    Sign,
)
from firmware_sim.core.flash import Flash
from firmware_sim.core.identity import Identity, load_identity
from firmware_sim.core.release import LINGER_MS
from firmware_sim.links.memory import Cut
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import SignedDocument
from lockserver.protocol.documents import ReleaseReason
from lockserver.protocol.enrolment import DoorKind
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.journal import How, What
from lockserver.protocol.limits import RELEASE_LIFE
from lockserver.protocol.pin import verifier
from lockserver.protocol.reports import Applied, Hello, JournalBatch
from lockserver.protocol.slots import SlotKind
from tests.support.site import Site, ask_claim, claim_offer, source
from tests.unit.firmware_sim.desk import Desk
from tests.unit.firmware_sim.doorstep import Doorstep

LINGER = LINGER_MS / 1000


def lived_in(kind: DoorKind = DoorKind.ROOM, *, occupied: bool = False) -> Desk:
    """A lock that has had a list, a state, a tenant, and a broker."""
    desk = Desk(kind=kind)
    desk.broker_up()
    epoch = 1 if kind is DoorKind.ROOM else None
    tenant = desk.site.holder()
    credential = desk.site.credential(desk.enrolled, tenant, epoch=epoch)
    desk.open(tenant, credential, desk.site.revocation(desk.enrolled, b"r" * 16))
    desk.hang_up(desk.last)
    state = desk.site.state(desk.enrolled, version=1, epoch=epoch, occupied=occupied)
    desk.deliver(desk.site.documents(desk.enrolled, state))
    desk.news()
    return desk


def identity(desk: Desk) -> Identity | None:
    assert desk.lock.lock is not None
    return desk.lock.lock.identity


def order(desk: Desk, *documents: SignedDocument) -> None:
    desk.deliver(desk.site.documents(desk.enrolled, *documents))


def secrets_of(desk: Desk) -> dict[str, bytes]:
    """What a thief of the flash could use, or could read a life from."""
    found = load_identity(Flash(desk.lock.medium))
    assert found is not None
    assert desk.lock.lock is not None
    return {
        "door seed": found.door_seed,
        "broker secret": found.broker_secret,
        "signing key": found.signing.private_numbers().private_value.to_bytes(32, "big"),
        "box key": found.ecdh.private_numbers().private_value.to_bytes(32, "big"),
        "lock id": found.lock_id,
        "site root": found.site_root,
        "revoked credential": b"r" * 16,
        "journal": desk.lock.lock.journal.head.hash,
        "a tenant's key in the journal": next(
            e.subject for e in desk.entries(What.UNLOCKED) if isinstance(e.subject, bytes)
        ),
    }


def left_over(desk: Desk, of: dict[str, bytes]) -> list[str]:
    medium = desk.lock.medium
    chip = bytes(medium.bank) + bytes(medium.other) + b"".join(bytes(i) for i in medium.images)
    return [name for name, value in of.items() if value in chip]


def test_a_released_lock_says_so_forgets_and_is_anybodys_again() -> None:
    desk = lived_in()
    boot = desk.lock.lock and desk.lock.lock._core.boot
    order(desk, desk.site.release(desk.enrolled))
    news = desk.news()
    retired = [e for r in news if isinstance(r, JournalBatch) for e in r.entries if e.what is What.RETIRED]
    assert [e.how for e in retired] == [How.REMOTE]
    assert isinstance(news[-1], Hello), "the last word is a hello of the old lock"
    kinds = [type(e) for e in desk.lock.effects[-12:]]
    assert kinds.index(IdentityChanged) < kinds.index(Reboot)
    assert identity(desk) is None
    assert desk.lock.lock is not None
    assert desk.lock.lock._core.boot == (boot or 0) + 1
    assert [e.what for e in desk.lock.lock.journal.held] == [What.BOOTED], "the next owner reads nothing"
    new = Site(source(71))
    desk.lock.feed(ButtonPressed())
    connection = desk.connect()
    offer = claim_offer(desk.say(connection, ask_claim(new.holder()))[0])
    e3, enrolled = new.enrol(offer, desk.factory.claim_code)
    desk.say(connection, e3)
    found = identity(desk)
    assert found is not None
    assert found.lock_id == enrolled.lock_id != desk.enrolled.lock_id


def test_a_phone_brings_the_order_and_carries_the_last_word_away() -> None:
    desk = lived_in()
    desk.lock.power_on()  # no broker
    owner = desk.site.holder()
    credential = desk.site.credential(desk.enrolled, owner, epoch=1)
    answer = desk.open(owner, credential, desk.site.release(desk.enrolled), operation=Operation.SYNC)
    assert answer is not None
    assert answer.code is AirCode.GRANTED
    said = len(desk.lock.said[desk.last])
    desk.wait(LINGER + 1)
    assert len(desk.lock.said[desk.last]) > said, "the journal goes with him"
    assert desk.last in desk.lock.closed
    assert identity(desk) is None


def test_between_order_and_oblivion_no_key_opens() -> None:
    desk = lived_in()
    desk.lock.power_on()
    owner = desk.site.holder()
    key = desk.site.credential(desk.enrolled, owner, epoch=1)
    desk.open(owner, key, desk.site.release(desk.enrolled), operation=Operation.SYNC)
    before = desk.openings
    answer = desk.open(owner, key)
    assert answer is not None
    assert answer.code is AirCode.TRY_LATER
    assert desk.openings == before
    assert Denial.BUSY in desk.denials()


def test_L45_an_occupied_lock_is_not_released_by_its_owners_wish() -> None:
    desk = lived_in(occupied=True)
    order(desk, desk.site.release(desk.enrolled))
    applied = [r for r in desk.news() if isinstance(r, Applied)]
    assert applied[-1].denials == (Denial.OCCUPIED,)
    desk.wait(60)
    assert identity(desk) is not None
    assert Denial.OCCUPIED in desk.denials()
    tenant = desk.site.holder()
    answer = desk.open(tenant, desk.site.credential(desk.enrolled, tenant, epoch=1))
    assert answer is not None
    assert answer.code is AirCode.GRANTED, "the tenant gets in as ever"


def test_L45_nor_by_a_phone_and_the_refusal_stands_in_the_journal() -> None:
    desk = lived_in(occupied=True)
    owner = desk.site.holder()
    credential = desk.site.credential(desk.enrolled, owner, epoch=1)
    answer = desk.open(owner, credential, desk.site.release(desk.enrolled), operation=Operation.SYNC)
    assert answer is not None
    desk.wait(60)
    assert identity(desk) is not None
    assert desk.denials().count(Denial.OCCUPIED) == 1


def test_L45_nor_by_ten_seconds_on_its_button() -> None:
    desk = lived_in(occupied=True)
    desk.lock.feed(ResetHeld())
    desk.wait(60)
    assert identity(desk) is not None
    assert [(e.how, e.denial) for e in desk.entries(What.DENIED)] == [(How.BUTTON, Denial.OCCUPIED)]


def test_L45_a_first_unlock_of_the_next_tenancy_protects_its_tenant_at_once() -> None:
    desk = lived_in()
    tenant = desk.site.holder()
    desk.open(tenant, desk.site.credential(desk.enrolled, tenant, epoch=2))
    desk.lock.feed(ResetHeld())
    order(desk, desk.site.release(desk.enrolled))
    desk.wait(60)
    assert identity(desk) is not None


def test_L45_a_gate_is_never_reset_by_hand_and_goes_by_order_alone() -> None:
    desk = lived_in(DoorKind.SHARED)
    desk.lock.feed(ResetHeld())
    desk.wait(60)
    assert identity(desk) is not None
    assert Denial.OCCUPIED in desk.denials()
    order(desk, desk.site.release(desk.enrolled))
    assert identity(desk) is None


def test_L45_a_recorded_emergency_and_only_that_takes_an_occupied_lock_away() -> None:
    desk = lived_in(occupied=True)
    order(desk, desk.site.release(desk.enrolled, ReleaseReason.EMERGENCY))
    assert identity(desk) is None


def test_L45_an_order_held_back_takes_nothing_from_a_later_tenant() -> None:
    desk = lived_in()
    held_back = desk.site.release(desk.enrolled, ReleaseReason.EMERGENCY)
    desk.lock.clocks.advance(RELEASE_LIFE)
    desk.site.now += RELEASE_LIFE
    desk.broker_up()
    order(desk, held_back)
    assert identity(desk) is not None
    assert Denial.EXPIRED in desk.denials()
    desk.lock.clocks.pull_battery()
    order(desk, held_back)
    assert identity(desk) is not None, "a lost clock revives it no more than a running one"


@pytest.mark.parametrize("wrong", ["another lock", "another site"])
def test_L45_an_order_for_somebody_else_is_refused(wrong: str) -> None:
    desk = lived_in()
    if wrong == "another lock":
        other = lived_in()
        other.enrolled.lock_id = b"x" * 16
        order(desk, desk.site.release(other.enrolled))
    else:
        order(desk, Site(source(9)).release(desk.enrolled))
    assert identity(desk) is not None
    assert desk.denials()


def test_L45_mutant_a_lock_that_forgets_the_mark_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    obey, held_button = release.obey, release.held_button

    def blind(core: object, held: object, *rest: object) -> None:
        held.occupied = False  # type: ignore[attr-defined]
        obey(core, held, *rest)  # type: ignore[arg-type]

    def blind_button(core: object) -> None:
        core.held.occupied = False  # type: ignore[attr-defined]
        held_button(core)  # type: ignore[arg-type]

    monkeypatch.setattr("firmware_sim.core.documents.obey", blind)
    monkeypatch.setattr(release, "held_button", blind_button)
    for law in (
        test_L45_an_occupied_lock_is_not_released_by_its_owners_wish,
        test_L45_nor_by_a_phone_and_the_refusal_stands_in_the_journal,
        test_L45_nor_by_ten_seconds_on_its_button,
    ):
        with pytest.raises(AssertionError):
            law()


@pytest.mark.parametrize("way", ["order", "button"])
def test_L13_of_the_old_door_no_byte_is_left_on_the_chip(way: str) -> None:
    desk = lived_in()
    known = secrets_of(desk)
    assert left_over(desk, known) == list(known), "it was all there"
    if way == "order":
        order(desk, desk.site.release(desk.enrolled))
    else:
        desk.lock.feed(ResetHeld())
        desk.wait(LINGER + 1)
    assert identity(desk) is None
    assert left_over(desk, known) == []


def test_L13_mutant_a_lock_that_only_forgets_its_keys_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(self: Flash, kept: set[str]) -> None:
        self.put({name: None for name in self.names() if name not in kept})

    monkeypatch.setattr(Flash, "wipe", unlink)
    desk = lived_in()
    known = secrets_of(desk)
    order(desk, desk.site.release(desk.enrolled))
    assert identity(desk) is None
    assert "door seed" in left_over(desk, known)


def test_L13_mutant_a_lock_that_leaves_the_other_bank_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware_sim.links.memory.MemoryMedium.erase_other", lambda _self: None)
    desk = lived_in()
    known = secrets_of(desk)
    order(desk, desk.site.release(desk.enrolled))
    assert "door seed" in left_over(desk, known)


def writes_of_a_release() -> int:
    desk = lived_in()
    before = desk.lock.medium.writes
    order(desk, desk.site.release(desk.enrolled))
    return desk.lock.medium.writes - before


def broken_releases() -> list[str]:
    """A cut at every write: the lock is the old one, whole, or nobody's, with nothing left."""
    found = []
    for number in range(writes_of_a_release()):
        for share in (0.0, 0.5, 1.0):
            desk = lived_in()
            known = secrets_of(desk)
            openings = desk.openings
            desk.lock.medium.cut = Cut(number, share)
            order(desk, desk.site.release(desk.enrolled))
            where = f"write {number} share {share}"
            desk.lock.medium.cut = None
            if not desk.lock.on:
                desk.lock.power_on()
            if not desk.lock.on:
                found.append(f"does not boot, {where}")
                continue
            begun = bool(desk.entries(What.RETIRED)) or identity(desk) is None
            desk.wait(LINGER + 1)
            if begun and identity(desk) is not None:
                found.append(f"retired and goes on, {where}")
            if identity(desk) is None and left_over(desk, known):
                found.append(f"left {left_over(desk, known)}, {where}")
            if desk.openings != openings:
                found.append(f"opened, {where}")
            if identity(desk) is not None and not intact(desk):
                found.append(f"half forgotten, {where}")
    return found


def intact(desk: Desk) -> bool:
    tenant = desk.site.holder()
    answer = desk.open(tenant, desk.site.credential(desk.enrolled, tenant, epoch=1))
    return answer is not None and answer.code is AirCode.GRANTED


def test_L10_a_cut_at_any_write_of_a_release_leaves_the_lock_whole_or_nobodys() -> None:
    assert writes_of_a_release() >= 3
    assert broken_releases() == []


def test_L10_mutant_a_wipe_that_is_not_resumed_leaves_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "resume", lambda _core: None)
    assert any("goes on" in broken for broken in broken_releases())


def test_the_firmwares_counter_outlives_the_door() -> None:
    from tests.unit.firmware_sim.test_law_firmware import IMAGE, NEXT, Works

    works = Works()
    works.update(works.manifest(IMAGE), IMAGE)
    works.broker_up()
    order(works, works.site.release(works.enrolled))
    assert identity(works) is None
    assert works.lock.lock is not None
    assert works.lock.lock._core.running == (2, NEXT)


def test_an_unowned_lock_has_nothing_to_forget() -> None:
    desk = lived_in()
    desk.lock.feed(ResetHeld())
    desk.wait(LINGER + 1)
    reboots = sum(isinstance(e, Reboot) for e in desk.lock.effects)
    desk.lock.feed(ResetHeld())
    desk.wait(LINGER + 1)
    assert sum(isinstance(e, Reboot) for e in desk.lock.effects) == reboots == 1


def test_L13_pins_and_cards_of_the_old_door_open_nothing_and_stand_nowhere() -> None:
    step = Doorstep()
    pin, card = "2718281", b"\x04\xa1\xb2\xc3\xd4"
    step.give(pins=(step.slot(3, pin),), cards=(step.slot(4, card, SlotKind.CARD),))
    assert step.key(pin) is Sign.OPEN
    known = {
        "the PIN's verifier": verifier(step.seed_of_door, SlotKind.PIN, pin.encode()),
        "the card's verifier": verifier(step.seed_of_door, SlotKind.CARD, card),
        "whose they are": bytes([3]) * 16,
        "door seed": step.seed_of_door,
    }
    assert left_over(step, known) == list(known)
    order(step, step.site.release(step.enrolled))
    assert left_over(step, known) == []
    openings = step.openings
    step.lock.feed(KeypadEntered(pin))
    step.lock.feed(CardPresented(card))
    assert step.openings == openings
