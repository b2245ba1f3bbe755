"""What all parts of one lock share: its memory, its clock, its journal, and the effects of this step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from firmware_sim.core.activations import Activations
from firmware_sim.core.capture import Capture
from firmware_sim.core.events import Effect
from firmware_sim.core.held import Held, Record
from firmware_sim.core.nonces import TimeNonces
from firmware_sim.core.reader import Reader
from firmware_sim.core.ring import Kind, Ring
from firmware_sim.core.rtc import Moment, Rtc
from firmware_sim.core.used import Used
from lockserver.protocol.bolt import BoltState, DoorState
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.curve import Random, private_key
from lockserver.protocol.envelope import Envelope, Position, seal_report
from lockserver.protocol.errors import Denial, LocalError
from lockserver.protocol.reports import Applied, Hello, Inventory, Report
from lockserver.protocol.slots import SlotKind

if TYPE_CHECKING:
    from firmware_sim.core.flash import Flash
    from firmware_sim.core.identity import FactoryIdentity
    from lockserver.protocol.access import DoorView
    from lockserver.protocol.journal import Entry, How, What

#: Seconds between notes of the time in flash: 24 writes a day.
NOTE: Final = 3600

BOOT_KEY: Final = "boot"
"""Flash key of the boot number, which outlives a reset."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the landlord may set at a door."""

    auto_lock: int = 5
    """Seconds after an unlock until the bolt goes back, where the access state says nothing; 0 never."""
    door_held: int = 120
    """Seconds that a door may stand open before that is journalled and the buzzer sounds."""
    network_enrolment: bool = False
    """Whether a lock that nobody owns waits at the broker for its enrolment."""


