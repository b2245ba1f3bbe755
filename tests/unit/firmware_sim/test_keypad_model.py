"""The keypad against a model of it, and against any bytes: L-01, L-54 at the lock, and a reference in few lines."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firmware_sim.core import sessions
from firmware_sim.core.events import CardPresented, FingerRead, KeypadEntered, Sign
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.errors import AirCode
from lockserver.protocol.limits import LOCKOUT_QUIET
from lockserver.protocol.pin import OfflinePin, PinCode, pause_after
from lockserver.protocol.slots import Slot
from tests.support.site import T0
from tests.unit.firmware_sim.doorstep import Doorstep

HOUR = 3600
DAY = 24 * HOUR
PIN = "2718281"
FUZZED = Doorstep(seed=41)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.text(max_size=40).map(KeypadEntered),
            st.from_regex(r"[0-9]{7,9}", fullmatch=True).map(KeypadEntered),
            st.binary(max_size=64).map(CardPresented),
            st.binary(max_size=32).map(FingerRead),
        ),
        max_size=6,
    )
)
def test_L01_nothing_that_is_keyed_held_up_or_touched_breaks_the_lock(
    events: list[KeypadEntered | CardPresented | FingerRead],
) -> None:
    for event in events:
        FUZZED.lock.feed(event)
    assert FUZZED.lock.on
    assert FUZZED.openings == 0
    FUZZED.leap(HOUR)


# ---- L-54, as far as the lock goes


def two_weeks_asleep(door: Doorstep) -> Sign:
    """The tenant's phone brings his fallback at its first unlock; then phone, server and network sleep."""
    door.go_offline()
    tenant = door.site.holder()
    key = door.site.credential(door.enrolled, tenant, epoch=1)
    state = door.site.state(
        door.enrolled, version=1, epoch=1, occupied=True, pins=(door.slot(1, PIN, epoch=1),)
    )
    answer = door.open(tenant, key, state)
    assert answer is not None
    assert answer.code is AirCode.GRANTED
    door.leap(14 * DAY)
    answer = door.open(tenant, key)
    assert answer is not None
    assert answer.code is AirCode.DENIED, "his credential has long ended"
    return door.key(PIN)


def test_L54_the_fallback_that_the_tenants_phone_brought_opens_when_all_else_sleeps() -> None:
    assert two_weeks_asleep(Doorstep()) is Sign.OPEN


def test_L54_mutant_a_lock_that_takes_no_state_from_a_phone_shuts_him_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "take_documents", lambda *_: ())
    assert two_weeks_asleep(Doorstep()) is Sign.DENIED


# ---- the model


@dataclass
class Model:
    """What protocol.md §15 says of one lock, without flash, queue or search. Times in seconds."""

    now: int = 0
    epoch: int = 0
    owner_epoch: int = 0
    occupied: bool = False
    failures: int = 0
    last_failure: int = 0
    rest_until: int = 0
    cleared: int = -1

    def __post_init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.used: set[OfflinePin] = set()

    def wait(self, seconds: int) -> None:
        self.now += seconds
        if self.now - self.last_failure >= LOCKOUT_QUIET:
            self.failures = 0

    def key(self, digits: str, pin: OfflinePin | None) -> Sign:
        if self.now < self.rest_until:
            return Sign.LOCKED
        sign = self._slot(self.slots[digits]) if digits in self.slots else Sign.DENIED
        if sign is Sign.DENIED and pin is not None:
            sign = self._offline(pin)
        if sign is Sign.DENIED:
            self.failures += 1
            self.last_failure = self.now
            self.rest_until = self.now + pause_after(self.failures)
        return sign

    def _slot(self, slot: Slot) -> Sign:
        owner = slot.holder_class is HolderClass.OWNER
        held = self.owner_epoch if owner else self.epoch
        epoch = slot.epoch or 0
        alive = slot.nbf - T0 <= self.now < slot.until - T0 and held <= epoch <= held + 16
        if not alive or (owner and self.occupied):
            return Sign.DENIED
        self._raise(epoch, owner=owner)
        return Sign.OPEN

    def _offline(self, pin: OfflinePin) -> Sign:
        owner = pin.code is PinCode.OWNER
        held = self.owner_epoch if owner else self.epoch
        if not held <= pin.epoch <= held + 1:
            return Sign.DENIED
        known = pin in self.used
        if not (pin.covers(T0 + self.now) and (known or pin.begins(T0 + self.now))):
            return Sign.DENIED
        if pin.code is PinCode.CLEAR:
            self.cleared = max(self.cleared, pin.start_hour)
            self.used = {u for u in self.used if u.code is PinCode.OWNER or u.start_hour > self.cleared}
            return Sign.CLEARED
        if (not owner and pin.start_hour <= self.cleared) or (known and pin.code.one_time):
            return Sign.DENIED
        if owner and self.occupied:
            return Sign.DENIED
        self.used.add(pin)
        self._raise(pin.epoch, owner=owner)
        return Sign.OPEN

    def _raise(self, epoch: int, *, owner: bool) -> None:
        if owner:
            self.owner_epoch = max(self.owner_epoch, epoch)
        elif epoch > self.epoch:
            self.epoch, self.occupied = epoch, True


