"""L-06 at keypad and readers: guessing costs whoever guesses, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.core.acts import Acts
from firmware_sim.core.core import Core
from firmware_sim.core.events import KeypadAnswer, KeypadEntered, Sign
from firmware_sim.core.flash import Flash, PowerCutError
from firmware_sim.core.keypad import Keypad
from firmware_sim.core.lockout import Lockout
from firmware_sim.core.server import Server
from firmware_sim.links.memory import Cut, MemoryMedium
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.journal import How, What
from lockserver.protocol.limits import (
    LOCKOUT_AFTER,
    MAX_ACTIVATIONS,
    MAX_SLOTS,
    PIN_DIGITS,
    PIN_LEAST,
)
from lockserver.protocol.pin import candidates, pause_after
from lockserver.protocol.slots import SlotKind
from tests.support.site import T0
from tests.unit.firmware_sim.doorstep import WRONG, Doorstep

DAY = 86400
CARD = bytes.fromhex("04a1b2c3")
PIN = "2718281"


def guesses_in(days: float, lockout: Lockout, *, from_ms: int = 0) -> int:
    """How often somebody who never tires is looked at: each guess as soon as the pause is over."""
    now, end, count = from_ms, from_ms + int(days * DAY * 1000), 0
    while True:
        now += lockout.left(now)
        lockout.tick(now)
        if now >= end:
            return count
        lockout.failed(now)
        count += 1


def fresh() -> Lockout:
    return Lockout(Flash(MemoryMedium()), "pin", 0)


# ---- the attacks, by name


def test_L06_keypad_brute_force_has_31_guesses_on_the_first_day_and_24_on_each_later_one() -> None:
    lockout = fresh()
    first = guesses_in(1, lockout)
    later = [guesses_in(1, lockout, from_ms=day * DAY * 1000) for day in range(1, 30)]
    assert (first, set(later)) == (31, {24})
    assert first + sum(later) == 727


def test_L06_a_month_of_brute_force_opens_with_less_than_half_a_percent() -> None:
    """The arithmetic of docs/protocol.md, with the lock's own lockout and its own search."""
    tried = guesses_in(30, fresh())
    targets = sum(1 for _ in candidates(7, 2, shared=False, now=T0)) + MAX_ACTIVATIONS
    offline = tried * targets / 10**PIN_DIGITS
    custom = tried * MAX_SLOTS / 10**PIN_LEAST
    assert offline + custom < 0.005


def test_L06_mutant_a_lockout_that_does_not_double_is_above_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("firmware_sim.core.lockout.pause_after", lambda n: 300 if n >= LOCKOUT_AFTER else 0)
    assert guesses_in(30, fresh()) * MAX_SLOTS / 10**PIN_LEAST > 0.005


def brute_force(door: Doorstep, guesses: int = 12) -> list[Sign]:
    """An attacker keys one wrong PIN after the other without looking; what he is shown."""
    return [door.key(f"{number:07d}") for number in range(1_000_000, 1_000_000 + guesses)]


def test_L06_keypad_brute_force_is_not_looked_at_once_the_keypad_rests() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, PIN),))
    assert brute_force(door) == [Sign.DENIED] * 5 + [Sign.LOCKED] * 7
    assert door.answered(PIN).answer is Sign.LOCKED, "not even the right one"
    assert door.openings == 0
    door.leap(300)
    assert door.key(PIN) is Sign.OPEN


def test_L06_mutant_a_keypad_that_counts_nothing_looks_at_every_guess(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Lockout, "failed", lambda *_: 0)
    door = Doorstep()
    assert brute_force(door) == [Sign.DENIED] * 12


def test_L06_the_pauses_grow_and_are_told() -> None:
    door = Doorstep()
    door.guess(5)
    pauses = []
    for _ in range(7):
        answer = door.answered(WRONG)
        assert answer.answer is Sign.LOCKED
        pauses.append(answer.seconds)
        door.leap(answer.seconds or 0)
        assert door.key(WRONG) is Sign.DENIED
    assert pauses == [300, 600, 1200, 2400, 3600, 3600, 3600]


def power_cycled(door: Doorstep) -> list[Sign]:
    """Five failures, almost the whole pause, then the battery is pulled; what is shown right after."""
    door.guess(5)
    door.leap(290)
    door.lock.power_on()
    signs = [door.key(WRONG)]
    door.leap(290)
    signs.append(door.key(WRONG))
    door.leap(10)
    return [*signs, door.key(WRONG), door.key(WRONG)]


