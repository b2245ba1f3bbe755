"""The bolt goes back by itself: after an opening, at the end of a window, never onto an open door.

A relock is an act like any other (an intent in flash, a journal entry, `torn` after a power cut), by
the lock itself. One that jams is tried again a few times, further and further apart, and then left:
a motor that fights a warped door all night empties the battery, and then nobody gets in at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firmware_sim.core.acts import Act, Acts, Done
from firmware_sim.core.hold_open import HOLD, Hold, Mode, load_hold, window_end
from lockserver.protocol.access import OPENS, Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.journal import How, What

if TYPE_CHECKING:
    from firmware_sim.core.core import Core
    from firmware_sim.core.held import Record

#: Milliseconds before each further try of a relock that failed; after the last it is left.
RETRY_MS: Final = (2_000, 10_000, 30_000)

_FAILED: Final = "relock"


class AutoLock:
    """When one lock's bolt is to go back, and what keeps it open until then."""

    def __init__(self, core: Core, acts: Acts) -> None:
        self._core = core
        self._acts = acts
        self._hold = load_hold(core.flash.get(HOLD))
        self._due: int | None = None
        raw = core.flash.get(_FAILED)
        failed = 0 if raw is None else decode(raw)
        self._failed = failed if isinstance(failed, int) else 0
        """Tries in a row that did not end locked, over power cuts too: a motor may pull the power down."""

    @property
    def held_open(self) -> bool:
        """Whether the door is meant to stand unlocked."""
        return self._hold.open

    @property
    def gave_up(self) -> bool:
        """Whether the last relock failed as often as it may."""
        return self._failed > len(RETRY_MS)

    @property
    def deadline(self) -> int | None:
        """Milliseconds since boot at which to look again."""
        core, times = self._core, []
        if self._hold.until is not None and core.now is not None:
            times.append(core.at.mono + max(1, self._hold.until - core.now) * 1000)
        if self._due is not None and not (self._hold.open or core.door_open) and self._acts.idle:
            times.append(self._due)
        return min(times, default=None)

    # ---- what became of acts (`acts.Follower`)

    def beside(self, act: Act, what: What) -> Record:
        """A hold begins or ends in the record that says so."""
        if what is What.HELD_OPEN:
            self._hold = Hold(Mode.HELD)
        elif what is What.LOCKED and act.how is not How.SELF:
            self._hold = self._locked_by_hand()
        elif what not in {What.LOCKED, What.UNLOCKED}:
            return {}
        else:
            return self._forgiven()
        return self._hold.record() | self._forgiven()

    def finished(self, act: Act, what: What) -> None:
        """After an opening the time runs; after a relock that failed, the time to the next try."""
        if what is What.UNLOCKED:
            self.unlocked()
            self._latch()
        elif what in {What.LOCKED, What.HELD_OPEN}:
            self._due, self._failed = None, 0
        elif what is What.TORN and act.operation in OPENS:
            self.unlocked()  # it may have opened: the sensor said nothing
        elif act.how is How.SELF:
            self._failed += 1
            if not self.gave_up:
                self._due = self._core.at.mono + RETRY_MS[self._failed - 1]

    # ---- what hands and sensors did

    def unlocked(self) -> None:
        """The bolt is back, whoever drew it: from now on the time runs."""
        self._failed = 0
        if self._forgiven():
            self._core.flash.put(self._forgiven())
        self._arm()

    def locked_by_hand(self) -> Record:
        """The cylinder threw the bolt: nothing holds it open any more. What to put into flash."""
        self._hold = self._locked_by_hand()
        self._due, self._failed = None, 0
        return self._hold.record() | self._forgiven()

    def sensed(self, state: BoltState) -> None:
        """Where the bolt stands, looked at without a movement (at boot)."""
        if state is BoltState.UNLOCKED and not self.gave_up:
            self._arm()
        elif state is BoltState.LOCKED and self._hold.open:
            self._core.flash.put(self.locked_by_hand())

    def door_closed(self) -> None:
        """What jammed on an open door may fit now."""
        if self.gave_up and self._core.bolt is not BoltState.LOCKED:
            self.unlocked()

    def tick(self) -> None:
        """Look at the timers."""
        core = self._core
        self._end_hold()
        if self._due is None or core.at.mono < self._due or self._hold.open:
            return
        if core.door_open or not self._acts.idle or core.held is None:
            return
        self._due = None
        if core.bolt is not BoltState.LOCKED:
            self._acts.begin(
                Act(
                    operation=Operation.LOCK,
                    how=How.SELF,
                    subject=None,
                    before={_FAILED: encode(self._failed + 1)},
                    settle=lambda _done, _number: {},
                    answer=_nobody_asked,
                )
            )

    def _forgiven(self) -> Record:
        """What to put into flash so that failures from before count no more."""
        return {} if self._core.flash.get(_FAILED) is None else {_FAILED: None}

    def _arm(self) -> None:
        seconds = self._seconds()
        self._due = self._core.at.mono + seconds * 1000 if seconds else None

    # ---- windows

    def _end_hold(self) -> None:
        core = self._core
        if self._hold.until is None:
            return
        end = self._window_end()
        if self._hold.mode is Mode.LATCHED and end is not None:
            self._hold = Hold(Mode.LATCHED, end)  # a newer schedule may end it earlier or later
        elif self._hold.mode is Mode.LATCHED:
            self._hold = Hold()
            self._due = core.at.mono
            core.flash.put(self._hold.record())
        elif end is None and core.now is not None:
            self._hold = Hold()
            core.flash.put(self._hold.record())

    def _latch(self) -> None:
        """The first rightful unlock in a window holds the door until that ends."""
        end = self._window_end()
        if end is not None and self._hold.mode is Mode.NONE:
            self._hold = Hold(Mode.LATCHED, end)
            self._core.journal(What.HELD_OPEN, How.SELF, beside=self._hold.record())

    def _locked_by_hand(self) -> Hold:
        end = self._window_end()
        return Hold() if end is None else Hold(Mode.ENDED, end)

    def _window_end(self) -> int | None:
        """The end of the hold-open window that is now, if this is a shared door and the time is known."""
        held, now = self._core.held, self._core.now
        if held is None or held.state is None or not held.identity.shared or now is None:
            return None
        schedule = held.state.hold_open
        return None if schedule is None else window_end(schedule, now)

    def _seconds(self) -> int:
        held = self._core.held
        if held is None:
            return 0
        if held.state is not None and held.state.auto_lock is not None:
            return held.state.auto_lock
        return self._core.settings.auto_lock


def _nobody_asked(_done: Done) -> None:
    """The lock answers itself by the journal alone."""
