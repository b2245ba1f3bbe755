"""One-time credentials that have opened: each serves once, whatever is played back.

The mark is written in the same record as the intent to move, so that a power cut leaves either a key
that is used up or a door that has not moved. A cut *between* the two leaves it used up and the journal
`torn`: whether the bolt moved is then unknown, and a second opening would be the worse mistake. Only a
bolt whose sensor says `jammed` has certainly not opened, and gives the key back.

A mark is kept until the time floor has passed the credential's `exp`: no clock that is turned back wakes
it. Every credential that comes raises the floor to its own `iat`, so what is remembered are the one-time
openings within one credential's life.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.errors import Denial

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash
    from firmware_sim.core.held import Record
    from lockserver.protocol.claims import Claims

_PREFIX: Final = "used."


@dataclass(slots=True)
class Used:
    """The one-time credentials that one lock has obeyed, in flash."""

    flash: Flash
    _waiting: set[bytes] = field(default_factory=set)
    """Granted and waiting for the motor: not in flash yet, and not to be granted twice."""

    def ctis(self, floor: int) -> frozenset[bytes]:
        """Those that the time floor has not passed, for `access.DoorView`."""
        return frozenset(cti for cti, exp in self._rows() if exp > floor) | self._waiting

    def take(self, claims: Claims, floor: int) -> Record:
        """Mark them; what to put into flash with the intent. What the floor has passed is forgotten."""
        self._waiting.add(claims.cti)
        forgotten: Record = {_key(cti): None for cti, exp in self._rows() if exp <= floor}
        return forgotten | {_key(claims.cti): encode(claims.exp)}

    def settle(self, cti: bytes, denial: Denial | None) -> Record:
        """What to put beside the journal entry; a jammed bolt gives the key back."""
        if cti not in self._waiting:
            return {}
        self._waiting.discard(cti)
        return {_key(cti): None} if denial is Denial.JAMMED else {}

    def _rows(self) -> list[tuple[bytes, int]]:
        rows = []
        for key in self.flash.names():
            if key.startswith(_PREFIX):
                exp = decode(self.flash.get(key) or b"\x00")
                rows.append((bytes.fromhex(key.removeprefix(_PREFIX)), exp if isinstance(exp, int) else 0))
        return rows


def _key(cti: bytes) -> str:
    return f"{_PREFIX}{cti.hex()}"
