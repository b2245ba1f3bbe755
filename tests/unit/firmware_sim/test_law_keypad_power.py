"""L-10 and L-02 at the keypad: the power may go at any write while a PIN opens, and once is once.

Also one-time credentials, by phone and from afar: played back, cut, queued twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from firmware_sim.core.activations import Activations
from firmware_sim.core.events import KeypadEntered, RadioMessage, Sign
from firmware_sim.core.used import Used
from firmware_sim.links.memory import Cut
from lockserver.protocol.access import Operation
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.errors import AirCode, Denial
from lockserver.protocol.handshake import Answer
from lockserver.protocol.journal import What
from lockserver.protocol.limits import MAX_USED
from lockserver.protocol.pin import PinCode
from lockserver.protocol.reports import Outcome
from tests.support.site import T0, Holder
from tests.unit.firmware_sim.doorstep import Doorstep

SHARES = (0.0, 0.3, 0.9, 1.0)
PIN = "2718281"
HOUR = 3600

Deed = Callable[[Doorstep], None]
"""One try to open the door."""


def new_tenants_pin(door: Doorstep) -> None:
    """A slot of the next tenancy: it raises the epoch, and serves as often as he likes."""
    door.lock.feed(KeypadEntered(PIN))


def one_time_pin(door: Doorstep) -> None:
    door.lock.feed(KeypadEntered(door.offline(PinCode.ONE_TIME, epoch=1)))


def owners_pin(door: Doorstep) -> None:
    door.lock.feed(KeypadEntered(door.offline(PinCode.OWNER)))


def one_time_key(door: Doorstep) -> None:
    guest, key = guest_of(door)
    if door.lock.on:
        door.open(guest, key)


def one_time_key_from_afar(door: Doorstep) -> None:
    guest, key = guest_of(door)
    sealed, _ = door.site.unlock(door.enrolled, guest, credential=key)
    door.deliver(sealed)
    if door.lock.on:
        door.attest()


ONCE = {
    "one-time PIN": one_time_pin,
    "owner's PIN": owners_pin,
    "one-time key": one_time_key,
    "one-time key from afar": one_time_key_from_afar,
}
ALWAYS = {"the next tenant's PIN": new_tenants_pin}


def guest_of(door: Doorstep) -> tuple[Holder, bytes]:
    """The same guest and the same credential at every call."""
    kept: dict[int, tuple[Holder, bytes]] = getattr(door, "_guest", {})
    if not kept:
        guest = door.site.holder()
        key = door.site.credential(
            door.enrolled, guest, uses=1, holder_class=HolderClass.GUEST, epoch=1, exp=T0 + 7 * HOUR
        )
        kept[0] = (guest, key)
        door._guest = kept  # type: ignore[attr-defined]
    return kept[0]


def fresh() -> Doorstep:
    door = Doorstep()
    door.give(pins=(door.slot(1, PIN, epoch=1),))
    door.attest()
    return door


def boundaries(deed: Deed) -> list[Cut | None]:
    """Every write of one opening, torn in several places; and None: after the motor, before its entry."""
    door = fresh()
    guest_of(door)
    before = door.lock.medium.writes
    deed(door)
    writes = door.lock.medium.writes - before
    assert door.openings == 1
    assert writes >= 2, "an intent before, a journal entry after"
    return [*(Cut(n, share) for n in range(writes) for share in SHARES), None]


@dataclass
class Told:
    """What came of an opening whose lock lost power, and of further tries after boot."""

    moved: int
    torn: int
    unlocked: int
    again: int
    epoch: int
    used: bool


def cut_short(deed: Deed, cut: Cut | None) -> Told:
    door = fresh()
    guest_of(door)
    if cut is None:
        door.lock.cut_at_move = 0
    door.lock.medium.cut = None if cut is None else Cut(cut.at, cut.share)
    deed(door)
    assert not door.lock.on
    door.lock.medium.cut = door.lock.cut_at_move = None
    door.lock.power_on()
    moved, epoch = door.openings, door.held.epoch
    torn, unlocked = door.journalled(What.TORN), door.journalled(What.UNLOCKED)
    door.broker_up()
    for _ in range(3):
        deed(door)
    return Told(moved, torn, unlocked, door.openings - moved, epoch, Denial.USED_UP in door.denials())


def broken_promises(deed: Deed, cuts: list[Cut | None], *, once: bool) -> list[str]:
    found = []
    for cut in cuts:
        told = cut_short(deed, cut)
        where = f"{cut}: {told}"
        if told.moved > 1 or (once and told.moved + told.again > 1):
            found.append(f"opened twice, {where}")
        if told.moved and not told.torn + told.unlocked:
            found.append(f"moved and not journalled, {where}")
        if told.unlocked > told.moved:
            found.append(f"journalled and not moved, {where}")
        if once and not told.moved and not told.torn and told.again != 1:
            found.append(f"lost without a word, {where}")
        if not once and told.again != 3:
            found.append(f"a tenant shut out, {where}")
        if told.moved and deed is not owners_pin and told.epoch != 1:
            found.append(f"moved before the epoch was stored, {where}")
    return found


@pytest.mark.parametrize("deed", ONCE.values(), ids=ONCE.keys())
def test_L10_a_cut_at_any_write_gives_a_one_time_way_in_never_twice(deed: Deed) -> None:
    assert broken_promises(deed, boundaries(deed), once=True) == []


@pytest.mark.parametrize("deed", ALWAYS.values(), ids=ALWAYS.keys())
def test_L10_a_cut_at_any_write_takes_no_tenants_way_in(deed: Deed) -> None:
    assert broken_promises(deed, boundaries(deed), once=False) == []


def test_L10_the_cuts_at_the_keypad_do_hit_something() -> None:
    told = [cut_short(one_time_pin, cut) for cut in boundaries(one_time_pin)]
    assert any(t.torn and not t.moved for t in told), "used up without an opening, and it is said"
    assert any(t.torn and t.moved for t in told)
    assert any(t.again == 1 for t in told), "cut so early that the PIN still serves"
    assert any(t.used for t in told)


def test_L10_mutant_an_activation_written_after_the_move_opens_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Activations.take
    late: dict[object, dict[str, bytes | None]] = {}

    def nothing_yet(self: Activations, pin: object, now: int, door: object) -> dict[str, bytes | None]:
        late[pin] = whole(self, pin, now, door)  # type: ignore[arg-type]
        return {}

    def afterwards(self: Activations, pin: object, _denial: object) -> dict[str, bytes | None]:
        self._waiting.discard(pin)
        return late.pop(pin, {})

    monkeypatch.setattr(Activations, "take", nothing_yet)
    monkeypatch.setattr(Activations, "settle", afterwards)
    cuts = boundaries(one_time_pin)
    assert any("twice" in promise for promise in broken_promises(one_time_pin, cuts, once=True))


@pytest.mark.parametrize("deed", [one_time_key, one_time_key_from_afar])
def test_L10_mutant_a_used_key_that_is_remembered_after_the_move_opens_twice(
    monkeypatch: pytest.MonkeyPatch, deed: Deed
) -> None:
    whole = Used.take
    late: list[dict[str, bytes | None]] = []

    def nothing_yet(self: Used, claims: object, floor: int) -> dict[str, bytes | None]:
        late.append(whole(self, claims, floor))  # type: ignore[arg-type]
        return {}

    def afterwards(self: Used, cti: bytes, _denial: object) -> dict[str, bytes | None]:
        self._waiting.discard(cti)
        return late.pop() if late else {}

    monkeypatch.setattr(Used, "take", nothing_yet)
    monkeypatch.setattr(Used, "settle", afterwards)
    assert any("twice" in promise for promise in broken_promises(deed, boundaries(deed), once=True))


# ---- once is once


def code(answer: Answer | None) -> AirCode | None:
    return None if answer is None else answer.code


def replayed(door: Doorstep) -> list[AirCode | None]:
    """A guest opens with a one-time key, again, after a restart, by holding open, and after a day."""
    guest, key = guest_of(door)
    codes = [code(door.open(guest, key)), code(door.open(guest, key))]
    door.lock.power_on()
    codes.append(code(door.open(guest, key)))
    door.leap(6 * HOUR)
    codes.append(code(door.open(guest, key)))
    return codes


def test_L02_a_one_time_key_opens_once_whatever_is_tried() -> None:
    door = fresh()
    assert replayed(door) == [AirCode.GRANTED] + [AirCode.DENIED] * 3
    assert door.openings == 1
    assert set(door.denials()) == {Denial.USED_UP}


def test_L02_mutant_a_lock_that_remembers_no_used_key_opens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Used, "ctis", lambda *_: frozenset())
    assert replayed(fresh())[1] is AirCode.GRANTED


def test_L02_a_one_time_key_that_opened_by_phone_opens_nothing_from_afar_and_the_other_way_about() -> None:
    for first, second in ((one_time_key, one_time_key_from_afar), (one_time_key_from_afar, one_time_key)):
        door = fresh()
        first(door)
        assert door.openings == 1
        second(door)
        assert door.openings == 1
        assert Denial.USED_UP in door.denials()
    door = fresh()
    one_time_key_from_afar(door)
    door.news()
    one_time_key_from_afar(door)
    (result,) = door.results()
    assert (result.outcome, result.denial) == (Outcome.REFUSED, Denial.USED_UP)


def test_L02_a_one_time_pin_that_somebody_looked_at_opens_for_nobody_else() -> None:
    door = fresh()
    digits = door.offline(PinCode.ONE_TIME)
    assert [door.key(digits) for _ in range(3)] == [Sign.OPEN, Sign.DENIED, Sign.DENIED]


def held_up(door: Doorstep, deeds: list[Deed]) -> int:
    """The motor is slow: all of `deeds` happen before the first has moved. Openings in the end."""
    from firmware_sim.core.events import BoltReport, MoveBolt
    from lockserver.protocol.bolt import BoltState

    whole = door.lock._carry_out
    moves: list[MoveBolt] = []

    def slow(effect: object) -> list[object]:
        if isinstance(effect, MoveBolt):
            moves.append(effect)
            return []
        return whole(effect)  # type: ignore[arg-type, return-value]

    door.lock._carry_out = slow  # type: ignore[method-assign, assignment]
    for deed in deeds:
        deed(door)
    openings = 0
    while moves:
        openings += moves.pop(0).to is BoltState.UNLOCKED
        door.lock.feed(BoltReport(BoltState.UNLOCKED))
    return openings


def key_without_waiting(door: Doorstep) -> None:
    guest, key = guest_of(door)
    connection, phone = door.connect(), door.phone()
    door.lock.feed(RadioMessage(connection, phone.hello()))
    phone.receive_m2(door.lock.said[connection][0])
    door.lock.feed(RadioMessage(connection, phone.request(key, Operation.UNLOCK, guest.signer)))


@pytest.mark.parametrize("deed", [one_time_pin, owners_pin, key_without_waiting, one_time_key_from_afar])
def test_L02_two_at_once_with_one_one_time_way_in_are_one_opening(deed: Deed) -> None:
    assert held_up(fresh(), [new_tenants_pin, deed, deed]) == 2 - (deed is owners_pin)


def test_L02_mutant_a_lock_that_marks_only_what_has_reached_the_motor_opens_for_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = Used.take

    def unmarked(self: Used, claims: object, floor: int) -> dict[str, bytes | None]:
        record = take(self, claims, floor)  # type: ignore[arg-type]
        self._waiting.clear()
        return record

    monkeypatch.setattr(Used, "take", unmarked)
    assert held_up(fresh(), [new_tenants_pin, key_without_waiting, key_without_waiting]) == 3


def test_a_jam_gives_a_one_time_key_back() -> None:
    door = fresh()
    guest, key = guest_of(door)
    door.lock.door.jammed = True
    assert code(door.open(guest, key)) is AirCode.TRY_LATER
    door.lock.door.jammed = False
    assert code(door.open(guest, key)) is AirCode.GRANTED
    assert code(door.open(guest, key)) is AirCode.DENIED


def test_a_one_time_key_locks_and_syncs_after_its_opening() -> None:
    door = fresh()
    guest, key = guest_of(door)
    assert code(door.open(guest, key)) is AirCode.GRANTED
    assert code(door.open(guest, key, operation=Operation.LOCK)) is AirCode.GRANTED
    assert code(door.open(guest, key, operation=Operation.SYNC)) is AirCode.GRANTED


def test_used_keys_are_forgotten_only_when_the_floor_has_passed_them() -> None:
    door = fresh()
    guest = door.site.holder()
    for _ in range(MAX_USED):
        key = door.site.credential(
            door.enrolled, guest, uses=1, holder_class=HolderClass.GUEST, exp=T0 + 2 * HOUR
        )
        assert code(door.open(guest, key)) is AirCode.GRANTED
    one_more = door.site.credential(door.enrolled, guest, uses=1, holder_class=HolderClass.GUEST)
    assert code(door.open(guest, one_more)) is AirCode.TRY_LATER, "no room to remember it: not opened"
    tenant = door.site.holder()
    assert code(door.open(tenant, door.site.credential(door.enrolled, tenant))) is AirCode.GRANTED
    door.leap(3 * HOUR)
    door.attest()
    later = door.site.credential(door.enrolled, guest, uses=1, holder_class=HolderClass.GUEST)
    assert code(door.open(guest, later)) is AirCode.GRANTED
