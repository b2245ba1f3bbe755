"""Whoever pretends to be a lock, bends what is said, has read a lock out, or speaks as another on the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.benders import BENT, Bent
from tests.sim.impostors import Lured
from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from tests.sim.oracle import Opening
    from tests.sim.visits import Visit
    from tests.sim.world import World


@law("L-03", "visit")
def nobody_is_named_to_what_is_no_lock(_world: World, visit: Visit) -> None:
    """A phone says who its holder is only where the genuine lock has signed this very exchange."""
    if isinstance(visit, Lured) and visit.named_himself and not visit.connection.genuine:
        raise broken("L-03", f"{visit.phone.name} named its holder to {visit.way} before {visit.lock.name}")


@law("L-07", "opening")
def no_bolt_moves_for_what_is_bent(_world: World, opening: Opening) -> None:
    """A message of another version, length or encoding, or with a field nobody knows, never moves a bolt."""
    if opening.cause == BENT:
        raise broken("L-07", f"{opening.lock.name} was opened by a bent command")


@law("L-07", "visit")
def what_is_bent_is_refused_closed(_world: World, visit: Visit) -> None:
    """To what is bent the lock says nothing but that it is refused."""
    if not isinstance(visit, Bent) or visit.way == "straight":
        return
    if visit.outcome not in {"refused", "gone", "fake"}:
        raise broken(
            "L-07", f"{visit.lock.name} answered `{visit.outcome}` to {visit.phone.name}: {visit.way}"
        )


@law("L-18", "commit")
def at_the_broker_a_lock_is_itself(world: World) -> None:
    """No lock speaks as another at the broker, hears another's commands, or takes another's connection."""
    harm = world.harm
    for got in (*harm.accepted, *harm.overheard, *harm.robbed):
        raise broken("L-18", got)
