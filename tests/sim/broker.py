"""The broker between locks and bridge: keeps nothing when honest, and everything when it is not.

It sees sealed boxes and knows whose topic they are on. Its hostile acts are asked for by the plan: to replay
what it saw (to the same lock or another), to hold something back, to let a command come as a retained one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.locks import LockActor
    from tests.sim.world import World

HOP = (1, 6)
KEPT = 60


class Broker:
    """One broker. `spy` keeps what went by: (lock id, payload), commands and reports apart."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.up = True
        self.bridge: Callable[[UUID, bytes, bool], None] | None = None
        """The bridge's subscription, while it is connected."""
        self.commands: list[tuple[UUID, bytes]] = []
        self.reports: list[tuple[UUID, bytes]] = []
        self.holding: list[tuple[int, str, int]] = []
        """Told to be hostile: (until, act, measure) for the next commands."""
        self._free: dict[tuple[UUID, str], int] = {}

    # ---- what honest brokers do

    def down(self, lock_id: UUID, payload: bytes) -> bool:
        """A command from the bridge. False: it certainly left nobody's hands."""
        if not self.up or self.bridge is None:
            return False
        self.commands = [*self.commands[-KEPT:], (lock_id, payload)]
        lock = self.world.lock_of(lock_id)
        if lock is not None and not self._hostile(lock, payload):
            self._carry("down", lock_id, lambda: lock.received(payload), lock)
        return True

    def published(self, lock: LockActor, payload: bytes) -> None:
        """A report from a lock."""
        if not self.up or lock.id is None:
            return
        lock_id = lock.id
        self.reports = [*self.reports[-KEPT:], (lock_id, payload)]
        self._carry("up", lock_id, lambda: self.hand_up(lock_id, payload), lock)

    def hand_up(self, lock_id: UUID, payload: bytes, *, retained: bool = False) -> None:
        """Give the bridge a report, if it listens."""
        if self.up and self.bridge is not None:
            self.bridge(lock_id, payload, retained)

    def restart(self, pause_ms: int) -> None:
        """Everybody is thrown out, everything in flight is lost, and they come back with jitter."""
        self.world.weather.struck["broker.restart"] += 1
        self.up = False
        for lock in self.world.locks:
            lock.disconnect()
        self.world.bridge.broker_gone()
        self.world.agenda.after(pause_ms, "broker starts", self._start)

    def _start(self) -> None:
        self.up = True
        self.world.bridge.broker_back()
        for lock in self.world.locks:
            lock.reconnect_later()

    # ---- what hostile ones do

    def _hostile(self, lock: LockActor, payload: bytes) -> bool:
        """Deal with a command as one was told to; whether it was dealt with."""
        now = self.world.agenda.ms
        self.holding = [one for one in self.holding if one[0] > now]
        if not self.holding:
            return False
        _, act, measure = self.holding[0]
        self.world.weather.struck[f"broker.{act}"] += 1
        if act == "retain":
            self.world.agenda.after(
                measure, "retained", lambda: lock.received(payload, retained=True, why="retained")
            )
        elif act == "hold":
            self.world.agenda.after(measure, "held back", lambda: lock.received(payload, why="held back"))
        elif act == "bend":
            self.world.harm.bend(self.world, lock, payload, measure)
        elif act == "double":
            self.world.agenda.after(
                measure, "a second time", lambda: lock.received(payload, why="a second time")
            )
        return act in {"retain", "hold", "bend"}

    def _carry(self, way: str, lock_id: UUID, deliver: Callable[[], None], lock: LockActor) -> None:
        world = self.world
        now = world.agenda.ms
        at = max(now + world.dice.between(*HOP), self._free.get((lock_id, way), 0))
        epoch = lock.session
        fate = world.weather.fate("mqtt", now)
        mode, dice = fate or ("", world.dice)
        if mode == "drop":
            return
        if mode == "delay":
            at += dice.between(500, 40_000)
        elif mode == "reorder":
            world.agenda.at(at + dice.between(20, 900), f"{way} late", deliver)
            return
        elif mode == "cut":
            world.agenda.at(at, f"{way} cut", lambda: lock.cut_off(epoch))
            return
        self._free[lock_id, way] = at
        world.agenda.at(at, way, deliver)
        if mode == "duplicate":
            world.agenda.at(at + dice.between(1, 5_000), f"{way} again", deliver)


class Bus:
    """The bridge's port `CommandBus`. A crash may come before or after the envelope is out."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def is_open(self) -> bool:
        """Whether a broker is there."""
        return self._world.broker.up and self._world.broker.bridge is not None

    def publish(self, lock_id: bytes, envelope: bytes) -> bool:
        """Hand one over."""
        self._world.machine.effect("publish")
        out = self._world.broker.down(UUID(bytes=lock_id), envelope)
        self._world.machine.effect("published")
        return out

    def publish_gateway(self, gateway_id: bytes, frame: bytes) -> bool:
        """Hand a frame over towards a gateway."""
        self._world.machine.effect("publish")
        out = self._world.gateways.down(gateway_id, frame)
        self._world.machine.effect("published")
        return out
