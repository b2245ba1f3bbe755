"""Drives one lock in an event loop: time, motor, radio and broker around the core.

The lock's two clocks are the process's own, bent by drift that the control may set. A power cut ends
the lock at once; what was in its flash is there when it is switched on again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from firmware_sim.core.core import Settings
from firmware_sim.core.events import (
    Advertise,
    Alarm,
    BatteryReading,
    BoltReport,
    DoorSensor,
    Effect,
    Event,
    IdentityChanged,
    KeypadAnswer,
    MoveBolt,
    Publish,
    RadioClose,
    RadioSend,
    Reboot,
    SenseBolt,
    TamperSensor,
    Tick,
)
from firmware_sim.core.firmware import Banks
from firmware_sim.core.flash import Flash, Medium, PowerCutError
from firmware_sim.core.lock import Lock
from firmware_sim.core.rtc import Moment
from firmware_sim.links.login import factory_login, lock_login
from lockserver.protocol.bolt import BoltState

if TYPE_CHECKING:
    from firmware_sim.core.identity import FactoryIdentity
    from firmware_sim.links.login import Login


class Radio(Protocol):
    """Where messages to phones go."""

    def send(self, connection: int, data: bytes) -> None:
        """Send a whole message."""

    def close(self, connection: int) -> None:
        """Hang up."""

    def advertise(self, tag: bytes, *, claimable: bool) -> None:
        """Advertise from now on."""


class Broker(Protocol):
    """Where reports go."""

    def publish(self, data: bytes) -> None:
        """Send a report, or lose it."""

    def login(self, login: Login | None) -> None:
        """Connect as this from now on, or stay away."""


class Chip(Medium, Banks, Protocol):
    """A lock's flash: records and images."""


#: Percent of a set of batteries that one movement of the motor takes: 8,000 movements a set.
MOVE_PERCENT: Final = 100 / 8000
#: Seconds between readings of the gauge while nothing moves.
GAUGE_SECONDS: Final = 3600.0
#: Alarms remembered, for whoever looks.
ALARMS: Final = 32


@dataclass(slots=True)
class Mechanics:
    """The bolt, how long its motor takes, and what else is at a door: leaf, case, battery."""

    state: BoltState = BoltState.LOCKED
    motor_ms: int = 0
    moves: int = 0
    openings: int = 0
    jammed: bool = False
    leaf_open: bool | None = None
    """None: this door has no sensor."""
    case_open: bool = False
    battery: float | None = 100.0
    """None: the gauge says nothing."""
    frozen: int | None = None
    """A gauge that hangs says this, whatever the battery has."""

    @property
    def gauge(self) -> int | None:
        """What the gauge says, percent."""
        if self.frozen is not None or self.battery is None:
            return self.frozen
        return round(self.battery)

    def move(self, to: BoltState) -> BoltState:
        """Drive the bolt; what the sensor says then."""
        if self.battery is not None:
            self.battery = max(0.0, self.battery - MOVE_PERCENT)
        if self.jammed:
            return BoltState.JAMMED
        self.moves += 1
        self.openings += to is BoltState.UNLOCKED
        self.state = to
        return to


@dataclass(slots=True)
class Clocks:
    """The two oscillators, from this process's own clocks, bent by parts per million."""

    chip_ppm: float = 0.0
    chip_shift: float = 0.0
    chip_lost: bool = False
    _since: float = field(default_factory=time.time)
    _boot: float = field(default_factory=time.monotonic)

    def bend(self, ppm: float) -> None:
        """From now on the chip runs fast (or slow) by `ppm`; its reading does not jump."""
        now = time.time()
        self.chip_shift += (now - self._since) * self.chip_ppm / 1e6
        self._since = now
        self.chip_ppm = ppm

    def reboot(self) -> None:
        """The processor's timer starts anew."""
        self._boot = time.monotonic()

    def now(self) -> Moment:
        """What the lock reads."""
        wall = time.time()
        chip = wall + self.chip_shift + (wall - self._since) * self.chip_ppm / 1e6
        mono = round((time.monotonic() - self._boot) * 1000)
        return Moment(mono, None if self.chip_lost else int(chip))


