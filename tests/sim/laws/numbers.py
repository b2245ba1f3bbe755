"""What only rises: versions, lists, epochs, counters; across power cuts and replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.oracle import Opening
    from tests.sim.world import World


@law("L-12", "lock")
def numbers_only_rise(world: World, lock: LockActor) -> None:
    """An older access state, list or key set is refused however well it is signed."""
    held = None if lock.lock is None else lock.lock.held
    if held is None:
        return
    watch = world.book.of(lock)
    now = {
        "state": held.state_version,
        "list": held.list_number,
        "keys": held.trust.key_set.number,
        "epoch": held.epoch,
        "counter": min(watch.spent, held.counter),  # what moved the bolt is spent
    }
    for name, number in now.items():
        if number < watch.numbers.get(name, 0):
            raise broken("L-12", f"{lock.name}: {name} fell from {watch.numbers[name]} to {number}")
    watch.numbers = now


@law("L-09", "opening")
def nothing_revoked_revives(world: World, opening: Opening) -> None:
    """A key that a list has named never opens again, whatever later lists leave out."""
    key = opening.key
    if key is not None and key.cti in world.oracle.lists.get(opening.lock.name, ()):
        raise broken("L-09", f"{opening.lock.name}: a key came back to life that a list had named")
