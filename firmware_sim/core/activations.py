"""Offline PINs in use at one lock, one-time ones used up, and the latest clear code. In flash.

The first use of an offline PIN is written down in the record of the intent to move: a power cut leaves
either a PIN that was never used and a door that has not moved, or one that is in use. A one-time PIN
counts as used from that record on; only a bolt that says `jammed` gives it back (see `used.py`).

A clear code opens nothing. It makes void every guest's offline PIN that starts no later than itself, in
use or not; keyed again it finds nothing left to do. Slots are not its business (L-45).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.errors import Denial
from lockserver.protocol.limits import MAX_ACTIVATIONS
from lockserver.protocol.pin import Activation, OfflinePin, PinCode, activation

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash
    from firmware_sim.core.held import Record
    from lockserver.protocol.access import DoorView

_PREFIX: Final = "activation."
_CLEARED: Final = "cleared"
_SPARED: Final = frozenset({PinCode.OWNER, PinCode.CLEAR})


@dataclass(slots=True)
class Activations:
    """What one lock remembers of its offline PINs."""

    flash: Flash
    _waiting: set[OfflinePin] = field(default_factory=set)
    """Granted and waiting for the motor: not in flash yet, and a one-time one not to be granted twice."""

    def all(self) -> tuple[Activation, ...]:
        """Those in flash."""
        keys = (key for key in self.flash.names() if key.startswith(_PREFIX))
        return tuple(Activation(_pin(key), _uint(self.flash.get(key))) for key in keys)

    def held(self, now: int | None, door: DoorView) -> frozenset[OfflinePin]:
        """PINs in use or used up, for `keyed.decide_pin`.

        What is over still counts until its room is needed: a clock that was turned on and is set right
        again wakes nothing.
        """
        known = self.all()
        if now is not None and len(known) >= MAX_ACTIVATIONS:
            known = tuple(a for a in known if not _over(a, now, door))
        return frozenset(a.pin for a in known) | self._waiting

    @property
    def cleared(self) -> int:
        """Start hour of the latest clear code; -1 if there was none."""
        raw = self.flash.get(_CLEARED)
        return -1 if raw is None else _uint(raw)

    def take(self, pin: OfflinePin, now: int, door: DoorView) -> Record:
        """The PIN opens: what to put into flash with the intent. What is over makes room."""
        known = self.all()
        self._waiting.add(pin)
        if any(a.pin == pin for a in known):
            return {}
        record: Record = {_key(pin): encode(activation(pin).until)}
        if len(known) >= MAX_ACTIVATIONS:
            record |= {_key(a.pin): None for a in known if _over(a, now, door)}
        return record

    def settle(self, pin: OfflinePin, denial: Denial | None) -> Record:
        """What to put beside the journal entry; a jammed bolt gives a one-time PIN back."""
        self._waiting.discard(pin)
        return {_key(pin): None} if denial is Denial.JAMMED and pin.code.one_time else {}

    def clear(self, clear: OfflinePin) -> Record | None:
        """A clear code was keyed: what to put into flash, None if it says nothing new."""
        if clear.start_hour <= self.cleared:
            return None
        gone = (a.pin for a in self.all() if a.pin.code not in _SPARED)
        record: Record = {_key(pin): None for pin in gone if pin.start_hour <= clear.start_hour}
        return record | {_CLEARED: encode(clear.start_hour)}


def _over(activated: Activation, now: int, door: DoorView) -> bool:
    """Whether it may be forgotten: ended for good, or of an epoch that is dead."""
    pin = activated.pin
    return now >= activated.until or pin.epoch < (
        door.owner_epoch if pin.code is PinCode.OWNER else door.epoch
    )


def _key(pin: OfflinePin) -> str:
    return f"{_PREFIX}{pin.epoch}.{int(pin.code)}.{pin.start_hour}.{pin.n}"


def _pin(key: str) -> OfflinePin:
    epoch, code, hour, n = (int(part) for part in key.removeprefix(_PREFIX).split("."))
    return OfflinePin(epoch, PinCode(code), hour, n)


def _uint(raw: bytes | None) -> int:
    value = 0 if raw is None else decode(raw)
    return value if isinstance(value, int) else 0