def test_L06_power_cycle_reset_begins_the_whole_pause_anew() -> None:
    assert power_cycled(Doorstep()) == [Sign.LOCKED, Sign.LOCKED, Sign.DENIED, Sign.LOCKED]


def in_memory_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lockout whose count never reaches the chip."""
    whole = Flash.put

    def forgets(self: Flash, values: dict[str, bytes | None]) -> None:
        kept = {name: value for name, value in values.items() if not name.startswith("lockout.")}
        self._values |= {name: value for name, value in values.items() if name not in kept and value}
        if kept:
            whole(self, kept)

    monkeypatch.setattr(Flash, "put", forgets)


def test_L06_mutant_a_lockout_in_memory_is_reset_by_the_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory_only(monkeypatch)
    assert power_cycled(Doorstep())[0] is Sign.DENIED


def free_guesses() -> list[tuple[int, float]]:
    """At which cuts of a failing entry a guesser saw the refusal, and does not pay for it after boot."""
    free = []
    for write in range(4):
        for share in (0.0, 0.5, 1.0):
            door = Doorstep()
            door.guess(4)
            before = len(door.lock.effects)
            door.lock.medium.cut = Cut(write, share)
            door.lock.feed(KeypadEntered(WRONG))
            shown = any(isinstance(e, KeypadAnswer) for e in door.lock.effects[before:])
            door.lock.medium.cut = None
            door.lock.power_on()
            if shown and door.key(WRONG) is not Sign.LOCKED:
                free.append((write, share))
    return free


def test_L06_a_power_cut_at_any_write_of_a_failure_gives_no_free_guess() -> None:
    assert free_guesses() == []


def test_L06_mutant_a_count_that_is_not_in_flash_when_it_shows_gives_free_guesses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_memory_only(monkeypatch)
    assert free_guesses()


def de_bruijn(digits: int) -> Iterator[str]:
    """The sequence that holds every string of `digits` digits once (Fredricksen, Kessler, Maiorana)."""
    word = [0] * (digits + 1)

    def extend(t: int, p: int) -> Iterator[int]:
        if t > digits:
            if digits % p == 0:
                yield from word[1 : p + 1]
            return
        word[t] = word[t - p]
        yield from extend(t + 1, p)
        for digit in range(word[t - p] + 1, 10):
            word[t] = digit
            yield from extend(t + 1, t)

    return (str(digit) for digit in extend(1, 1))


def test_L06_a_de_bruijn_sequence_is_one_failure_however_long() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, "0000012"),))
    sequence = "".join(islice(de_bruijn(7), 20_000))
    assert "0000012" in sequence
    assert door.key(sequence) is Sign.DENIED
    assert door.openings == 0
    door.guess(4)
    assert door.key("0000012") is Sign.LOCKED, "it cost as much as one guess"


def test_L06_mutant_a_keypad_that_looks_for_the_pin_within_the_entry_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Keypad.entered

    def sliding(self: Keypad, digits: str) -> None:
        for start in range(max(1, len(digits) - 6)):
            fits = self._pins(self._core.held, digits[start : start + 7]) if self._core.held else []
            if fits:
                whole(self, digits[start : start + 7])
                return
        whole(self, digits)

    monkeypatch.setattr(Keypad, "entered", sliding)
    door = Doorstep()
    door.give(pins=(door.slot(1, "0000012"),))
    assert door.key("".join(islice(de_bruijn(7), 200))) is Sign.OPEN


def interleaved(door: Doorstep, guesses: int = 8) -> int:
    """A guest keys his own PIN between any two guesses; how many guesses are looked at."""
    door.give(pins=(door.slot(1, PIN),))
    looked_at = 0
    for _ in range(guesses):
        looked_at += door.key(WRONG) is Sign.DENIED
        door.key(PIN)
    return looked_at


def test_L06_interleaving_a_known_pin_gains_no_guesses() -> None:
    assert interleaved(Doorstep()) == 5


def test_L06_mutant_a_success_that_resets_the_count_gives_guesses_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Keypad._moved

    def forgiving(self: Keypad, done: object) -> None:
        self._core.flash.put({"lockout.pin": None})
        whole(self, done)  # type: ignore[arg-type]

    monkeypatch.setattr(Keypad, "_moved", forgiving)
    assert interleaved(Doorstep()) == 8


def test_L06_only_a_day_without_a_failure_forgets() -> None:
    door = Doorstep()
    door.guess(4)
    door.leap(DAY - 1)
    assert door.key(WRONG) is Sign.DENIED
    assert door.key(WRONG) is Sign.LOCKED
    door = Doorstep()
    door.guess(4)
    door.leap(DAY)
    assert [door.key(WRONG) for _ in range(6)] == [Sign.DENIED] * 5 + [Sign.LOCKED]


# ---- who is not touched


def everything_else_works(door: Doorstep) -> bool:
    tenant = door.site.holder()
    answer = door.open(tenant, door.site.credential(door.enrolled, tenant))
    sealed, _ = door.site.unlock(door.enrolled, tenant)
    door.deliver(sealed)
    door.attest()
    return (
        answer is not None
        and answer.code is AirCode.GRANTED
        and door.card(CARD) is Sign.OPEN
        and door.openings == 3
    )


def test_L06_a_resting_keypad_blocks_neither_phones_nor_remote_unlocks_nor_cards() -> None:
    door = Doorstep()
    door.give(cards=(door.slot(1, CARD, SlotKind.CARD),))
    door.guess(12)
    assert door.key(WRONG) is Sign.LOCKED
    assert everything_else_works(door)
    assert door.key(WRONG) is Sign.LOCKED


def test_L06_mutant_one_count_for_everything_blocks_the_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Keypad.__init__

    def one_for_all(self: Keypad, core: Core, acts: Acts, server: Server) -> None:
        whole(self, core, acts, server)
        self._lockouts = dict.fromkeys(SlotKind, self._lockouts[SlotKind.PIN])

    monkeypatch.setattr(Keypad, "__init__", one_for_all)
    door = Doorstep()
    door.give(cards=(door.slot(1, CARD, SlotKind.CARD),))
    door.guess(12)
    assert not everything_else_works(door)


def test_L06_cards_and_fingers_rest_for_themselves() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, PIN),))
    cards = [door.card(bytes([n] * 4)) for n in range(7)]
    assert cards == [Sign.DENIED] * 5 + [Sign.LOCKED] * 2
    fingers = [door.finger(bytes([n] * 16)) for n in range(7)]
    assert fingers == [Sign.DENIED] * 5 + [Sign.LOCKED] * 2
    assert door.key(PIN) is Sign.OPEN


def test_L06_what_the_pause_met_is_journalled_once_with_its_count() -> None:
    door = Doorstep()
    brute_force(door, 105)
    door.leap(301)
    door.leap(120)
    (lockout,) = door.entries(What.LOCKOUT)
    assert lockout.how is How.PIN
    resting = [e for e in door.entries(What.DENIED) if e.denial is Denial.KEYPAD_LOCKED]
    assert len(resting) <= 2
    assert sum(e.count for e in resting) == 100


# ---- the shape, for any sequence of events


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.just("fail"), st.just("cut"), st.integers(1, 4000)), max_size=40))
def test_L06_no_order_of_guessing_waiting_and_pulling_the_plug_beats_the_patient_guesser(
    deeds: list[str | int],
) -> None:
    """Between the n-th guess that is looked at and the next lies the n-th pause, whatever he does."""
    medium = MemoryMedium()
    lockout, mono, looked, true = Lockout(Flash(medium), "pin", 0), 0, [], 0
    for deed in deeds:
        if deed == "cut":
            lockout, mono = Lockout(Flash(medium), "pin", 0), 0
        elif deed == "fail":
            if lockout.left(mono) == 0:
                lockout.tick(mono)
                lockout.failed(mono)
                looked.append(true)
        else:
            assert isinstance(deed, int)
            mono, true = mono + deed * 1000, true + deed
            lockout.tick(mono)
    for number, at in enumerate(looked[1:], start=1):
        assert at - looked[number - 1] >= pause_after(number)


def test_a_torn_count_is_the_old_count_or_the_new_one() -> None:
    for share in (0.0, 0.4, 0.9, 1.0):
        medium = MemoryMedium()
        lockout = Lockout(Flash(medium), "pin", 0)
        lockout.failed(0)
        medium.cut = Cut(0, share)
        with pytest.raises(PowerCutError):
            lockout.failed(1)
        assert Lockout(Flash(medium), "pin", 0).failures == (2 if share == 1.0 else 1)
