"""L-04, L-08, L-11, L-40, L-45, L-52, L-53 at the keypad: when a PIN, card or finger is dead, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from firmware_sim.core import keypad as keypad_room
from firmware_sim.core.activations import Activations
from firmware_sim.core.events import KeypadEntered, MoveBolt, Sign
from firmware_sim.core.held import Held
from firmware_sim.core.reader import Reader
from firmware_sim.core.ring import RESERVED, SLOTS, Ring
from lockserver.protocol import keyed
from lockserver.protocol.access import ClockView, DoorView, Granted, Verdict
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.handshake import Answer
from lockserver.protocol.journal import What
from lockserver.protocol.pin import OfflinePin, PinCode
from lockserver.protocol.slots import Slot, SlotKind
from tests.support.site import T0
from tests.unit.firmware_sim.doorstep import WRONG, Doorstep

HOUR = 3600
DAY = 24 * HOUR
OLD, NEW, OWNER = "2718281", "3141592", "1618033"
CARD, NEW_CARD = bytes.fromhex("04a1b2c3"), bytes.fromhex("04d4e5f6")
FINGER = bytes(range(16))


def code(answer: Answer | None) -> AirCode | None:
    return None if answer is None else answer.code


# ---- L-04, L-40


def after_until(door: Doorstep) -> list[Sign]:
    """A guest keeps PIN, card and finger and stands there when his time is over, offline for good."""
    until = T0 + HOUR
    guest = {"until": until, "holder_class": HolderClass.GUEST}
    door.give(
        pins=(door.slot(1, OLD, **guest),),  # type: ignore[arg-type]
        cards=(door.slot(2, CARD, SlotKind.CARD, **guest),),  # type: ignore[arg-type]
        fingers=(door.slot(3, FINGER, SlotKind.FINGER, **guest),),  # type: ignore[arg-type]
    )
    before = [door.key(OLD), door.card(CARD), door.finger(FINGER)]
    assert before == [Sign.OPEN] * 3
    door.leap(HOUR)
    return [door.key(OLD), door.card(CARD), door.finger(FINGER)]


def test_L04_a_slot_is_dead_after_its_until_by_the_locks_own_clock() -> None:
    door = Doorstep()
    assert after_until(door) == [Sign.DENIED] * 3
    assert set(door.denials()) == {Denial.EXPIRED}


def test_L04_mutant_a_lock_that_looks_at_the_verifier_alone_opens_after_until(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keypad_room, "decide_slot", lambda *_: Granted())
    assert after_until(Doorstep()) == [Sign.OPEN] * 3


def edges(door: Doorstep, digits: str, *offsets: float) -> list[Sign]:
    """What is shown at these seconds after T0, in order."""
    signs, at = [], 0.0
    for offset in offsets:
        door.leap(offset - at)
        at = offset
        signs.append(door.key(digits))
    return signs


OPEN, SHUT = Sign.OPEN, Sign.DENIED


def test_L40_a_slots_window_is_half_open_to_the_second() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, OLD, nbf=T0 + 100, until=T0 + 200),))
    assert edges(door, OLD, 99, 100, 101, 199, 200, 201) == [SHUT, OPEN, OPEN, OPEN, SHUT, SHUT]


def test_L40_an_offline_pins_window_is_half_open_to_the_second() -> None:
    door = Doorstep()
    digits = door.offline(PinCode.HOURS_3, start=T0 + HOUR)
    assert edges(door, digits, HOUR - 1, HOUR, 4 * HOUR - 1, 4 * HOUR, 4 * HOUR + 1) == [
        SHUT,
        OPEN,
        OPEN,
        SHUT,
        SHUT,
    ]
    door = Doorstep()
    late = door.offline(PinCode.WEEK)
    assert edges(door, late, DAY - 1, DAY, 7 * DAY - 1, 7 * DAY) == [OPEN, OPEN, OPEN, SHUT]
    door = Doorstep()
    assert edges(door, door.offline(PinCode.WEEK), DAY) == [SHUT], "first use is half-open too"
    door = Doorstep()
    daily = door.offline(PinCode.DAILY)
    assert edges(door, daily, 4 * HOUR - 1, 4 * HOUR, DAY - 1, DAY, 7 * DAY) == [OPEN, SHUT, SHUT, OPEN, SHUT]


@pytest.mark.parametrize("drift", [-300, 300])
def test_L40_drift_of_five_minutes_moves_the_edge_by_five_minutes_and_no_more(drift: int) -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, OLD, until=T0 + HOUR),))
    door.lock.clocks.shift(drift)
    door.leap(HOUR - drift - 1)
    assert door.key(OLD) is Sign.OPEN
    door.leap(1)
    assert door.key(OLD) is Sign.DENIED


def test_L40_mutant_a_closed_window_opens_one_second_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = keyed.decide_slot

    def closed(slot: Slot, clock: ClockView, view: DoorView) -> Verdict:
        return whole(replace(slot, until=slot.until + 1), clock, view)

    monkeypatch.setattr(keypad_room, "decide_slot", closed)
    door = Doorstep()
    door.give(pins=(door.slot(1, OLD, nbf=T0 + 100, until=T0 + 200),))
    assert edges(door, OLD, 199, 200, 201) == [OPEN, OPEN, SHUT]


# ---- L-08: the old tenancy


Move = Callable[[Doorstep], None]


def by_key(door: Doorstep) -> None:
    newcomer = door.site.holder()
    assert (
        code(door.open(newcomer, door.site.credential(door.enrolled, newcomer, epoch=1))) is AirCode.GRANTED
    )


def by_custom_pin(door: Doorstep) -> None:
    assert door.key(NEW) is Sign.OPEN


def by_card(door: Doorstep) -> None:
    assert door.card(NEW_CARD) is Sign.OPEN


def by_offline_pin(door: Doorstep) -> None:
    assert door.key(door.offline(PinCode.ONE_TIME, epoch=1)) is Sign.OPEN


MOVES = {"key": by_key, "custom PIN": by_custom_pin, "card": by_card, "offline PIN": by_offline_pin}


def what_the_last_tenant_has(door: Doorstep) -> dict[str, Callable[[], bool]]:
    """Everything that the old tenancy ever held, each a try at the door."""
    tenant, guest = door.site.holder(), door.site.holder()
    key = door.site.credential(door.enrolled, tenant)
    guest_key = door.site.credential(door.enrolled, guest, holder_class=HolderClass.GUEST)
    week, day = door.offline(PinCode.WEEK), door.offline(PinCode.DAY, n=1)
    return {
        "tenant's key": lambda: code(door.open(tenant, key)) is AirCode.GRANTED,
        "guest's key": lambda: code(door.open(guest, guest_key)) is AirCode.GRANTED,
        "custom PIN": lambda: door.key(OLD) is Sign.OPEN,
        "card": lambda: door.card(CARD) is Sign.OPEN,
        "finger": lambda: door.finger(FINGER) is Sign.OPEN,
        "guest's PIN in use": lambda: door.key(week) is Sign.OPEN,
        "guest's PIN not yet used": lambda: door.key(day) is Sign.OPEN,
    }


def survivors(move: Move) -> set[str]:
    """The lock is offline with both tenancies' slots; the next one moves in; what of the last still opens."""
    door = Doorstep()
    door.give(
        pins=(door.slot(1, OLD), door.slot(2, NEW, epoch=1)),
        cards=(door.slot(1, CARD, SlotKind.CARD), door.slot(2, NEW_CARD, SlotKind.CARD, epoch=1)),
        fingers=(door.slot(1, FINGER, SlotKind.FINGER),),
    )
    has = what_the_last_tenant_has(door)
    unused = "guest's PIN not yet used"
    assert {name for name, opens in has.items() if name != unused and opens()} == set(has) - {unused}
    move(door)
    assert (door.held.epoch, door.held.occupied) == (1, True)
    alive = {name for name, opens in has.items() if opens()}
    door.lock.power_on()
    door.leap(HOUR)
    return alive | {name for name, opens in has.items() if opens()}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES.keys())
