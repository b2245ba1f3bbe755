"""What runs in a lock: only what its manufacturer signed, whole, and never what is older."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.world import World


def _judge(world: World, lock: LockActor) -> None:
    if lock.lock is None:
        return
    running, watch = lock.lock._firmware.running, world.book.of(lock)
    if running.counter < watch.firmware:
        raise broken("L-14", f"{lock.name} runs {running.counter}, and ran {watch.firmware} before")
    if running.counter == watch.firmware and running.version != watch.version:
        raise broken("L-14", f"{lock.name} went from {watch.version} to {running.version}, which is no newer")
    watch.firmware, watch.version = running.counter, running.version
    if running.bank is None:
        return
    made = world.made.get((running.counter, running.version))
    if made is None:
        raise broken("L-14", f"{lock.name} runs {running.version}, and its manufacturer never made that")
    if lock.medium.image(running.bank)[: len(made)] != made:
        raise broken("L-14", f"{lock.name} runs {running.version}, and its bank holds something else")


@law("L-14", "lock")
def only_what_was_signed_runs(world: World, lock: LockActor) -> None:
    """An image that is unsigned, older or cut short never runs, and the counter never falls."""
    _judge(world, lock)


@law("L-14", "boot")
def no_power_cut_leaves_half_an_image(world: World, lock: LockActor) -> None:
    """Whatever the power did meanwhile: the old image runs or the new one, whole."""
    _judge(world, lock)