class KeypadMachine(RuleBasedStateMachine):
    """Lock and model side by side, through turnovers, restarts, guesses and days."""

    @initialize()
    def begin(self) -> None:
        self.door, self.model = Doorstep(seed=43), Model()
        self.door.go_offline()

    @rule(
        number=st.integers(0, 3),
        owner=st.booleans(),
        ahead=st.integers(0, 2),
        begins=st.sampled_from([-HOUR, 0, HOUR]),
        lasts=st.sampled_from([2 * HOUR, 3 * DAY]),
    )
    def give(self, number: int, owner: bool, ahead: int, begins: int, lasts: int) -> None:
        slot = self.door.slot(
            number,
            f"271828{number}",
            nbf=T0 + self.model.now + begins,
            until=T0 + self.model.now + begins + lasts,
            holder_class=HolderClass.OWNER if owner else HolderClass.TENANT,
            epoch=self.model.owner_epoch if owner else self.model.epoch + ahead,
        )
        others = tuple(s for s in self.door.pins if s.slot != number)
        self.door.give(pins=(*others, slot))
        self.model.slots[f"271828{number}"] = slot

    @rule(number=st.integers(0, 3))
    def key_custom(self, number: int) -> None:
        digits = f"271828{number}"
        self._same(digits, None)

    @rule(
        code=st.sampled_from(PinCode),
        epoch=st.integers(0, 2),
        ago=st.sampled_from([-1, 0, 1, 5, 23, 24, 49]),
        n=st.integers(0, 1),
    )
    def key_offline(self, code: PinCode, epoch: int, ago: int, n: int) -> None:
        held = self.model.owner_epoch if code is PinCode.OWNER else self.model.epoch
        pin = OfflinePin(held + epoch, code, (T0 + self.model.now) // HOUR - ago, n)
        self._offline(pin)

    @rule(which=st.integers(0, 20))
    def key_one_that_is_in_use(self, which: int) -> None:
        if self.model.used:
            self._offline(sorted(self.model.used)[which % len(self.model.used)])

    def _same(self, digits: str, pin: OfflinePin | None) -> None:
        expected, shown = self.model.key(digits, pin), self.door.key(digits)
        assert shown is expected, (digits, pin, self.model)

    def _offline(self, pin: OfflinePin) -> None:
        digits = self.door.offline(pin.code, start=pin.start, epoch=pin.epoch, n=pin.n)
        self._same(digits, pin)

    @rule(seconds=st.sampled_from([1, 299, 300, 1800, HOUR, 4 * HOUR, DAY, 3 * DAY]))
    def wait(self, seconds: int) -> None:
        self.door.leap(seconds)
        self.model.wait(seconds)

    @rule()
    def restart(self) -> None:
        self.door.lock.power_on()
        if self.model.now < self.model.rest_until:
            self.model.rest_until = self.model.now + pause_after(self.model.failures)
        self.model.last_failure = self.model.now

    @invariant()
    def they_agree(self) -> None:
        held = self.door.held
        model = self.model
        assert (held.epoch, held.owner_epoch, held.occupied) == (
            model.epoch,
            model.owner_epoch,
            model.occupied,
        )


KeypadMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestKeypadIsItsModel = KeypadMachine.TestCase


def test_mutant_a_model_that_differs_by_one_rule_is_found_out() -> None:
    """The comparison bites: a lock that lets the owner into an occupied room is told apart."""
    door, model = Doorstep(), Model()
    door.give(pins=(door.slot(1, PIN, epoch=1), door.slot(2, "3141592", holder_class=HolderClass.OWNER)))
    model.slots = {PIN: door.pins[0], "3141592": door.pins[1]}
    assert door.key(PIN) is model.key(PIN, None)
    model.occupied = False
    assert door.key("3141592") is not model.key("3141592", None)