def test_L08_old_tenancys_guest_key_and_pin_are_dead_after_the_new_ones_first_unlock(move: Move) -> None:
    assert survivors(move) == set()


def test_L08_mutant_a_pin_that_raises_no_epoch_leaves_the_last_tenants_keys_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Held, "store", lambda *_: False)
    with pytest.raises(AssertionError):
        survivors(by_custom_pin)
    monkeypatch.setattr(keyed, "raised", lambda *_: Granted())
    with pytest.raises(AssertionError):
        survivors(by_offline_pin)


def test_L08_the_epoch_is_in_flash_before_the_bolt_moves() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(2, NEW, epoch=1),))
    door.lock.cut_at_move = 0
    door.lock.feed(KeypadEntered(NEW))
    assert any(isinstance(e, MoveBolt) for e in door.lock.effects)
    door.lock.power_on()
    assert (door.held.epoch, door.held.occupied) == (1, True)
    assert [e.subject for e in door.entries(What.EPOCH_RAISED)] == [2]


# ---- epochs that skip


def test_epoch_skip_ahead_by_pin_is_not_even_looked_for() -> None:
    """A stolen seed aside: the search goes one epoch ahead, so a PIN of a far tenancy is just a wrong one."""
    door = Doorstep()
    door.give(pins=(door.slot(1, OLD), door.slot(2, NEW, epoch=17)))
    for epoch in (2, 3, 50):
        assert door.key(door.offline(PinCode.DAY, epoch=epoch)) is Sign.DENIED
    assert door.key(NEW) is Sign.DENIED
    assert (door.held.epoch, door.held.occupied) == (0, False)
    assert door.denials() == [Denial.PIN_UNKNOWN, Denial.EPOCH_JUMP]
    assert door.key(OLD) is Sign.OPEN


