"""Vectors of PINs, cards and fingers: digits, lives, what is searched, decisions, rules, the lockout."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lockserver.protocol.access import ClockView, Denied, DoorView, Verdict
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.curve import sha256
from lockserver.protocol.keyed import decide_pin, decide_slot
from lockserver.protocol.limits import LOCKOUT_AFTER, LOCKOUT_PAUSES, MAX_ACTIVATIONS
from lockserver.protocol.pin import (
    HOUR,
    PERIODS,
    RECURRING,
    OfflinePin,
    PinCode,
    activation,
    candidates,
    offline_subject,
    pause_after,
    pin_digits,
    verifier,
    weakness,
)
from lockserver.protocol.slots import Slot, SlotKind
from tests.vectors.cast import LOCK_ID, NOW, octets

SEED = octets("door seed", 32)
START = NOW // HOUR
ROOM = DoorView(LOCK_ID, shared=False, epoch=3)
OCCUPIED = replace(ROOM, occupied=True)
GATE = DoorView(LOCK_ID, shared=True)

RULES = (
    "2904751", "83150264", "708214365", "20241356", "18991231", "1234067", "21001231", "19001301", "4071234",
    "123456", "1234567890", "12a4567", "", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667", " 2904751", "7777777",
    "999999999", "1234509", "9876524", "4789013", "7654390", "1231231", "12341234", "121212121", "123412341",
    "19870614", "520010131", "119991231", "20991231", "1121221", "3553535", "000000100",
)  # fmt: skip
"""Custom PINs, weak and good."""


@dataclass(frozen=True)
class PinCase:
    """One decision about an offline PIN whose digits fit."""

    name: str
    pin: OfflinePin
    clock: ClockView = field(default_factory=lambda: ClockView(NOW))
    door: DoorView = ROOM
    held: frozenset[OfflinePin] = frozenset()
    cleared: int = -1


@dataclass(frozen=True)
class SlotCase:
    """One decision about a slot whose verifier fits."""

    name: str
    slot: Slot
    clock: ClockView = field(default_factory=lambda: ClockView(NOW))
    door: DoorView = ROOM


def pin_of(code: PinCode, *, epoch: int = 3, start_hour: int = START, n: int = 0) -> OfflinePin:
    return OfflinePin(epoch, code, start_hour, n)


def pin_cases() -> list[PinCase]:
    """Every reason, and the edges of every life and window."""
    cases = []
    for code in PinCode:
        if code is PinCode.CLEAR:
            continue
        it = pin_of(code, epoch=0 if code is PinCode.OWNER else 3)
        word = code.name.lower()
        used = frozenset() if code.one_time else frozenset({it})
        edges = {"from": it.start, "end of first use": it.first_until, "until": it.until}
        if code in PERIODS:
            edges |= {"window's end": it.start + RECURRING, "next window": it.start + PERIODS[code]}
        for name, at in edges.items():
            for d in (-1, 0):
                held = frozenset() if name in {"from", "end of first use"} else used
                cases.append(PinCase(f"{word}: {name} {d:+d}", it, ClockView(at + d), held=held))
    day, once, owner = pin_of(PinCode.DAY), pin_of(PinCode.ONE_TIME), pin_of(PinCode.OWNER, epoch=0)
    clear = pin_of(PinCode.CLEAR)
    many = frozenset(pin_of(PinCode.WEEK, start_hour=START - 1 - i) for i in range(MAX_ACTIVATIONS))
    return [
        *cases,
        PinCase("clock lost", day, ClockView(None, NOW)),
        PinCase("clock lost, floor past its life", day, ClockView(None, day.until)),
        PinCase("clock behind its floor", day, ClockView(NOW, day.until)),
        PinCase("one-time, used", once, held=frozenset({once})),
        PinCase("one-time, its twin used", once, held=frozenset({once._replace(n=1)})),
        PinCase("owner's, used", owner, held=frozenset({owner})),
        PinCase("as many as can be remembered", day, held=many),
        PinCase("one of as many as can be remembered", max(many, key=lambda p: p.start), held=many),
        PinCase("next epoch", pin_of(PinCode.DAY, epoch=4)),
        PinCase("next epoch, occupied", pin_of(PinCode.ONE_TIME, epoch=4), door=OCCUPIED),
        PinCase("epoch after the next", pin_of(PinCode.DAY, epoch=5)),
        PinCase("epoch below, in use", pin_of(PinCode.DAY, epoch=2), held=frozenset({pin_of(PinCode.DAY, epoch=2)})),
        PinCase("at a gate", pin_of(PinCode.DAY, epoch=0), door=GATE),
        PinCase("an epoch at a gate", pin_of(PinCode.DAY, epoch=1), door=GATE),
        PinCase("owner's next epoch", pin_of(PinCode.OWNER, epoch=1)),
        PinCase("owner's at a gate", owner, door=replace(GATE, owner_epoch=0)),
        PinCase("owner's below his epoch", owner, door=replace(ROOM, owner_epoch=1)),
        PinCase("owner's at an occupied room", owner, door=OCCUPIED),
        PinCase("guest's at an occupied room", day, door=OCCUPIED),
        PinCase("cleared in its own hour", day, cleared=START),
        PinCase("cleared, in use", day, held=frozenset({day}), cleared=START + 3),
        PinCase("cleared the hour before", day, cleared=START - 1),
        PinCase("owner's, cleared", owner, cleared=START),
        PinCase("clear", clear),
        PinCase("clear, again", clear, cleared=START),
        PinCase("clear at an occupied room, next epoch", clear._replace(epoch=4), door=OCCUPIED),
        PinCase("clear, as many as can be remembered", clear, held=many),
        PinCase("clear, a day later", clear, ClockView(clear.until)),
    ]  # fmt: skip


def slot_cases() -> list[SlotCase]:
    """Every reason, and the edges of the window."""
    tenant = Slot(1, octets("pin", 16), octets("subject", 16), NOW - 60, NOW + 60, HolderClass.TENANT, 3)
    guest, owner = replace(tenant, holder_class=HolderClass.GUEST), replace(tenant, epoch=None)
    owner = replace(owner, holder_class=HolderClass.OWNER)
    staff = replace(owner, holder_class=HolderClass.STAFF)
    coming = replace(tenant, epoch=4)
    edges = [("from", NOW - 60), ("until", NOW + 60)]
    return [
        *(SlotCase(f"{n} {d:+d}", tenant, ClockView(at + d)) for n, at in edges for d in (-300, -1, 0, 1, 300)),
        SlotCase("tenant's, clock lost", tenant, ClockView(None, NOW - 99)),
        SlotCase("tenant's, clock lost, floor past until", tenant, ClockView(None, NOW + 60)),
        SlotCase("tenant's, clock lost, of the last tenancy", replace(tenant, epoch=2), ClockView(None, NOW)),
        SlotCase("tenant's, clock lost, of the next tenancy", coming, ClockView(None, NOW - 61)),
        SlotCase("tenant's, clock lost, of the next tenancy begun", coming, ClockView(None, NOW - 60)),
        SlotCase("clock behind its floor", tenant, ClockView(NOW, NOW + 60)),
        SlotCase("guest's, clock lost", guest, ClockView(None, NOW)),
        SlotCase("owner's, clock lost", owner, ClockView(None, NOW)),
        SlotCase("epoch below", replace(tenant, epoch=2)),
        SlotCase("epoch above", replace(guest, epoch=4)),
        SlotCase("epoch jump at its bound", replace(tenant, epoch=19)),
        SlotCase("epoch jump beyond", replace(tenant, epoch=20)),
        SlotCase("no epoch at a room", replace(tenant, epoch=None)),
        SlotCase("at a gate", replace(tenant, epoch=None), door=GATE),
        SlotCase("epoch at a gate", tenant, door=GATE),
        SlotCase("owner's", owner),
        SlotCase("owner's below the owner's epoch", owner, door=replace(ROOM, owner_epoch=1)),
        SlotCase("owner's raises the owner's epoch", replace(owner, epoch=1)),
        SlotCase("staff's at a gate", staff, door=GATE),
        SlotCase("owner's at an occupied room", owner, door=OCCUPIED),
        SlotCase("staff's at an occupied room", staff, door=OCCUPIED),
        SlotCase("guest's at an occupied room", guest, door=OCCUPIED),
    ]  # fmt: skip


def _pin_row(pin: OfflinePin) -> list[int]:
    return [pin.epoch, int(pin.code), pin.start_hour, pin.n]


def _verdict(verdict: Verdict) -> dict[str, object]:
    if isinstance(verdict, Denied):
        return {"denied": verdict.denial.word}
    return {"raise_epoch": verdict.raise_epoch, "occupies": verdict.occupies}


def _view(case: PinCase | SlotCase) -> dict[str, object]:
    door = case.door
    return {
        "clock": {"now": case.clock.now, "floor": case.clock.floor},
        "door": {
            "shared": door.shared,
            "epoch": door.epoch,
            "owner_epoch": door.owner_epoch,
            "staff_epoch": door.staff_epoch,
            "occupied": door.occupied,
        },
    }


def _digits() -> list[dict[str, object]]:
    pins = [pin_of(code, n=n) for code in PinCode for n in (0, 1)]
    pins += [OfflinePin(0, PinCode.DAY, 0), OfflinePin(2**32 - 1, PinCode.WEEKLY, 2**24 - 1, 1)]
    return [
        {
            "pin": _pin_row(pin),
            "digits": pin_digits(SEED, pin),
            "start": pin.start,
            "first_until": pin.first_until,
            "until": pin.until,
            "kept_until": activation(pin).until,
            "subject": offline_subject(pin),
        }
        for pin in pins
    ]


def _searched() -> list[dict[str, object]]:
    def told(pins: Iterable[OfflinePin]) -> str:
        return sha256("".join(sorted(pin_digits(SEED, pin) for pin in pins)).encode()).hex()

    rows = []
    for shared, epoch, owner_epoch, now in (
        (False, 3, 0, NOW),
        (False, 0, 2, START * HOUR),
        (False, 7, 0, START * HOUR - 1),
        (True, 0, 0, NOW),
    ):
        pins = list(candidates(epoch, owner_epoch, shared=shared, now=now))
        rows.append(
            {
                "shared": shared,
                "epoch": epoch,
                "owner_epoch": owner_epoch,
                "now": now,
                "count": len(pins),
                "digits_sorted_sha256": told(pins),
            }
        )
    return rows


def _slot_row(s: Slot) -> list[object]:
    return [s.slot, s.verifier.hex(), s.subject.hex(), s.nbf, s.until, int(s.holder_class), s.epoch]


def pin_vectors() -> object:
    """All of §15."""
    values = (
        (SlotKind.PIN, b"2904751"),
        (SlotKind.PIN, b"708214365"),
        (SlotKind.CARD, bytes.fromhex("04a2b3c4d5e6f7")),
        (SlotKind.CARD, bytes.fromhex("deadbeef")),
        (SlotKind.FINGER, octets("template", 16)),
    )
    return {
        "seed": SEED.hex(),
        "digits": _digits(),
        "searched": _searched(),
        "decide": [
            {
                "name": case.name,
                "pin": _pin_row(case.pin),
                "held": sorted(_pin_row(pin) for pin in case.held),
                "cleared": case.cleared,
                **_view(case),
                "verdict": _verdict(
                    decide_pin(case.pin, case.held, case.clock, case.door, cleared=case.cleared)
                ),
            }
            for case in pin_cases()
        ],
        "slots": [
            {
                "name": case.name,
                "slot": _slot_row(case.slot),
                **_view(case),
                "verdict": _verdict(decide_slot(case.slot, case.clock, case.door)),
            }
            for case in slot_cases()
        ],
        "rules": [{"digits": digits, "weak": weakness(digits)} for digits in RULES],
        "verifiers": [
            {"kind": kind.value, "value": value.hex(), "verifier": verifier(SEED, kind, value).hex()}
            for kind, value in values
        ],
        "lockout": [
            {"failures": n, "pause": pause_after(n)}
            for n in range(1, LOCKOUT_AFTER + len(LOCKOUT_PAUSES) + 2)
        ],
    }
