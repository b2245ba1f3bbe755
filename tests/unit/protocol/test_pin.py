"""PINs without a network: what ceaseless guessing gains, what works when, which PINs are too weak."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import comb
from pathlib import Path

import pytest

from lockserver.protocol import keyed, pin
from lockserver.protocol.access import ClockView, Denied, DoorView, Granted
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.limits import (
    MAX_ACTIVATIONS,
    MAX_SLOTS,
    PIN_DIGITS,
    PIN_LEAST,
)
from lockserver.protocol.pin import OfflinePin, PinCode, candidates, pause_after, pin_digits, search, weakness
from lockserver.protocol.slots import Slot
from tests.vectors.cast import LOCK_ID, NOW, octets

PAGE = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
DAYS = 30
DAY = 86400
BOUND = Fraction(5, 1000)
SEED = octets("door seed", 32)
HOUR = NOW // 3600
ROOM = DoorView(LOCK_ID, shared=False, epoch=3)

Pause = Callable[[int], int]


def guesses(until: int, pause: Pause = pause_after) -> int:
    """Entries that a keypad looks at before ``until`` seconds, for one who keys whenever it lets him."""
    count, now = 0, 0
    while now < until:
        count += 1
        now += pause(count)
    return count


def good_pins(digits: int) -> int:
    """How many PINs of so many digits no rule refuses, where none of them can hold a date."""

    def onto(n: int, k: int) -> int:
        return sum((-1) ** i * comb(k, i) * (k - i) ** n for i in range(k + 1))

    few = sum(comb(10, k) * onto(digits, k) for k in range(1, 4))  # all blocks of 2 or 3 are among them
    return int(10**digits - few - len(set(runs(digits))))


def runs(digits: int) -> Iterator[str]:
    """Every PIN of so many digits with five neighbours in a row."""
    spare = digits - 5
    for at in range(spare + 1):
        for first in range(10):
            for step in (1, 9):
                run = "".join(str((first + step * i) % 10) for i in range(5))
                for rest in range(10**spare):
                    other = f"{rest:0{spare}d}"
                    yield other[:at] + run + other[at:]


def most_searched(now: int) -> int:
    return len(list(candidates(3, 0, shared=False, now=now)))


def risks(tried: int, searched: int, digits: int = PIN_DIGITS) -> tuple[Fraction, Fraction]:
    """Chances, at most, that one of the guesses fits an offline PIN, and a custom one of the fewest digits."""
    offline = Fraction(tried * (searched + MAX_ACTIVATIONS), 10**digits)
    return offline, Fraction(tried * MAX_SLOTS, good_pins(PIN_LEAST))


def figure(what: str) -> str:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {what}")]
    return line.strip("| ").rsplit("|", 1)[1].strip()


def test_L06_thirty_days_of_ceaseless_guessing_stay_below_half_a_percent() -> None:
    tried, searched = guesses(DAYS * DAY), most_searched(NOW)
    offline, custom = risks(tried, searched)
    assert offline + custom < BOUND
    assert figure("guesses on the first day") == str(guesses(DAY))
    assert figure("guesses on each later day") == str(guesses(2 * DAY) - guesses(DAY))
    assert figure("guesses in 30 days") == str(tried)
    assert figure("offline PINs that are searched at a room") == str(searched)
    assert figure("with 32 activations") == f"{searched + MAX_ACTIVATIONS} of 10⁹"
    assert figure("custom PINs of seven digits") == f"{good_pins(PIN_LEAST)} of 10⁷"
    for what, risk in (
        (f"{tried} guesses at offline PINs", offline),
        (f"{tried} guesses at {MAX_SLOTS} custom", custom),
        ("both together", offline + custom),
    ):
        said = Fraction(figure(what).removesuffix(" %")) / 100
        assert risk <= said < risk * Fraction(11, 10)


def test_L06_mutant_another_keypad_breaks_the_bound() -> None:
    unpaused = guesses(DAY, lambda failures: 1) * DAYS
    assert sum(risks(unpaused, most_searched(NOW))) > BOUND
    never_more_than_five_minutes = guesses(DAYS * DAY, lambda failures: 300 if failures >= 5 else 0)
    assert sum(risks(never_more_than_five_minutes, most_searched(NOW))) > BOUND
    twice_as_many = 2 * most_searched(NOW)  # n of 0 to 3
    assert risks(guesses(DAYS * DAY), twice_as_many, digits=8)[0] > BOUND


def test_as_many_are_searched_at_every_moment_of_the_hour_and_week() -> None:
    moments = [NOW // 3600 * 3600 + s for s in (0, 1, 1800, 3599)] + [NOW + d * DAY for d in range(8)]
    assert {most_searched(now) for now in moments} == {620}
    assert all(len(set(candidates(3, 0, shared=s, now=NOW))) == n for s, n in ((False, 620), (True, 358)))


def test_what_is_searched_is_what_may_be_used_first() -> None:
    every = {
        OfflinePin(epoch, code, hour, n)
        for epoch in (0, 1, 3, 4)
        for code in PinCode
        for hour in range(HOUR - 30, HOUR + 3)
        for n in (0, 1)
    }
    owners = {p for p in every if p.epoch < 3 and p.code is PinCode.OWNER}
    guests = {p for p in every if p.epoch >= 3 and p.code is not PinCode.OWNER}
    expected = {p for p in owners | guests if p.begins(NOW)}
    assert set(candidates(3, 0, shared=False, now=NOW)) == expected
    assert all(p.start <= NOW < p.start + DAY for p in expected)
    assert {p.epoch for p in candidates(3, 0, shared=True, now=NOW) if p.code is not PinCode.OWNER} == {0}


def test_the_search_finds_what_is_keyed_and_nothing_else() -> None:
    pins = list(candidates(3, 0, shared=False, now=NOW))
    for wanted in pins[::97]:
        digits = pin_digits(SEED, wanted)
        assert len(digits) == PIN_DIGITS
        assert wanted in search(SEED, digits, pins)
    assert search(SEED, "12345678", pins) == ()
    assert search(octets("another seed", 32), pin_digits(SEED, pins[0]), pins) == ()


def pooled_hits() -> tuple[int, int]:
    """(how many other PINs two guests might want, how many of them they hold already)."""
    known = {pin_digits(SEED, OfflinePin(3, PinCode.DAY, HOUR, n)) for n in (0, 1)}
    others = {
        pin_digits(seed, OfflinePin(epoch, code, hour, 0))
        for seed in (SEED, octets("next door", 32))
        for epoch in (3, 4)
        for code in PinCode
        for hour in (HOUR - 1, HOUR, HOUR + 1)
    } - {pin_digits(SEED, OfflinePin(3, PinCode.DAY, HOUR, 0))}
    return len(others), len(known & others)


def test_L05_the_pins_of_two_guests_tell_nothing_of_a_third() -> None:
    assert pooled_hits() == (2 * 2 * 9 * 3 - 1, 0)


@pytest.mark.parametrize("part", ["seed", "epoch", "hour"])
def test_L05_mutant_digits_that_leave_something_out_are_caught(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pin_digits

    def forgetful(seed: bytes, it: OfflinePin) -> str:
        left_out = {"seed": (SEED, it), "epoch": (seed, it._replace(epoch=3))}
        return whole(*left_out.get(part, (seed, it._replace(start_hour=HOUR))))

    monkeypatch.setitem(globals(), "pin_digits", forgetful)
    assert pooled_hits() != (2 * 2 * 9 * 3 - 1, 0)


# -------------------------------------------------------------------------------- decisions


def test_L40_a_slot_is_half_open_and_a_tenants_survives_a_lost_clock() -> None:
    for held, lost in ((HolderClass.TENANT, "granted"), (HolderClass.GUEST, "clock_lost")):
        slot = Slot(1, octets("pin", 16), octets("subject", 16), NOW, NOW + 60, held, 3)
        said = [told(keyed.decide_slot(slot, ClockView(NOW + d), ROOM)) for d in (-1, 0, 59, 60)]
        assert said == ["not_yet", "granted", "granted", "expired"]
        assert told(keyed.decide_slot(slot, ClockView(None, NOW - 9), ROOM)) == lost
        assert told(keyed.decide_slot(slot, ClockView(None, NOW + 60), ROOM)) == "expired"


def told(verdict: object) -> str:
    if isinstance(verdict, Denied):
        return verdict.denial.word
    assert isinstance(verdict, Granted)
    return "granted" if verdict.raise_epoch is None else f"granted, epoch {verdict.raise_epoch}"


@pytest.mark.parametrize("code", [c for c in PinCode if not c.one_time and c is not PinCode.CLEAR])
def test_L40_an_offline_pin_is_half_open(code: PinCode) -> None:
    it = OfflinePin(3, code, HOUR)

    def at(now: int, held: frozenset[OfflinePin]) -> str:
        return told(keyed.decide_pin(it, held, ClockView(now), ROOM))

    used: frozenset[OfflinePin] = frozenset({it})
    assert at(it.start - 1, used) == "not_yet"
    assert at(it.start, frozenset()) == at(it.start, used) == "granted"
    assert at(it.until, used) == at(it.first_until, frozenset()) == "expired"
    last = it.until - 1 if code not in pin.PERIODS else it.until - pin.PERIODS[code] + pin.RECURRING - 1
    assert at(last, used) == "granted"
    if code in pin.PERIODS:
        assert at(last + 1, used) == "schedule"


@pytest.mark.parametrize("check", ["_pin_window", "_cleared", "_pin_epoch", "_use", "_occupied"])
def test_L40_mutant_an_offline_pin_without_one_check_is_caught(
    check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = OfflinePin(3, PinCode.ONE_TIME, HOUR)
    owners = OfflinePin(0, PinCode.OWNER, HOUR)
    occupied = DoorView(LOCK_ID, shared=False, epoch=3, occupied=True)

    def said() -> list[str]:
        clock = ClockView(NOW)
        return [
            told(keyed.decide_pin(it, (), ClockView(it.start - 1), ROOM)),
            told(keyed.decide_pin(it, (), clock, ROOM, cleared=HOUR)),
            told(keyed.decide_pin(OfflinePin(5, PinCode.DAY, HOUR), (), clock, ROOM)),
            told(keyed.decide_pin(it, (it,), clock, ROOM)),
            told(keyed.decide_pin(owners, (), clock, occupied)),
        ]

    assert said() == ["not_yet", "revoked", "epoch_jump", "used_up", "occupied"]
    monkeypatch.setattr(keyed, check, lambda *_, **__: None)
    assert said() != ["not_yet", "revoked", "epoch_jump", "used_up", "occupied"]


def test_a_clear_code_opens_nothing_and_raises_nothing() -> None:
    clear = OfflinePin(4, PinCode.CLEAR, HOUR)
    occupied = DoorView(LOCK_ID, shared=False, epoch=3, occupied=True)
    assert keyed.decide_pin(clear, (), ClockView(NOW), occupied) == Granted()


def test_the_next_tenancys_pin_raises_the_epoch_as_its_key_does() -> None:
    verdict = keyed.decide_pin(OfflinePin(4, PinCode.DAY, HOUR), (), ClockView(NOW), ROOM)
    assert verdict == Granted(4, occupies=True)
    assert keyed.decide_pin(OfflinePin(1, PinCode.OWNER, HOUR), (), ClockView(NOW), ROOM) == Granted(1)
    gate = DoorView(LOCK_ID, shared=True)
    assert keyed.decide_pin(OfflinePin(0, PinCode.DAY, HOUR), (), ClockView(NOW), gate) == Granted()
    assert (
        told(keyed.decide_pin(OfflinePin(1, PinCode.DAY, HOUR), (), ClockView(NOW), gate)) == "epoch_shared"
    )


# -------------------------------------------------------------------------------- rules

WEAK = {
    "123456": "length",
    "1234567890": "length",
    "12a4567": "length",
    "١٢٣٤٥٦٧": "length",
    "": "length",
    "7777777": "same_digit",
    "1234509": "run",
    "9876524": "run",
    "4789013": "run",
    "1231231": "block",
    "12341234": "block",
    "121212121": "block",
    "19870614": "date",
    "520010131": "date",
    "1121221": "few_digits",
    "3553535": "few_digits",
}


@pytest.mark.parametrize("digits", WEAK)
def test_a_weak_pin_is_refused_by_its_rule(digits: str) -> None:
    assert weakness(digits) == WEAK[digits]


@pytest.mark.parametrize("digits", ["2904751", "83150264", "708214365", "20241356", "18991231", "1234067"])
def test_a_good_pin_is_taken(digits: str) -> None:
    assert weakness(digits) is None
