"""A broker that restarts while people wish from afar, and every lock that dials again at once.

The pause before a dial is the link's own (`LightMqttLink._again`): drawn by its code, from the world's dice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from firmware_sim.links import mqtt_light
from firmware_sim.links.mqtt import WAIT
from firmware_sim.links.mqtt_light import LightMqttLink
from tests.sim.plan import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.chance import Chance
    from tests.sim.locks import LockActor
    from tests.sim.plan import Item
    from tests.sim.world import World


class Redial:
    """One lock's link after it was thrown out: what `LightMqttLink._again` needs of one."""

    def __init__(self, world: World, lock: LockActor) -> None:
        self._world, self._lock, self._dice = world, lock, lock.dice.of("redial", world.storms)
        self._alive, self._cut, self._wait = True, False, WAIT[0]
        self._began = world.agenda.ms
        self.again()

    def again(self) -> None:
        """Wait as the link waits, then dial."""
        with patch.object(mqtt_light, "random", _Dice(self._dice)):
            LightMqttLink._again(cast("LightMqttLink", self))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._world.agenda.after(round(seconds * 1000), f"{self._lock.name}: dials", act)

    def _dial(self) -> None:
        world, lock = self._world, self._lock
        if lock.connected or lock.lock is None:
            return
        if not world.broker.up:
            self.again()
            return
        world.comebacks.setdefault(world.storms, []).append(world.agenda.ms - self._began)
        lock._connect()


class _Dice:
    """The one function of `random` that the link uses."""

    def __init__(self, dice: Chance) -> None:
        self._dice = dice

    def uniform(self, least: float, most: float) -> float:
        """A number between two."""
        return least + (most - least) * self._dice.share()


def storm(world: World, item: Item) -> None:
    """The broker restarts while wishes are under way; whoever was connected dials again."""
    from tests.sim import acts

    dice = world.dice.of("item", item.number)
    thrown_out = [one for one in world.locks if one.connected]
    for _ in range(2):
        acts.remote(world, item)
    pause = dice.between(200, 8 * SECOND)

    def strike() -> None:
        if not world.broker.up:
            return
        world.storms += 1
        world.say(f"storm {world.storms}: the broker restarts")
        for lock in thrown_out:
            lock.redials = True
        world.broker.restart(pause)
        for lock in thrown_out:
            Redial(world, lock)
        world.agenda.after(pause + 1, "calm", lambda: _calm(thrown_out))

    world.agenda.after(dice.between(20, 400), "storm", strike)


def _calm(locks: list[LockActor]) -> None:
    for lock in locks:
        lock.redials = False


STORMS: dict[str, Any] = {"storm": storm}