def test_a_next_tenants_pin_raises_nothing_before_its_window() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, OLD), door.slot(2, NEW, epoch=1, nbf=T0 + HOUR)))
    assert door.key(NEW) is Sign.DENIED
    assert door.key(OLD) is Sign.OPEN
    door.leap(HOUR)
    assert door.key(NEW) is Sign.OPEN
    assert door.key(OLD) is Sign.DENIED


# ---- L-11


def lost_clock(door: Doorstep) -> dict[str, Sign]:
    """The clock's battery is pulled; what everybody's PIN does."""
    door.give(
        pins=(
            door.slot(1, OLD),
            door.slot(2, "1414213", holder_class=HolderClass.GUEST),
            door.slot(3, OWNER, holder_class=HolderClass.OWNER, epoch=None),
            door.slot(4, "5772156", until=T0 - HOUR),
            door.slot(5, NEW, epoch=1, nbf=T0 + 30 * DAY),
        )
    )
    used = door.offline(PinCode.WEEK)
    assert door.key(used) is Sign.OPEN
    door.lock.clocks.pull_battery()
    names = {"tenant": OLD, "guest": "1414213", "owner": OWNER, "over": "5772156", "next tenant": NEW}
    signs = {}
    for name, digits in names.items():
        signs[name] = door.key(digits)
        door.leap(HOUR)
    door.leap(DAY)
    return signs | {"offline in use": door.key(used), "offline": door.key(door.offline(PinCode.DAY))}


def test_L11_with_the_clock_lost_the_tenants_own_pin_opens_and_everybody_elses_waits() -> None:
    door = Doorstep()
    signs = lost_clock(door)
    assert {name for name, sign in signs.items() if sign is Sign.OPEN} == {"tenant"}
    assert {Denial.CLOCK_LOST, Denial.EXPIRED} == set(door.denials())
    assert (door.held.epoch, door.held.occupied) == (0, False), "nobody came in before his day"


def test_L11_mutant_a_lost_clock_that_forgives_windows_lets_guests_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyed, "_slot_window", lambda *_: None)
    signs = lost_clock(Doorstep())
    assert signs["guest"] is Sign.OPEN


def test_L11_mutant_a_lost_clock_that_raises_epochs_throws_the_living_tenant_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyed, "_too_early_to_tell", lambda *_: None)
    door = Doorstep()
    assert lost_clock(door)["next tenant"] is Sign.OPEN
    assert door.held.epoch == 1


