"""A flash chip in memory whose power can be cut at any write, and a door made of nothing.

For tests: a `Cut` says at which write the power goes, and how much of that write arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware_sim.core.core import Settings
from firmware_sim.core.events import (
    BatteryReading,
    BoltReport,
    CylinderTurned,
    DoorSensor,
    Effect,
    Event,
    HandleTurned,
    MoveBolt,
    Publish,
    RadioClose,
    RadioSend,
    Reboot,
    SenseBolt,
    TamperSensor,
    Tick,
)
from firmware_sim.core.flash import Flash, PowerCutError
from firmware_sim.core.lock import Lock
from firmware_sim.core.rtc import Moment
from lockserver.protocol.bolt import BoltState

if TYPE_CHECKING:
    from firmware_sim.core.identity import FactoryIdentity
    from lockserver.protocol.curve import Random


@dataclass
class Cut:
    """Power fails at write number `at` (0 is the next), after `share` of its bytes."""

    at: int
    share: float = 0.0


@dataclass
class MemoryMedium:
    """Two banks of records and two of images. Survives the lock that writes to it."""

    bank: bytearray = field(default_factory=bytearray)
    other: bytearray = field(default_factory=bytearray)
    """The bank that is not the current one: a swap leaves in it what it was."""
    images: list[bytearray] = field(default_factory=lambda: [bytearray(), bytearray()])
    writes: int = 0
    cut: Cut | None = None

    def read(self) -> bytes:
        """The current bank."""
        return bytes(self.bank)

    def append(self, data: bytes, at: int) -> None:
        """Write, unless or until the power goes."""
        share = self._share()
        if share is None:
            self.bank[at:] = data
            return
        self.bank[at:] = data[: round(len(data) * share)]
        raise PowerCutError

    def swap(self, data: bytes) -> None:
        """All or nothing: the flag word is written last."""
        share = self._share()
        if share is None or share >= 1.0:
            self.other, self.bank = self.bank, bytearray(data)
        else:
            self.other = bytearray(data[: round(len(data) * share)])
        if share is not None:
            raise PowerCutError

    def erase_other(self) -> None:
        """Sector by sector: after a cut some of it is still there."""
        share = self._share()
        del self.other[: len(self.other) if share is None else round(len(self.other) * share)]
        if share is not None:
            raise PowerCutError

    def image(self, bank: int) -> bytes:
        """What was written since the bank was erased."""
        return bytes(self.images[bank])

    def write_image(self, bank: int, at: int, data: bytes) -> None:
        """Write, unless or until the power goes."""
        share = self._share()
        self.images[bank][at:] = data if share is None else data[: round(len(data) * share)]
        if share is not None:
            raise PowerCutError

    def erase_image(self, bank: int) -> None:
        """Sector by sector."""
        share = self._share()
        image = self.images[bank]
        del image[: len(image) if share is None else round(len(image) * share)]
        if share is not None:
            raise PowerCutError

    def _share(self) -> float | None:
        """None: the power stays. Else the share of this write that arrives."""
        self.writes += 1
        if self.cut is None:
            return None
        if self.cut.at > 0:
            self.cut.at -= 1
            return None
        share, self.cut = self.cut.share, None
        return share


@dataclass
class Door:
    """The mechanics: a bolt that counts how often its motor was driven. It survives every power cut."""

    state: BoltState = BoltState.LOCKED
    moves: list[BoltState] = field(default_factory=list)
    tries: int = 0
    """How often the motor drew current, jammed or not."""
    jammed: bool = False
    leaf_open: bool | None = None
    """None: this door has no sensor."""
    case_open: bool = False
    battery: int | None = None

    def move(self, to: BoltState) -> BoltState:
        """Drive the bolt; what the sensor says then."""
        self.tries += 1
        if self.jammed:
            return BoltState.JAMMED
        self.moves.append(to)
        self.state = to
        return to

    @property
    def openings(self) -> int:
        """How often the motor was driven to open, whether or not the bolt stood open already."""
        return self.moves.count(BoltState.UNLOCKED)


@dataclass
class Oscillators:
    """The lock's two clocks against the true time, in seconds since the test began."""

    true: float = 0.0
    chip_rate: float = 1.0
    timer_rate: float = 1.0
    _chip: float = 1_000_000.0
    _timer: float = 0.0
    _chip_lost: bool = False

    def advance(self, seconds: float) -> None:
        """True time goes on."""
        self.true += seconds
        self._chip += seconds * self.chip_rate
        self._timer += seconds * self.timer_rate

    def reboot(self) -> None:
        """The processor's timer starts anew; the chip has a battery of its own."""
        self._timer = 0.0

    def pull_battery(self, *, chip: float | None = None) -> None:
        """The chip loses its time: it says so, or, worse, stands at `chip` seconds."""
        self._chip_lost = chip is None
        self._chip = 0.0 if chip is None else chip

    def shift(self, seconds: float) -> None:
        """Somebody sets the chip."""
        self._chip += seconds

    def now(self) -> Moment:
        """What the lock reads."""
        return Moment(int(self._timer * 1000 + 1e-3), None if self._chip_lost else int(self._chip + 1e-6))


