"""PINs, cards and fingers at a lock: what opens, what does not, and what the journal says of it."""

from __future__ import annotations

import hmac
from types import SimpleNamespace

import pytest

from firmware_sim.core.events import CardPresented, FingerRead, KeypadEntered, Sign
from firmware_sim.links.memory import MemoryLock
from lockserver.protocol import pin as pins
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.enrolment import DoorKind
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import How, What
from lockserver.protocol.pin import PinCode, subject_pin
from lockserver.protocol.slots import SlotKind
from tests.support.site import T0
from tests.unit.firmware_sim.doorstep import WRONG, Doorstep

HOUR = 3600
DAY = 24 * HOUR
CARD = bytes.fromhex("04a1b2c3d4e5f6")
FINGER = bytes(range(16))


def test_a_custom_pin_a_card_and_a_finger_open_and_the_journal_names_their_slots() -> None:
    door = Doorstep()
    door.give(
        pins=(door.slot(3, "2718281"),),
        cards=(door.slot(4, CARD, SlotKind.CARD),),
        fingers=(door.slot(5, FINGER, SlotKind.FINGER),),
    )
    assert door.key("2718281") is Sign.OPEN
    assert door.card(CARD) is Sign.OPEN
    assert door.finger(FINGER) is Sign.OPEN
    assert door.openings == 3
    told = [(e.how, e.subject) for e in door.entries(What.UNLOCKED)]
    assert told == [(How.PIN, 3), (How.CARD, 4), (How.FINGER, 5)]


def test_what_fits_nothing_opens_nothing() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, "2718281"),), cards=(door.slot(1, CARD, SlotKind.CARD),))
    assert door.key("2718282") is Sign.DENIED
    assert door.card(CARD[::-1]) is Sign.DENIED
    assert door.finger(FINGER) is Sign.DENIED
    assert door.card(b"2718281") is Sign.DENIED, "a PIN is no card"
    assert door.openings == 0
    assert set(door.denials()) == {Denial.PIN_UNKNOWN}


@pytest.mark.parametrize(
    "digits", ["", "1", "271828", "2718281828", "27182 81", "２７１８２８１", "2718281a", "9" * 5000]
)
def test_what_is_no_entry_of_seven_to_nine_digits_is_a_failure_and_no_more(digits: str) -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, "2718281"),))
    assert door.key(digits) is Sign.DENIED
    assert door.lock.on
    assert door.openings == 0


def test_a_card_or_finger_of_an_impossible_length_is_refused() -> None:
    door = Doorstep()
    assert door.card(b"") is Sign.DENIED
    assert door.card(bytes(33)) is Sign.DENIED
    assert door.finger(bytes(15)) is Sign.DENIED
    assert door.lock.on


def test_a_lock_that_nobody_owns_opens_for_no_pin() -> None:
    door = Doorstep()
    blank = MemoryLock(door.factory, door.random)
    for event in (KeypadEntered("123456789"), CardPresented(CARD), FingerRead(FINGER)):
        blank.feed(event)
    assert blank.door.openings == 0


# ---- offline PINs