def test_L11_a_next_tenant_whose_day_has_certainly_come_gets_in_with_the_clock_lost() -> None:
    door = Doorstep()
    door.leap(2 * HOUR)
    door.give(pins=(door.slot(5, NEW, epoch=1, nbf=T0 + HOUR),))  # signed now: the floor is beyond nbf
    door.lock.clocks.pull_battery()
    assert door.key(NEW) is Sign.OPEN
    assert (door.held.epoch, door.held.occupied) == (1, True)


def test_L11_a_lost_clock_gives_no_guess_for_nothing() -> None:
    door = Doorstep()
    door.lock.clocks.pull_battery()
    assert [door.key(WRONG) for _ in range(6)] == [Sign.DENIED] * 5 + [Sign.LOCKED]


# ---- L-45: the clear code


def after_clearing(door: Doorstep) -> dict[str, Sign]:
    door.give(
        pins=(door.slot(1, OLD), door.slot(2, "1414213", holder_class=HolderClass.GUEST)),
        cards=(door.slot(1, CARD, SlotKind.CARD),),
        fingers=(door.slot(1, FINGER, SlotKind.FINGER),),
    )
    used, unused = door.offline(PinCode.WEEK), door.offline(PinCode.DAY)
    assert door.key(used) is Sign.OPEN
    door.leap(HOUR)
    assert door.key(door.offline(PinCode.CLEAR, start=T0 + HOUR)) is Sign.CLEARED
    door.leap(HOUR)
    fresh = door.offline(PinCode.DAY, start=T0 + 2 * HOUR)
    return {
        "tenant's PIN": door.key(OLD),
        "guest's slot": door.key("1414213"),
        "card": door.card(CARD),
        "finger": door.finger(FINGER),
        "offline PIN in use": door.key(used),
        "offline PIN not yet used": door.key(unused),
        "offline PIN given afterwards": door.key(fresh),
    }


def test_L45_a_clear_code_takes_offline_pins_and_never_a_tenants_way_in() -> None:
    door = Doorstep()
    signs = after_clearing(door)
    assert {name for name, sign in signs.items() if sign is Sign.DENIED} == {
        "offline PIN in use",
        "offline PIN not yet used",
    }
    tenant = door.site.holder()
    assert code(door.open(tenant, door.site.credential(door.enrolled, tenant))) is AirCode.GRANTED
    assert Denial.REVOKED in door.denials()
    assert door.journalled(What.CLEARED) == 1


def test_L45_mutant_a_clear_code_that_empties_the_keypad_shuts_the_tenant_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Activations.clear

    def everything(self: Activations, clear: OfflinePin) -> dict[str, bytes | None] | None:
        record = whole(self, clear)
        monkeypatch.setattr(Reader, "usable", lambda *_: ())
        return record

    monkeypatch.setattr(Activations, "clear", everything)
    assert after_clearing(Doorstep())["tenant's PIN"] is Sign.DENIED


def test_L45_a_clear_code_moves_nothing_raises_nothing_and_its_replay_does_nothing_new() -> None:
    door = Doorstep()
    clear = door.offline(PinCode.CLEAR, epoch=1)
    assert door.key(clear) is Sign.CLEARED
    assert (door.openings, door.held.epoch, door.held.occupied) == (0, 0, False)
    door.leap(HOUR)
    fresh = door.offline(PinCode.WEEK, start=T0 + HOUR)
    assert door.key(fresh) is Sign.OPEN
    for _ in range(20):
        assert door.key(clear) is Sign.CLEARED
    assert door.key(fresh) is Sign.OPEN
    assert door.journalled(What.CLEARED) == 1
    door.lock.power_on()
    assert door.key(door.offline(PinCode.WEEK)) is Sign.DENIED, "cleared is cleared"


# ---- L-52