class Driver:
    """One lock, switched on and off."""

    def __init__(
        self,
        factory: FactoryIdentity,
        medium: Chip,
        *,
        settings: Settings | None = None,
        motor_ms: int = 0,
    ) -> None:
        self.factory = factory
        self.mechanics = Mechanics(motor_ms=motor_ms)
        self.clocks = Clocks()
        self.radio: Radio | None = None
        self.broker: Broker | None = None
        self.lock: Lock | None = None
        self.shown: KeypadAnswer | None = None
        """What keypad or reader showed last."""
        self.alarms: deque[str] = deque(maxlen=ALARMS)
        self._medium = medium
        self._settings = settings
        self._timer: asyncio.TimerHandle | None = None
        self._read_at = 0.0

    @property
    def on(self) -> bool:
        """Whether the lock has power."""
        return self.lock is not None

    def power_on(self) -> None:
        """Boot. The links are attached already."""
        self.clocks.reboot()
        self.lock = Lock(
            Flash(self._medium),
            self.factory,
            secrets.token_bytes,
            self.clocks.now(),
            self._settings,
            self._medium,
        )
        self.feed(Tick())
        if self.mechanics.leaf_open is not None:
            self.feed(DoorSensor(self.mechanics.leaf_open))
        if self.mechanics.case_open:
            self.feed(TamperSensor(open=True))
        self._read_at = time.monotonic()
        self.feed(BatteryReading(self.mechanics.gauge))
        self._join()

    def power_off(self) -> None:
        """The plug is pulled: nothing is said to anybody."""
        self.lock = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def feed(self, event: Event) -> None:
        """Let the lock see an event and carry out what it does."""
        todo: list[Event] = [event]
        while todo and self.lock is not None:
            try:
                effects = self.lock.step(todo.pop(0), self.clocks.now())
            except PowerCutError:
                self.power_off()
                return
            for effect in effects:
                todo += self._carry_out(effect)
            if any(isinstance(effect, Reboot) for effect in effects):
                self.power_off()
                self.power_on()
                return
        self._set_timer()

    def _join(self) -> None:
        """Go to the broker as whoever the lock now is. A reboot loses the connection that there was."""
        if self.broker is None or self.lock is None:
            return
        identity = self.lock.identity
        if identity is not None:
            self.broker.login(lock_login(identity))
        elif self._settings is not None and self._settings.network_enrolment:
            self.broker.login(factory_login(self.factory, secrets.token_bytes))
        else:
            self.broker.login(None)

    def _carry_out(self, effect: Effect) -> list[Event]:
        match effect:
            case MoveBolt(to):
                return self._move(to)
            case SenseBolt():
                return [BoltReport(self.mechanics.state)]
            case RadioSend(connection, data) if self.radio is not None:
                self.radio.send(connection, data)
            case RadioClose(connection) if self.radio is not None:
                self.radio.close(connection)
            case Advertise(tag, claimable) if self.radio is not None:
                self.radio.advertise(tag, claimable=claimable)
            case Publish(data) if self.broker is not None:
                self.broker.publish(data)
            case IdentityChanged():
                self._join()
            case KeypadAnswer():
                self.shown = effect
            case Alarm(kind):
                self.alarms.append(kind)
            case _:
                pass
        return []

    def _move(self, to: BoltState) -> list[Event]:
        if self.mechanics.motor_ms == 0:
            state = self.mechanics.move(to)
            return [BoltReport(state), BatteryReading(self.mechanics.gauge)]
        lock = self.lock

        def arrived() -> None:
            state = self.mechanics.move(to)
            if self.lock is lock:  # a motor that turns while the power goes has moved all the same
                self.feed(BoltReport(state))
                self.feed(BatteryReading(self.mechanics.gauge))

        asyncio.get_running_loop().call_later(self.mechanics.motor_ms / 1000, arrived)
        return []

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.lock is None:
            return
        due = self.lock.deadline()
        if due is None:
            return
        wait = max(due - self.clocks.now().mono, 1) / 1000
        with contextlib.suppress(RuntimeError):  # no loop: somebody drives by hand
            self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _tick(self) -> None:
        """Time has passed; now and then the gauge is read though nothing moved."""
        if time.monotonic() - self._read_at >= GAUGE_SECONDS:
            self._read_at = time.monotonic()
            self.feed(BatteryReading(self.mechanics.gauge))
        self.feed(Tick())