def test_an_offline_pin_opens_a_lock_that_was_never_told_of_it() -> None:
    door = Doorstep()
    assert door.key(door.offline(PinCode.DAY)) is Sign.OPEN
    (entry,) = door.entries(What.UNLOCKED)
    assert entry.how is How.PIN
    assert isinstance(entry.subject, int)
    assert subject_pin(entry.subject) == (PinCode.DAY, T0 // HOUR, 0)


def test_a_one_time_pin_opens_once() -> None:
    door = Doorstep()
    digits = door.offline(PinCode.ONE_TIME)
    assert door.key(digits) is Sign.OPEN
    assert door.key(digits) is Sign.DENIED
    door.lock.power_on()
    assert door.key(digits) is Sign.DENIED
    assert door.openings == 1
    assert set(door.denials()) == {Denial.USED_UP}
    assert door.key(door.offline(PinCode.ONE_TIME, n=1)) is Sign.OPEN, "the other guest of that hour"


def test_a_one_time_pin_stays_used_until_nobody_could_use_it_anyway() -> None:
    door = Doorstep()
    digits = door.offline(PinCode.ONE_TIME)
    assert door.key(digits) is Sign.OPEN
    for _ in range(26):
        door.leap(HOUR)
        assert door.key(digits) in {Sign.DENIED, Sign.LOCKED}
    assert door.openings == 1


@pytest.mark.parametrize(
    ("code", "life"),
    [
        (PinCode.HOURS_3, 3 * HOUR),
        (PinCode.DAY, DAY),
        (PinCode.DAYS_3, 3 * DAY),
        (PinCode.WEEK, 7 * DAY),
    ],
)
def test_a_timed_pin_that_was_used_in_time_opens_until_its_end(code: PinCode, life: int) -> None:
    door = Doorstep()
    digits = door.offline(code)
    assert door.key(digits) is Sign.OPEN
    door.leap(life - 2)
    assert door.key(digits) is Sign.OPEN
    door.leap(2)
    assert door.key(digits) is Sign.DENIED
    assert door.openings == 2


@pytest.mark.parametrize("code", [PinCode.ONE_TIME, PinCode.DAYS_3, PinCode.WEEK, PinCode.DAILY])
def test_a_pin_that_nobody_used_within_a_day_of_its_start_is_dead(code: PinCode) -> None:
    door = Doorstep()
    digits = door.offline(code)
    door.leap(DAY)
    assert door.key(digits) is Sign.DENIED
    assert door.openings == 0


def test_a_pin_does_not_open_before_its_start() -> None:
    door = Doorstep()
    later = door.offline(PinCode.DAY, start=T0 + 2 * HOUR)
    assert door.key(later) is Sign.DENIED
    door.leap(2 * HOUR)
    assert door.key(later) is Sign.OPEN


def test_a_daily_pin_opens_four_hours_a_day_for_a_week() -> None:
    door = Doorstep()
    digits = door.offline(PinCode.DAILY)
    opened = []
    for hour in range(0, 8 * 24, 2):
        if door.key(digits) is Sign.OPEN:
            opened.append(hour)
        door.leap(2 * HOUR)
    assert opened == [24 * day + hour for day in range(7) for hour in (0, 2)]


def test_a_weekly_pin_opens_once_a_week_for_twelve_weeks() -> None:
    door = Doorstep()
    digits = door.offline(PinCode.WEEKLY)
    for week in range(13):
        expected = Sign.OPEN if week < 12 else Sign.DENIED
        assert door.key(digits) is expected, week
        door.leap(4 * HOUR)
        assert door.key(digits) is Sign.DENIED
        door.leap(7 * DAY - 4 * HOUR)


def test_a_gate_has_offline_pins_of_its_own() -> None:
    door = Doorstep(kind=DoorKind.SHARED)
    assert door.key(door.offline(PinCode.DAY)) is Sign.OPEN
    assert door.key(door.offline(PinCode.DAY, epoch=1)) is Sign.DENIED
    door.give(pins=(door.slot(1, "2718281", epoch=None), door.slot(2, "3141592", epoch=1)))
    assert door.key("2718281") is Sign.OPEN
    assert door.key("3141592") is Sign.DENIED
    assert Denial.EPOCH_SHARED in door.denials()


def test_an_owners_pin_opens_an_empty_room_once() -> None:
    door = Doorstep()
    digits = door.offline(PinCode.OWNER)
    assert door.key(digits) is Sign.OPEN
    assert door.key(digits) is Sign.DENIED
    assert not door.held.occupied, "an owner's PIN makes nobody live there"


def test_pins_of_another_door_open_nothing() -> None:
    here, there = Doorstep(), Doorstep(seed=70)
    assert here.key(there.offline(PinCode.DAY)) is Sign.DENIED
    there.give(pins=(there.slot(1, "2718281"),))
    here.give(pins=there.pins)
    assert here.key("2718281") is Sign.DENIED, "a verifier says nothing at another lock"


def test_a_full_list_of_pins_in_use_refuses_the_next_and_lets_the_known_in() -> None:
    door = Doorstep()
    known = [door.offline(PinCode.WEEK, start=T0 - hour * HOUR, n=n) for hour in range(16) for n in (0, 1)]
    assert {door.key(digits) for digits in known} == {Sign.OPEN}
    fresh = door.offline(PinCode.DAY)
    assert door.key(fresh) is Sign.TRY_LATER
    assert door.denials() == [Denial.BACK_OFF]
    assert door.key(known[0]) is Sign.OPEN
    door.leap(7 * DAY)
    assert door.key(door.offline(PinCode.DAY, start=T0 + 7 * DAY)) is Sign.OPEN, "what is over makes room"


# ---- the motor


def test_a_jam_is_told_and_gives_a_one_time_pin_back() -> None:
    door = Doorstep()
    digits = door.offline(PinCode.ONE_TIME)
    door.lock.door.jammed = True
    assert door.key(digits) is Sign.TRY_LATER
    door.lock.door.jammed = False
    assert door.key(digits) is Sign.OPEN
    assert door.key(digits) is Sign.DENIED
    assert door.openings == 1


def test_a_refusal_says_nothing_of_its_reason_at_the_door() -> None:
    """Wrong, over, not yet, used up, occupied: one sign, one price."""
    door = Doorstep()
    door.give(
        pins=(
            door.slot(1, "2718281", until=T0),
            door.slot(2, "3141592", nbf=T0 + 60),
            door.slot(3, "1618033", holder_class=HolderClass.OWNER),
        ),
        occupied=True,
    )
    signs = [door.key(digits) for digits in ("2718281", "3141592", "1618033", WRONG)]
    assert signs == [Sign.DENIED] * 4
    assert door.key("0") is Sign.DENIED
    assert door.key("2718281") is Sign.LOCKED, "each was a failure"


@pytest.mark.parametrize("shared", [False, True])
def test_the_search_looks_at_everything_whether_or_not_something_matched(
    monkeypatch: pytest.MonkeyPatch, *, shared: bool
) -> None:
    """As many digests and comparisons for a first hit and a last hit as for a miss."""
    door = Doorstep(kind=DoorKind.SHARED if shared else DoorKind.ROOM)
    epoch = None if shared else 0
    door.give(pins=tuple(door.slot(n, f"27182{n:02d}", epoch=epoch) for n in range(24)))
    first, last = door.offline(PinCode.ONE_TIME, start=T0 - 23 * HOUR), door.offline(PinCode.CLEAR, n=1)
    done: list[str] = []
    number, compare = pins._number, hmac.compare_digest

    def counted_number(*args: object) -> int:
        done.append("digest")
        return number(*args)  # type: ignore[arg-type]

    def counted_compare(one: bytes, other: bytes) -> bool:
        done.append("slot")
        return compare(one, other)

    monkeypatch.setattr(pins, "_number", counted_number)
    monkeypatch.setattr("firmware_sim.core.keypad.hmac", SimpleNamespace(compare_digest=counted_compare))
    work = []
    for digits in (WRONG, "2718200", "2718223", first, last):
        done.clear()
        door.key(digits)
        work.append((done.count("slot"), done.count("digest")))
    assert len(set(work)) == 1, work
    assert work[0] == (24, 358 if shared else 620)