@dataclass(slots=True)
class Core:
    """The shared part. `held` is None until the lock is enrolled."""

    flash: Flash
    factory: FactoryIdentity
    random: Random
    settings: Settings
    at: Moment
    held: Held | None = None
    bolt: BoltState = BoltState.UNKNOWN
    broker_up: bool = False
    battery: int | None = None
    battery_at: int | None = None
    """Milliseconds since boot at which the gauge was read."""
    door: DoorState = DoorState.UNKNOWN
    tampered: bool = False
    jams: int = 0
    """Movements since boot that ended in a jam."""
    hello_due: bool = False
    """Something of the lock's position has changed that its server should hear of soon."""
    running: tuple[int, str] = (0, "")
    """Counter and version of the firmware that runs."""
    retire_at: int | None = None
    """Milliseconds since boot at which to forget the door at the latest: it has been let go."""
    stopped: bool = False
    """`Reboot` was emitted: nothing more is done by this object."""
    ring: Ring = field(init=False)
    nonces: TimeNonces = field(init=False)
    used: Used = field(init=False)
    activations: Activations = field(init=False)
    reader: Reader = field(init=False)
    capture: Capture = field(init=False)
    boot: int = field(init=False)
    _seq: int = 0
    _effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ring = Ring(self.flash)
        self.nonces = TimeNonces(self.random)
        self.used = Used(self.flash)
        self.activations = Activations(self.flash)
        self.reader = Reader(self.flash)
        self.capture = Capture()
        raw = self.flash.get(BOOT_KEY)
        last = 0 if raw is None else decode(raw)
        self.boot = (last if isinstance(last, int) else 0) + 1
        # written before anything is reported, so that (boot, seq) never repeats
        self.flash.put({BOOT_KEY: encode(self.boot)})

    # ---- effects

    def emit(self, effect: Effect) -> None:
        """Do this, after what was emitted before."""
        self._effects.append(effect)

    def take_effects(self) -> list[Effect]:
        """The effects since the last call."""
        effects, self._effects = self._effects, []
        return effects

    # ---- time

    @property
    def rtc(self) -> Rtc:
        """The clock; before enrolment one that was never set."""
        return Rtc() if self.held is None else self.held.rtc

    @property
    def uptime(self) -> int:
        """Whole seconds since boot."""
        return self.at.mono // 1000

    @property
    def now(self) -> int | None:
        """Unix seconds, or None if the clock is lost."""
        return self.rtc.now(self.at)

    @property
    def door_open(self) -> bool:
        """Whether the sensor says that the leaf stands open."""
        return self.door is DoorState.OPEN

    def note_time(self) -> None:
        """Write down once an hour what time it is: a chip that is set back by more will be found out."""
        if self.held is not None and self.now is not None and self.now - self.held.rtc.seen >= NOTE:
            self.held.rtc.seen = self.now
            self.flash.put(self.held.record())

    # ---- the door

    def door_view(self) -> DoorView:
        """What a credential, slot or PIN is judged by."""
        held = self._enrolled()
        return replace(held.door(), used=self.used.ctis(held.rtc.floor))

    # ---- the journal

    def journal(
        self, what: What, how: How, subject: bytes | int | None = None, beside: Record | None = None
    ) -> Entry:
        """Write an entry, and `beside` it whatever must be true exactly if the entry is there."""
        return self.ring.append(
            what,
            how,
            at=self.now,
            uncertainty=self.rtc.uncertainty(self.at),
            subject=subject,
            beside=beside,
        )

    def rests(self, how: How) -> None:
        """Write that a keypad or reader rests after failures."""
        self.ring.rests(how, at=self.now, uncertainty=self.rtc.uncertainty(self.at))

    def deny(
        self, how: How, denial: Denial, subject: bytes | int | None = None, *, count: int = 1
    ) -> Entry | None:
        """Write or count a denial."""
        return self.ring.deny(
            Kind(how, denial, subject),
            at=self.now,
            uncertainty=self.rtc.uncertainty(self.at),
            uptime=self.uptime,
            count=count,
        )

    # ---- reports

    def seal(self, report: Report) -> bytes:
        """The report, signed by the lock and sealed for the server."""
        if self.held is None:
            raise LocalError("a lock without an identity has nobody to report to")
        self._seq += 1
        held = self.held
        envelope = Envelope(held.identity.lock_id, Position(self.boot, self._seq), report)
        ephemeral = private_key(self.random)
        return seal_report(envelope, held.identity.signer, held.trust.key_set.report_key, ephemeral)

    def hello(self) -> Hello:
        """The lock's whole position."""
        held = self._enrolled()
        entries = self.ring.held
        return Hello(
            counter=held.counter,
            state_version=held.state_version,
            list_number=held.list_number,
            key_set_number=held.trust.key_set.number,
            epoch=None if held.identity.shared else held.epoch,
            occupied=held.occupied,
            journal=self.ring.head,
            oldest_unacked=entries[0].number if entries else self.ring.head.number + 1,
            time=self.now,
            uncertainty=self.rtc.uncertainty(self.at),
            attested=self.rtc.bound(self.at) is not None,
            bolt=self.bolt,
            time_nonce=self.nonces.current(self.at.mono),
            battery=self.battery,
            door=self.door,
            tampered=self.tampered,
            battery_age=None if self.battery_at is None else (self.at.mono - self.battery_at) // 1000,
            jams=self.jams,
            firmware=self.running[0],
            firmware_version=self.running[1],
        )

    def applied(self, command_id: bytes | None, denials: tuple[Denial, ...]) -> Applied:
        """What the lock holds after documents came."""
        held = self._enrolled()
        return Applied(
            state_version=held.state_version,
            list_number=held.list_number,
            key_set_number=held.trust.key_set.number,
            epoch=None if held.identity.shared else held.epoch,
            occupied=held.occupied,
            command_id=command_id,
            denials=denials,
        )

    def inventory(self) -> Inventory:
        """What keypad and readers really hold, whatever the access state says."""
        held = self._enrolled()
        return Inventory(
            state_version=held.state_version,
            list_number=held.list_number,
            epoch=None if held.identity.shared else held.epoch,
            pins=self.reader.holds(SlotKind.PIN, held.state),
            cards=self.reader.holds(SlotKind.CARD, held.state),
            fingers=self.reader.holds(SlotKind.FINGER, held.state),
            activations=self.activations.all(),
        )

    def _enrolled(self) -> Held:
        if self.held is None:
            raise LocalError("not enrolled")
        return self.held
