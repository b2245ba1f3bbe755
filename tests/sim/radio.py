"""BLE between one phone and one lock: real framing, an ATT stream that the weather may break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from firmware_sim.core.events import RadioBroken, RadioConnected, RadioGone, RadioMessage
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.framing import Fragmenter, Reassembler

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.world import World

MTU = 185
#: Milliseconds of one message in the air.
AIR = (3, 12)


class Caller(Protocol):
    """Who holds the other end of a connection."""

    def heard(self, message: bytes) -> None:
        """The lock has said something."""

    def hung_up(self) -> None:
        """The connection has ended; nobody says why."""


class Connection:
    """One connection. `faulted`: the weather has touched it, so whatever comes of it is excused."""

    def __init__(self, world: World, lock: LockActor, caller: Caller, number: int) -> None:
        self.world = world
        self.lock = lock
        self.caller = caller
        self.number = number
        self.alive = True
        self.faulted = False
        self._in = Reassembler()
        self._out = Reassembler()
        self._fragmenter = Fragmenter(MTU)
        self._free_in = 0
        self._free_out = 0
        lock.connections[number] = self
        lock.feed(RadioConnected(number))

    # ---- phone to lock

    def say(self, message: bytes) -> None:
        """Send a whole message to the lock."""
        self._free_in = self._send(message, self._free_in, self._to_lock, "phone to lock")

    def hang_up(self) -> None:
        """The phone goes away."""
        if self.alive:
            self.alive = False
            self.lock.connections.pop(self.number, None)
            self.lock.feed(RadioGone(self.number))

    def _to_lock(self, fragments: list[bytes]) -> None:
        if not self.alive or self.lock.lock is None:
            return
        try:
            for fragment in fragments:
                for message in self._in.push(fragment):
                    self.lock.feed(RadioMessage(self.number, message))
        except RemoteError:
            self.lock.feed(RadioBroken(self.number))

    # ---- lock to phone

    def answer(self, message: bytes) -> None:
        """Send a whole message to the phone."""
        self._free_out = self._send(message, self._free_out, self._to_phone, "lock to phone")

    def close(self) -> None:
        """The lock hangs up, after what it has said."""
        at = max(self._free_out, self.world.agenda.ms) + 1
        self.world.agenda.at(at, "lock hangs up", self.lost)

    def lost(self) -> None:
        """It is over for both."""
        if self.alive:
            self.alive = False
            self.lock.connections.pop(self.number, None)
            self.lock.feed(RadioGone(self.number))
            self.caller.hung_up()

    def _to_phone(self, fragments: list[bytes]) -> None:
        if not self.alive:
            return
        try:
            for fragment in fragments:
                for message in self._out.push(fragment):
                    self.caller.heard(message)
        except RemoteError:
            self.hang_up()
            self.caller.hung_up()

    # ---- the air

    def _send(self, message: bytes, free: int, deliver: object, what: str) -> int:
        """Put a message on the air; returns when the air is free again in this direction."""
        world = self.world
        fragments = self._fragmenter.split(message)
        at = max(world.agenda.ms + world.dice.between(*AIR), free)
        fate = world.weather.fate("ble", world.agenda.ms)
        assert callable(deliver)
        if fate is None:
            world.agenda.at(at, what, lambda: deliver(fragments))
            return at
        self.faulted = True
        mode, dice = fate
        if mode == "drop":
            del fragments[dice.below(len(fragments))]
        elif mode == "duplicate":
            one = dice.below(len(fragments))
            fragments.insert(one, fragments[one])
        elif mode == "reorder":
            if len(fragments) > 1:
                one = dice.below(len(fragments) - 1)
                fragments[one : one + 2] = fragments[one + 1], fragments[one]
            else:
                at += dice.between(20, 400)  # what is said next arrives first
                world.agenda.at(at, what, lambda: deliver(fragments))
                return free
        elif mode == "delay":
            at += dice.between(200, 9_000)
        else:
            fragments = fragments[: dice.below(len(fragments))]
            world.agenda.at(at + 1, "the link breaks", self.lost)
        world.agenda.at(at, f"{what}, {mode}", lambda: deliver(fragments))
        return at
