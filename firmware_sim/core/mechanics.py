"""What hands and sensors at one door do: the leaf, the case, the inside handle, the cylinder, the gauge.

None of it is asked for and none of it can be refused; the lock says what it saw. From inside a door
always opens: the handle draws the bolt mechanically, and whatever the software believes comes after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firmware_sim.core.events import Alarm
from lockserver.protocol.bolt import BoltState, DoorState
from lockserver.protocol.codec import encode
from lockserver.protocol.journal import How, What

if TYPE_CHECKING:
    from firmware_sim.core.autolock import AutoLock
    from firmware_sim.core.core import Core

#: Percent below which the battery counts as low, and above which it has certainly been changed: a
#: gauge that trembles at one bound would fill the journal.
LOW: Final = (20, 30)

FULL: Final = 100
#: Milliseconds between entries of a case or a leaf that was forced: 144 a day, of 640 places.
QUIET_MS: Final = 600_000

_LOW_KEY: Final = "battery.low"


class Mechanics:
    """One door's sensors, and the way by hand."""

    def __init__(self, core: Core, autolock: AutoLock) -> None:
        self._core = core
        self._autolock = autolock
        self._open_since: int | None = None
        self._told_held = False
        self._quiet_until: int | None = None

    @property
    def deadline(self) -> int | None:
        """When the door has stood open for too long (milliseconds since boot)."""
        if self._open_since is None or self._told_held or self._autolock.held_open:
            return None
        return self._open_since + self._core.settings.door_held * 1000

    def door(self, *, is_open: bool) -> None:
        """The leaf moved, or says at boot where it is."""
        core, before = self._core, self._core.door
        core.door = DoorState.OPEN if is_open else DoorState.CLOSED
        if core.door is before:
            return
        core.hello_due = True
        self._open_since = core.at.mono if is_open else None
        self._told_held = False
        if before is not DoorState.UNKNOWN:
            core.journal(What.DOOR_OPENED if is_open else What.DOOR_CLOSED, How.SELF)
        if not is_open:
            self._autolock.door_closed()
        elif before is DoorState.CLOSED and core.bolt is BoltState.LOCKED:
            self._tampered("forced")

    def tamper(self, *, is_open: bool) -> None:
        """The case was opened or closed."""
        core = self._core
        if is_open and not core.tampered:
            self._tampered("tampered")
        core.hello_due |= is_open is not core.tampered
        core.tampered = is_open

    def handle(self) -> None:
        """Somebody left. Who leaves by a door that stands unlocked is nobody's business."""
        core = self._core
        if core.bolt is not BoltState.UNLOCKED:
            core.journal(What.UNLOCKED, How.HANDLE)
        self._drawn()

    def cylinder(self, *, locked: bool) -> None:
        """The mechanical key was turned."""
        core = self._core
        if not locked:
            core.journal(What.UNLOCKED, How.CYLINDER)
            self._drawn()
            return
        core.journal(What.LOCKED, How.CYLINDER, beside=self._autolock.locked_by_hand())
        if core.bolt is not BoltState.MOVING:
            core.bolt = BoltState.LOCKED

    def battery(self, percent: int | None) -> None:
        """The gauge was read. What it says is repeated, with its age; whether it is true it cannot know."""
        core = self._core
        if percent is not None and not 0 <= percent <= FULL:
            percent = None  # a broken gauge: unknown is a value, nonsense is none
        core.battery = percent
        core.battery_at = None if percent is None else core.at.mono
        if percent is None:
            return
        told = core.flash.get(_LOW_KEY) is not None
        if percent < LOW[0] and not told:
            core.journal(What.BATTERY_LOW, How.SELF, beside={_LOW_KEY: encode(percent)})
            core.hello_due = True
        elif percent >= LOW[1] and told:
            core.flash.put({_LOW_KEY: None})

    def tick(self) -> None:
        """Look at the timer."""
        due = self.deadline
        if due is None or self._core.at.mono < due:
            return
        self._told_held = True
        if self._core.held is not None:
            self._core.journal(What.DOOR_HELD, How.SELF)
            self._core.emit(Alarm("door_held"))

    def _tampered(self, alarm: str) -> None:
        """Every time the buzzer sounds; a switch that flickers writes an entry now and then."""
        core = self._core
        core.emit(Alarm(alarm))
        if self._quiet_until is None or core.at.mono >= self._quiet_until:
            self._quiet_until = core.at.mono + QUIET_MS
            core.journal(What.TAMPERED, How.SELF)

    def _drawn(self) -> None:
        """The bolt is back by hand. A motor on its way has its own report to come."""
        if self._core.bolt is not BoltState.MOVING:
            self._core.bolt = BoltState.UNLOCKED
            self._autolock.unlocked()
