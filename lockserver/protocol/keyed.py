"""The lock's decision about what is keyed, held up or touched: slots and offline PINs.  Pure.

The same judgement of clock, epoch and occupied room as ``access.decide``, with one difference: while
the clock is lost a *tenant's* slot still opens, on the time floor and its epoch, since it may be the
only way in that he has left.
"""

from collections.abc import Collection

from lockserver.protocol.access import ClockView, Denied, DoorView, Granted, Verdict, epoch_denial, raised
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.errors import Denial
from lockserver.protocol.limits import MAX_ACTIVATIONS
from lockserver.protocol.pin import OfflinePin, PinCode
from lockserver.protocol.slots import Slot


def decide_slot(slot: Slot, clock: ClockView, door: DoorView) -> Verdict:
    """Whether a slot whose verifier fits opens now: window ``[nbf, until)``, epoch, occupied room."""
    granted = raised(slot.holder_class, slot.epoch, door)
    denial = (
        _slot_window(slot, clock)
        or epoch_denial(slot.holder_class, slot.epoch, door)
        or _too_early_to_tell(slot, clock, granted)
        or _occupied(slot.holder_class, door)
    )
    return granted if denial is None else Denied(denial)


def _too_early_to_tell(slot: Slot, clock: ClockView, granted: Granted) -> Denial | None:
    """An epoch is raised inside its window only: a battery pull must not bring the next tenant in early."""
    rises = granted.raise_epoch is not None
    return Denial.CLOCK_LOST if rises and clock.now is None and clock.floor < slot.nbf else None


def _slot_window(slot: Slot, clock: ClockView) -> Denial | None:
    if clock.floor >= slot.until:
        return Denial.EXPIRED
    if clock.now is None:
        return None if slot.holder_class is HolderClass.TENANT else Denial.CLOCK_LOST
    if clock.now < slot.nbf:
        return Denial.NOT_YET
    return Denial.EXPIRED if clock.now >= slot.until else None


def decide_pin(
    pin: OfflinePin, held: Collection[OfflinePin], clock: ClockView, door: DoorView, *, cleared: int = -1
) -> Verdict:
    """Whether an offline PIN whose digits fit opens now.

    ``held``: the activations, one-time ones that are used up included.  ``cleared``: start hour of the
    latest clear code (-1: none).  A granted clear code opens nothing; the caller forgets and journals.
    """
    denial = (
        _pin_window(pin, held, clock)
        or _cleared(pin, cleared)
        or _pin_epoch(pin, door)
        or _use(pin, held)
        or _occupied(pin.code.holder_class, door, clear=pin.code is PinCode.CLEAR)
    )
    if denial is not None:
        return Denied(denial)
    if pin.code is PinCode.CLEAR:
        return Granted()
    return raised(pin.code.holder_class, _epoch(pin, door), door)


def _pin_window(pin: OfflinePin, held: Collection[OfflinePin], clock: ClockView) -> Denial | None:
    if clock.floor >= pin.until:
        return Denial.EXPIRED
    if clock.now is None:
        return Denial.CLOCK_LOST
    if clock.now < pin.start:
        return Denial.NOT_YET
    if clock.now >= (pin.until if pin in held else pin.first_until):
        return Denial.EXPIRED
    return None if pin.covers(clock.now) else Denial.SCHEDULE


def _cleared(pin: OfflinePin, cleared: int) -> Denial | None:
    spared = pin.code in {PinCode.OWNER, PinCode.CLEAR}
    return Denial.REVOKED if not spared and pin.start_hour <= cleared else None


def _epoch(pin: OfflinePin, door: DoorView) -> int | None:
    """The epoch as credentials carry it: none for guests at a shared door."""
    return None if door.shared and pin.code is not PinCode.OWNER else pin.epoch


def _pin_epoch(pin: OfflinePin, door: DoorView) -> Denial | None:
    if door.shared and pin.code is not PinCode.OWNER:
        return None if pin.epoch == 0 else Denial.EPOCH_SHARED
    return epoch_denial(pin.code.holder_class, pin.epoch, door, jump=1)


def _use(pin: OfflinePin, held: Collection[OfflinePin]) -> Denial | None:
    if pin.code is PinCode.CLEAR:
        return None
    if pin in held:
        return Denial.USED_UP if pin.code.one_time else None
    return Denial.BACK_OFF if len(held) >= MAX_ACTIVATIONS else None


def _occupied(holder_class: HolderClass, door: DoorView, *, clear: bool = False) -> Denial | None:
    barred = door.occupied and not holder_class.resident and not clear
    return Denial.OCCUPIED if barred else None
