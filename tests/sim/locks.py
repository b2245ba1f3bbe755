"""A lock at its door: the real core on a flash that tears, a bolt, two oscillators, a plug, an antenna."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from firmware_sim.core.core import Settings
from firmware_sim.core.events import (
    BoltReport,
    BrokerDown,
    BrokerMessage,
    BrokerUp,
    Effect,
    Event,
    MoveBolt,
    Publish,
    RadioClose,
    RadioSend,
    Reboot,
    SenseBolt,
    Tick,
)
from firmware_sim.core.flash import Flash, PowerCutError
from firmware_sim.core.lock import Lock
from firmware_sim.links.memory import Cut, Door, MemoryMedium, Oscillators
from lockserver.protocol.bolt import BoltState
from tests.sim.agenda import T0

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware_sim.core.identity import FactoryIdentity
    from lockserver.protocol.journal import Entry
    from tests.sim.agenda import Entry as Noted
    from tests.sim.radio import Connection
    from tests.sim.world import World

#: Milliseconds that the motor needs.
MOTOR_MS = 250
#: Milliseconds that a lock needs to start anew.
BOOT_MS = 400
#: Milliseconds until somebody has power again.
DARK_MS = (500, 20_000)
#: How often a lock is looked at while nothing is going on, milliseconds.
IDLE_MS = 6 * 3_600_000


class LockActor:
    """One lock. What survives: medium, door, clocks. What dies with the power: `lock`, connections."""

    def __init__(self, world: World, name: str, factory: FactoryIdentity, *, online: bool) -> None:
        self.world = world
        self.name = name
        self.factory = factory
        self.online = online
        """Whether it has a network at all; without, phones carry everything."""
        self.dice = world.dice.of("lock", name)
        self.medium = MemoryMedium()
        self.door = Door()
        self.clocks = Oscillators()
        self.lock: Lock | None = None
        self.id: UUID | None = None
        self.door_id = UUID(int=0)
        self.connected = False
        self.redials = False
        """A storm has its link dial by itself (`storms.py`)."""
        self.session = 0
        """Connections to the broker so far."""
        self.network_until = 0
        """No network before this moment, milliseconds."""
        self.connections: dict[int, Connection] = {}
        self.cut_move: tuple[int, bool] | None = None
        """(movements until the power goes, whether the motor turns first)."""
        self.cause = ""
        self.jammed_until = -1
        self.boots = 0
        self.dark = 0
        self._torn: bool | None = None
        self._since = world.agenda.ms
        self._tick: Noted | None = None
        self._tick_at = 0

    # ---- power

    def power_on(self) -> None:
        """Plug in; a cut during the boot leaves it dark a little longer."""
        if self.lock is not None:
            return
        self.pass_time()
        self.clocks.reboot()
        self.boots += 1
        try:
            self.lock = Lock(
                Flash(self.medium),
                self.factory,
                self.dice.bytes,
                self.clocks.now(),
                Settings(auto_lock=self.world.auto_lock),
                self.medium,
            )
        except PowerCutError:
            self._count_cut("power.boot")
            self._went_dark()
            return
        self.world.laws.booted(self)
        self.feed(Tick())
        self.reconnect_later()

    def power_off(self) -> None:
        """Somebody pulls the plug between two events."""
        self._went_dark()

    def _went_dark(self) -> None:
        self.lock = None
        self.dark += 1
        self.connected = False
        for connection in list(self.connections.values()):
            self.world.agenda.after(1, "the lock is gone", connection.lost)
        self.world.agenda.after(self.dice.between(*DARK_MS), f"{self.name}: power", self.power_on)

    # ---- events and effects

    def feed(self, event: Event, cause: str = "itself") -> None:
        """Let the lock see an event, and carry out what it does."""
        if self.lock is None:
            return
        self.pass_time()
        self.cause = cause
        todo = [event]
        while todo and self.lock is not None:
            try:
                effects = self.lock.step(todo.pop(0), self.clocks.now())
                for effect in effects:
                    todo += self._carry_out(effect)
            except PowerCutError:
                self._count_cut("power.flash")
                self.world.say(f"{self.name}: the power goes")
                self._went_dark()
        self._note_tick()
        self.world.laws.touched(self)

    def _carry_out(self, effect: Effect) -> Sequence[Event]:
        match effect:
            case MoveBolt(to):
                return self._move(to)
            case SenseBolt():
                return [BoltReport(self.door.state)]
            case RadioSend(connection, data):
                if connection in self.connections:
                    self.world.book.of(self).spoke()
                    self.connections[connection].answer(data)
            case RadioClose(connection):
                if connection in self.connections:
                    self.connections[connection].close()
            case Publish(data):
                self.world.book.of(self).spoke()
                if self.connected:
                    self.world.broker.published(self, data)
            case Reboot():
                self._reboot()
            case _:
                pass
        return []

    def _reboot(self) -> None:
        """It starts anew by its own will, as a new image wants it."""
        self.world.say(f"{self.name} reboots")
        self.world.book.of(self).look()  # what it wrote and told in its last step
        self.lock = None  # it has hung up on everybody (`RadioClose`) before
        self.dark += 1
        self.connected = False
        self.world.agenda.after(BOOT_MS, f"{self.name}: boots", self.power_on)

    def _move(self, to: BoltState) -> Sequence[Event]:
        cut = self._cut_now()
        if cut == "before":
            raise PowerCutError
        state = self.door.move(to)
        if not self.door.jammed:
            self.world.laws.moved(self, to)
        if cut == "after":
            raise PowerCutError
        boots = self.boots

        def arrived() -> None:
            if self.boots == boots:
                self.feed(BoltReport(state), "the motor")

        self.world.agenda.after(MOTOR_MS, f"{self.name}: bolt {to.name.lower()}", arrived)
        return []

    def _cut_now(self) -> str:
        if self.cut_move is None:
            return ""
        left, turns = self.cut_move
        if left > 0:
            self.cut_move = (left - 1, turns)
            return ""
        self.cut_move = None
        self.world.weather.struck["power.motor"] += 1
        return "after" if turns else "before"

    def cut_write(self, write: int, share: float) -> None:
        """The power will go at a write of the flash, when that share of its bytes has arrived."""
        self.medium.cut = Cut(write, share)
        self._torn = 0 < share < 1

    def _count_cut(self, kind: str) -> None:
        """Count what the flash was cut by, once; the motor's cut is counted where it strikes."""
        if self._torn is not None and self.medium.cut is None:
            self.world.weather.struck[kind] += 1
            self.world.weather.struck["power.torn"] += self._torn
            self._torn = None

    # ---- time

    def pass_time(self) -> None:
        """Let both oscillators run up to now, each as it likes."""
        now = self.world.agenda.ms
        if now > self._since:
            self.clocks.advance((now - self._since) / 1000)
            self._since = now

    def new_battery(self) -> None:
        """The chip counts again, from nothing."""
        self.clocks.pull_battery(chip=1.0)

    def true_seconds(self) -> float:
        """Unix time that a right clock shows."""
        return T0 + self.world.agenda.ms / 1000

    def _note_tick(self) -> None:
        """Have the lock looked at when it asks for it; while nothing goes on, now and then."""
        if self.lock is None:
            return
        due = self.lock.deadline()
        if due is None:
            return
        now = self.world.agenda.ms
        left = due - self.clocks.now().mono
        at = now + max(round(left / self.clocks.timer_rate), 0) + 1
        if at > self.world.busy_until:
            at = max(at, self.world.busy_until, now + IDLE_MS if now >= self.world.busy_until else 0)
        if self._tick is not None:
            if not self._tick.dead and self._tick_at == at:
                return
            self._tick.cancel()
        self._tick_at = at
        self._tick = self.world.agenda.at(at, f"{self.name}: tick", self._ticked)

    def _ticked(self) -> None:
        self._tick = None
        self.feed(Tick())

    def wake(self) -> None:
        """Something is going on again: look when the lock wants it."""
        self._note_tick()

    # ---- network

    def received(self, payload: bytes, *, retained: bool = False, why: str = "the broker") -> None:
        """Something arrives on the command topic."""
        if self.connected:
            self.feed(BrokerMessage(payload, retained), why)

    def reconnect_later(self) -> None:
        """Come back to the broker after a pause with jitter."""
        if self.online and not self.redials:
            self.world.agenda.after(self.dice.between(300, 4_000), f"{self.name}: connects", self._connect)

    def _connect(self) -> None:
        world = self.world
        if self.connected or self.lock is None or self.id is None or not world.broker.up:
            return
        if world.agenda.ms < self.network_until:
            world.agenda.at(self.network_until, f"{self.name}: network", self._connect)
            return
        self.connected = True
        self.session += 1
        self.feed(BrokerUp())

    def disconnect(self) -> None:
        """The connection to the broker ends."""
        if self.connected:
            self.connected = False
            self.feed(BrokerDown())

    def cut_off(self, session: int) -> None:
        """The connection broke in the middle of a message."""
        if self.connected and self.session == session:
            self.disconnect()
            self.reconnect_later()

    def lose_network(self, ms: int) -> None:
        """No network for a while."""
        self.network_until = self.world.agenda.ms + ms
        self.disconnect()
        self.world.agenda.at(self.network_until, f"{self.name}: network", self._connect)

    # ---- what an inspector with a screwdriver sees

    def entries(self) -> tuple[Entry, ...]:
        """The journal that is in flash."""
        return () if self.lock is None else self.lock.journal.held