class MemoryLock:
    """A lock on a desk: driven by hand, with its mechanics, its clocks and its plug.

    `said[connection]` are the messages to phones, `published` the reports to the broker.
    """

    def __init__(self, factory: FactoryIdentity, random: Random, *, settings: Settings | None = None) -> None:
        self._factory = factory
        self._random = random
        self._settings = settings or Settings(auto_lock=0)
        self.medium = MemoryMedium()
        self.door = Door()
        self.clocks = Oscillators()
        self.said: dict[int, list[bytes]] = {}
        self.closed: set[int] = set()
        self.published: list[bytes] = []
        self.effects: list[Effect] = []
        self.cut_at_move: int | None = None
        """The power goes when the motor has moved this many more times (0: the next time)."""
        self.lock: Lock | None = None
        self.power_on()

    @property
    def on(self) -> bool:
        """Whether the lock has power."""
        return self.lock is not None

    def power_on(self) -> None:
        """Plug in. Raises nothing; a cut during boot leaves it off."""
        self.clocks.reboot()
        try:
            self.lock = Lock(
                Flash(self.medium),
                self._factory,
                self._random,
                self.clocks.now(),
                self._settings,
                self.medium,
            )
        except PowerCutError:
            self.lock = None
            return
        self.feed(Tick())
        if self.door.leaf_open is not None:
            self.feed(DoorSensor(self.door.leaf_open))
        if self.door.case_open:
            self.feed(TamperSensor(open=True))
        if self.door.battery is not None:
            self.feed(BatteryReading(self.door.battery))

    # ---- hands at the door, and what its sensors notice

    def swing(self, *, is_open: bool) -> None:
        """Somebody opens the leaf, or closes it."""
        self.door.leaf_open = is_open
        self.feed(DoorSensor(is_open))

    def handle(self) -> None:
        """Somebody leaves: the handle draws the bolt, power or no power."""
        self.door.state = BoltState.UNLOCKED
        self.feed(HandleTurned())

    def cylinder(self, *, locked: bool) -> None:
        """Somebody turns the mechanical key."""
        self.door.state = BoltState.LOCKED if locked else BoltState.UNLOCKED
        self.feed(CylinderTurned(locked))

    def tamper(self, *, is_open: bool) -> None:
        """Somebody opens the case, or closes it."""
        self.door.case_open = is_open
        self.feed(TamperSensor(is_open))

    def gauge(self, percent: int | None) -> None:
        """The battery gauge is read."""
        self.door.battery = percent
        self.feed(BatteryReading(percent))

    def power_off(self) -> None:
        """Pull the plug between two events."""
        self.lock = None

    def feed(self, event: Event) -> None:
        """Let the lock see an event, and carry out what it does."""
        todo = [event]
        while todo and self.lock is not None:
            try:
                effects = self.lock.step(todo.pop(0), self.clocks.now())
                for effect in effects:
                    if isinstance(effect, Reboot):
                        self.effects.append(effect)
                        self.power_on()
                        return
                    todo += self._carry_out(effect)
            except PowerCutError:
                self.lock = None

    def wait(self, seconds: float, *, step: float = 0.5) -> None:
        """True time goes by, with ticks as the lock asks for them."""
        while seconds > 0:
            part = min(step, seconds)
            self.clocks.advance(part)
            seconds -= part
            self.feed(Tick())

    def _carry_out(self, effect: Effect) -> list[Event]:
        self.effects.append(effect)
        match effect:
            case MoveBolt(to):
                state = self.door.move(to)
                if self.cut_at_move is not None:
                    self.cut_at_move -= 1
                    if self.cut_at_move < 0:
                        self.cut_at_move = None
                        raise PowerCutError
                return [BoltReport(state)]
            case SenseBolt():
                return [BoltReport(self.door.state)]
            case RadioSend(connection, data):
                self.said.setdefault(connection, []).append(data)
            case RadioClose(connection):
                self.closed.add(connection)
            case Publish(data):
                self.published.append(data)
            case _:
                pass
        return []
