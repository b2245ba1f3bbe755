"""One lock: events in, effects out. Everything that it is survives in its flash.

    lock = Lock(flash, factory, random, at)      # power on
    effects = lock.step(event, at)               # carry them out, in order
    lock.deadline()                              # send a Tick then at the latest

A `PowerCutError` from the flash ends a `step` anywhere; build a new Lock on the same medium.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firmware_sim.core import held as holding
from firmware_sim.core import release
from firmware_sim.core.acts import INTENT, Acts, interrupted
from firmware_sim.core.autolock import AutoLock
from firmware_sim.core.core import Core, Settings
from firmware_sim.core.enrol import Enrolment
from firmware_sim.core.events import (
    Advertise,
    BatteryReading,
    BoltReport,
    BrokerDown,
    BrokerMessage,
    BrokerUp,
    ButtonPressed,
    CardPresented,
    CylinderTurned,
    DoorSensor,
    Effect,
    Event,
    FingerRead,
    HandleTurned,
    KeypadEntered,
    RadioBroken,
    RadioConnected,
    RadioGone,
    RadioMessage,
    Reboot,
    ResetHeld,
    SenseBolt,
    TamperSensor,
    Tick,
)
from firmware_sim.core.firmware import Firmware
from firmware_sim.core.identity import FactoryIdentity, Identity, load_identity
from firmware_sim.core.keypad import Keypad
from firmware_sim.core.mechanics import Mechanics
from firmware_sim.core.server import Server
from firmware_sim.core.sessions import Sessions
from lockserver.protocol import gatt
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.journal import How, What
from lockserver.protocol.limits import ID, MAX_TIME
from lockserver.protocol.pin import verifier
from lockserver.protocol.slots import Slot, SlotKind

if TYPE_CHECKING:
    from firmware_sim.core.firmware import Banks
    from firmware_sim.core.flash import Flash
    from firmware_sim.core.ring import Ring
    from firmware_sim.core.rtc import Moment
    from lockserver.protocol.bolt import BoltState
    from lockserver.protocol.curve import Random

#: Milliseconds between looks at the counted denials.
FLUSH_MS: Final = 15_000


class Lock:
    """A lock with power. `flash` may hold an identity; `factory` is burnt in."""

    def __init__(
        self,
        flash: Flash,
        factory: FactoryIdentity,
        random: Random,
        at: Moment,
        settings: Settings | None = None,
        banks: Banks | None = None,
    ) -> None:
        core = Core(flash, factory, random, settings or Settings(), at)
        self._core = core
        identity = load_identity(flash)
        if identity is not None:
            core.held = holding.load(flash, identity)
        self._acts = Acts(core)
        self._autolock = self._acts.follower = AutoLock(core, self._acts)
        self._mechanics = Mechanics(core, self._autolock)
        self._firmware = Firmware(core, banks)
        self._server = Server(core, self._acts, self._firmware)
        self._enrolment = Enrolment(core)
        self._sessions = Sessions(core, self._acts, self._server, self._enrolment)
        self._keypad = Keypad(core, self._acts, self._server)
        self._flush_at = at.mono + FLUSH_MS
        self._boot()

    def _boot(self) -> None:
        """Own up to what was interrupted, then look where the bolt is. Nothing moves."""
        core = self._core
        core.journal(What.BOOTED, How.SELF)
        intent = interrupted(core)
        if intent is not None:
            number = core.ring.head.number + 1
            beside = self._server.interrupted(intent, number) | {INTENT: None}
            core.journal(What.TORN, intent.how, intent.subject, beside)
        if core.held is not None and core.rtc.lost(core.at):
            core.journal(What.CLOCK_LOST, How.SELF)
        self._firmware.booted()
        release.resume(core)
        core.emit(SenseBolt())
        name = core.factory.serial.encode() if core.held is None else core.held.identity.lock_id
        core.emit(Advertise(gatt.tag(name), claimable=False))

    def step(self, event: Event, at: Moment) -> list[Effect]:
        """What the lock does about `event` at `at`. Raises only `PowerCutError`."""
        core = self._core
        if core.stopped:
            return []
        core.at = at
        self._dispatch(event)
        self._timers()
        self._server.pump()
        self._start_anew()
        return core.take_effects()

    def _start_anew(self) -> None:
        """What needs a reboot waits for the motor, and for whoever still takes our last reports."""
        core = self._core
        if not self._acts.idle:
            return
        if core.retire_at is not None:
            told = self._server.linked and not self._sessions.taking
            if core.at.mono < core.retire_at and not told:
                return
            self._server.publish(core.hello())
            self._sessions.close_all()
            release.forget(core)
        elif not (self._firmware.ready and self._firmware.switch()):
            return
        self._sessions.close_all()
        core.emit(Reboot())
        core.stopped = True

    def deadline(self) -> int | None:
        """Milliseconds since boot by which to send a `Tick`, or None."""
        parts = (
            self._acts,
            self._autolock,
            self._mechanics,
            self._server,
            self._enrolment,
            self._sessions,
            self._keypad,
        )
        times = [self._flush_at, *(t for p in parts if (t := p.deadline) is not None)]
        if self._core.retire_at is not None:
            times.append(self._core.retire_at)
        return min(times)

    def _dispatch(self, event: Event) -> None:
        match event:
            case RadioConnected() | RadioMessage() | RadioBroken() | RadioGone():
                self._heard(event)
            case BrokerUp():
                self._server.up()
            case BrokerDown():
                self._server.down()
            case BrokerMessage(data, retained) if self._core.held is None:
                self._enrolment.message(data, retained=retained)
            case BrokerMessage(data, retained):
                self._server.message(data, retained=retained)
            case BoltReport(state):
                if not self._acts.reported(state):
                    self._autolock.sensed(state)
            case ButtonPressed():
                self._enrolment.pressed()
            case KeypadEntered() | CardPresented() | FingerRead():
                self._tried(event)
            case ResetHeld():
                release.held_button(self._core)
            case DoorSensor() | TamperSensor() | HandleTurned() | CylinderTurned() | BatteryReading():
                self._sensed(event)
            case Tick():
                pass

    def _heard(self, event: RadioConnected | RadioMessage | RadioBroken | RadioGone) -> None:
        """Somebody's phone."""
        match event:
            case RadioConnected(connection):
                self._sessions.connected(connection)
            case RadioMessage(connection, data):
                self._sessions.message(connection, data)
            case RadioBroken(connection):
                self._sessions.broken(connection)
            case RadioGone(connection):
                self._sessions.gone(connection)

    def _tried(self, event: KeypadEntered | CardPresented | FingerRead) -> None:
        """Somebody at keypad or reader wants to come in."""
        match event:
            case KeypadEntered(digits):
                self._keypad.entered(digits)
            case CardPresented(uid):
                self._keypad.card(uid)
            case FingerRead(template):
                self._keypad.finger(template)

    def _sensed(
        self, event: DoorSensor | TamperSensor | HandleTurned | CylinderTurned | BatteryReading
    ) -> None:
        """What nobody asked for: hands and sensors."""
        match event:
            case DoorSensor(is_open):
                self._mechanics.door(is_open=is_open)
            case TamperSensor(is_open):
                self._mechanics.tamper(is_open=is_open)
            case HandleTurned():
                self._mechanics.handle()
            case CylinderTurned(locked):
                self._mechanics.cylinder(locked=locked)
            case BatteryReading(percent):
                self._mechanics.battery(percent)

    def _timers(self) -> None:
        self._acts.tick()
        self._autolock.tick()
        self._mechanics.tick()
        self._server.tick()
        self._enrolment.tick()
        self._sessions.tick()
        self._keypad.tick()
        core = self._core
        if core.at.mono >= self._flush_at:
            self._flush_at = core.at.mono + FLUSH_MS
            core.ring.flush(at=core.now, uncertainty=core.rtc.uncertainty(core.at), uptime=core.uptime)
            core.note_time()

    # ---- what a person at the door, or the simulator's control, may see

    @property
    def identity(self) -> Identity | None:
        """Who the lock is, once enrolled."""
        return None if self._core.held is None else self._core.held.identity

    @property
    def serial(self) -> str:
        """The manufacturer's serial number."""
        return self._core.factory.serial

    @property
    def bolt(self) -> BoltState:
        """Where the lock believes its bolt to be."""
        return self._core.bolt

    @property
    def position(self) -> dict[str, object]:
        """What else a hello would say of the mechanics, in words."""
        core = self._core
        return {
            "door": core.door.name.lower(),
            "tampered": core.tampered,
            "held_open": self._autolock.held_open,
            "battery": core.battery,
            "jams": core.jams,
            "firmware": core.running[0],
            "firmware_version": core.running[1],
        }

    @property
    def journal(self) -> Ring:
        """The journal, to be read."""
        return self._core.ring

    def plant_slot(self, kind: SlotKind, number: int, value: bytes) -> None:
        """What a service tool does: write a PIN, card or finger into the keypad module, past the lock.

        ValueError: nobody owns the lock, or the module is full.
        """
        held = self._core.held
        if held is None:
            message = "a lock without an identity has nothing to plant in"
            raise ValueError(message)
        slot = Slot(
            slot=number,
            verifier=verifier(held.identity.door_seed, kind, value),
            subject=bytes(ID),
            nbf=0,
            until=MAX_TIME,
            holder_class=HolderClass.TENANT,
            epoch=None if held.identity.shared else held.epoch,
        )
        self._core.reader.plant(kind, slot, held.state)

    def lose_slot(self, kind: SlotKind, number: int) -> None:
        """What a service tool does: wipe a place of the keypad module."""
        self._core.reader.lose(kind, number)

    @property
    def held(self) -> holding.Held | None:
        """What the lock holds about its door, to be read."""
        return self._core.held
