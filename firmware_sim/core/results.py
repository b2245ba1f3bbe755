"""What became of the last commands: a command that comes twice is answered twice and done once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lockserver.protocol.bolt import BoltState
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.errors import Denial
from lockserver.protocol.reports import Outcome, Result

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash
    from firmware_sim.core.held import Record

#: Results kept. Below the counter of the oldest, a lock can no longer say what became of a command.
KEPT: Final = 16

_KEY: Final = "results"


@dataclass(slots=True)
class Results:
    """The last results, in flash. Oldest first."""

    flash: Flash
    _rows: list[Result] = field(init=False)

    def __post_init__(self) -> None:
        raw = self.flash.get(_KEY)
        self._rows = [] if raw is None else _read(raw)

    def find(self, command_id: bytes) -> Result | None:
        """What became of this command, if it is still known."""
        return next((r for r in self._rows if r.command_id == command_id), None)

    def never_seen(self, counter: int, highest: int) -> bool:
        """Whether `counter`, at or below the `highest` used, is certainly no command that was taken."""
        used = {r.counter for r in self._rows}
        if counter in used or counter > highest:
            return False
        oldest = min((c for c in used if c is not None), default=0)
        return len(self._rows) < KEPT or counter > oldest  # nothing was ever forgotten, or not so far back

    def since(self, journal_number: int) -> list[Result]:
        """Results whose journal entry is above `journal_number`."""
        return [r for r in self._rows if r.journal_number and r.journal_number > journal_number]

    def record(self, result: Result) -> Record:
        """Keep `result`; what to put into flash for it."""
        self._rows = [r for r in self._rows if r.command_id != result.command_id][-(KEPT - 1) :]
        self._rows.append(result)
        return {_KEY: encode([_row(r) for r in self._rows])}


def _row(result: Result) -> list[object]:
    return [
        result.command_id,
        result.counter,
        int(result.outcome),
        int(result.bolt),
        None if result.denial is None else int(result.denial),
        result.time,
        result.journal_number,
    ]


def _read(raw: bytes) -> list[Result]:
    rows = decode(raw)
    if not isinstance(rows, list):
        message = "the results in flash are broken"
        raise TypeError(message)
    return [
        Result(
            command_id=command_id,
            counter=counter,
            outcome=Outcome(outcome),
            bolt=BoltState(bolt),
            denial=None if denial is None else Denial(denial),
            time=time,
            journal_number=number,
        )
        for command_id, counter, outcome, bolt, denial, time, number in rows
    ]
