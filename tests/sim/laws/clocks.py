"""Time at the lock: a floor that never falls, a lost clock that opens nothing, an error that is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.oracle import Opening
    from tests.sim.world import World

#: Seconds by which a clock may be wrong after it was set: the life of a nonce, and rounding.
SET = 606.0
#: Seconds that a clock may stand before a time at which the lock already acted.
SLOW = 900.0


@law("L-11", "lock")
def the_floor_never_falls(world: World, lock: LockActor) -> None:
    """The time floor is written down and never falls, whatever happens to the clock."""
    watch = world.book.of(lock)
    held = None if lock.lock is None else lock.lock.held
    if held is None:
        return
    if held.rtc.floor < watch.floor:
        raise broken("L-11", f"{lock.name}: the floor fell from {watch.floor} to {held.rtc.floor}")
    if held.rtc.floor > world.agenda.seconds + 1:
        raise broken("L-11", f"{lock.name}: the floor {held.rtc.floor} lies in the future")
    watch.floor = held.rtc.floor


@law("L-11", "lock")
def only_a_fresh_statement_sets_the_clock(world: World, lock: LockActor) -> None:
    """Whatever sets the clock leaves it right within the life of the lock's own question."""
    watch = world.book.of(lock)
    believed = watch.believed()
    if believed is None:
        return
    error = abs(believed - world.agenda.seconds)
    if watch.offset_changed():
        if error > max(SET, watch.last_error + 1):
            raise broken("L-11", f"{lock.name}: its clock was set {error:.0f} s wrong")
        watch.set_now(error)
    elif error > watch.allowed() + 2:
        raise broken("L-11", f"{lock.name}: {error:.0f} s wrong, {watch.allowed():.0f} by what befell it")
    watch.last_error = error


@law("L-11", "opening")
def a_lost_clock_opens_nothing(world: World, opening: Opening) -> None:
    """From the loss of its clock until an attested time a lock obeys no key with a window."""
    watch = world.book.of(opening.lock)
    if watch.lost:
        raise broken("L-11", f"{opening.lock.name} opened ({opening.how}) with a lost clock")
    believed = watch.believed()
    if believed is not None and believed < watch.acted - SLOW:
        raise broken(
            "L-11", f"{opening.lock.name} opened at {believed:.0f}, having acted at {watch.acted:.0f}"
        )
    if believed is not None:
        watch.acted = believed