def owners_tries(door: Doorstep) -> dict[str, bool]:
    door.give(
        pins=(
            door.slot(1, OLD),
            door.slot(2, OWNER, holder_class=HolderClass.OWNER, epoch=None),
            door.slot(3, "1414213", holder_class=HolderClass.STAFF, epoch=None),
        ),
        cards=(door.slot(4, CARD, SlotKind.CARD, holder_class=HolderClass.OWNER, epoch=None),),
        fingers=(door.slot(5, FINGER, SlotKind.FINGER, holder_class=HolderClass.STAFF, epoch=None),),
    )
    offline = door.offline(PinCode.OWNER)
    tries: dict[str, Callable[[], Sign]] = {
        "owner's PIN": lambda: door.key(OWNER),
        "staff's PIN": lambda: door.key("1414213"),
        "owner's card": lambda: door.card(CARD),
        "staff's finger": lambda: door.finger(FINGER),
        "owner's offline PIN": lambda: door.key(offline),
    }
    return {name: go() is Sign.OPEN for name, go in tries.items()}


def test_L52_landlords_pin_on_an_occupied_room() -> None:
    vacant = Doorstep()
    assert all(owners_tries(vacant).values()), "while nobody lives there"
    door = Doorstep()
    tenant = door.site.holder()
    door.open(tenant, door.site.credential(door.enrolled, tenant, epoch=1))
    assert not any(owners_tries(door).values())
    assert set(door.denials()) == {Denial.OCCUPIED}
    door.leap(DAY)
    assert door.held.occupied
    assert not any(owners_tries(door).values())


def test_L52_a_pin_of_the_tenancy_makes_the_room_occupied_as_a_key_does() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, NEW, epoch=1), door.slot(2, OWNER, holder_class=HolderClass.OWNER)))
    assert door.key(OWNER) is Sign.OPEN
    assert door.key(NEW) is Sign.OPEN
    assert door.key(OWNER) is Sign.DENIED


def test_L52_mutant_a_keypad_that_asks_not_who_lives_there_lets_the_landlord_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keyed, "_occupied", lambda *_, **__: None)
    door = Doorstep()
    tenant = door.site.holder()
    door.open(tenant, door.site.credential(door.enrolled, tenant, epoch=1))
    assert all(owners_tries(door).values())


def test_an_owner_epoch_rises_by_his_pin_and_the_rooms_does_not() -> None:
    door = Doorstep()
    door.give(pins=(door.slot(1, OWNER, holder_class=HolderClass.OWNER, epoch=3),))
    assert door.key(OWNER) is Sign.OPEN
    assert (door.held.owner_epoch, door.held.epoch, door.held.occupied) == (3, 0, False)
    assert door.key(door.offline(PinCode.OWNER, epoch=0)) is Sign.DENIED


# ---- L-53


def flooded(door: Doorstep) -> tuple[int, int]:
    """(openings kept, entries) after openings and then a month of hammering at all readers, offline."""
    door.go_offline()
    door.give(pins=(door.slot(1, OLD),))
    for _ in range(30):
        assert door.key(OLD) is Sign.OPEN
        door.leap(HOUR)
    for hour in range(30 * 24):
        for reader in range(8):
            door.key(WRONG)
            door.card(bytes([hour % 250, reader, 1]))
            door.finger(bytes([hour % 250, reader] * 8))
        door.leap(HOUR)
    kept = door.entries(What.UNLOCKED)
    return len(kept), len(door.core.journal.held)


def test_L53_a_keypad_hammered_for_a_month_evicts_no_opening_and_refuses_nobody() -> None:
    door = Doorstep()
    openings, entries = flooded(door)
    assert openings == 30
    assert entries < SLOTS
    cheap = sum(e.what in {What.DENIED, What.LOCKOUT} for e in door.core.journal.held)
    assert cheap <= SLOTS - RESERVED
    counted = sum(e.count for e in door.entries(What.DENIED))
    assert counted > len(door.entries(What.DENIED))
    tenant = door.site.holder()
    key = door.site.credential(door.enrolled, tenant)
    assert code(door.open(tenant, key)) is AirCode.GRANTED


def test_L53_mutant_lockouts_in_the_places_of_openings_fill_the_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreserved(self: Ring, how: object, *, at: int | None, uncertainty: int | None) -> None:
        self.append(What.LOCKOUT, how, at=at, uncertainty=uncertainty)  # type: ignore[arg-type]

    monkeypatch.setattr(Ring, "rests", unreserved)
    _, entries = flooded(Doorstep())
    assert entries >= SLOTS
