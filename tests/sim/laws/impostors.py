"""Whoever pretends to be a lock, bends what is said, has read a lock out, or speaks as another on the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.benders import BENT, Bent
from tests.sim.impostors import Lured
from tests.sim.laws.book import broken, law
from tests.sim.spilled import SPILLED

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
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


@law("L-13", "lock")
def what_one_lock_held_moves_no_other(world: World, lock: LockActor) -> None:
    """No motor turns for a key that was made with what was in another lock's flash."""
    if world.harm.minted and lock.lock is not None:
        act = lock.lock._acts._moving
        if act is not None and act.subject in world.harm.minted:
            raise broken("L-13", f"{lock.name} turns for a key minted with another lock's")


@law("L-13", "visit")
def a_minted_key_is_refused(_world: World, visit: Visit) -> None:
    """A key that was signed with a lock's key is none."""
    if visit.kind == SPILLED and visit.outcome not in {"refused", "gone", "fake"}:
        raise broken(
            "L-13", f"{visit.lock.name} answered `{visit.outcome}` to a key minted with another lock's"
        )


@law("L-13", "commit")
def a_lock_read_out_is_one_lock_lost(world: World) -> None:
    """Who has read out one lock neither speaks nor hears for another, and the site keeps no key of his making."""
    harm, store = world.harm, world.store
    for got in harm.spilled:
        raise broken("L-13", got)
    if harm.forged and any((one["lock_id"], one["boot"]) in harm.forged for one in store.rows("lock_status")):
        raise broken("L-13", "the site believes a report that another lock's key has signed")
    if harm.minted and any(one["id"].bytes in harm.minted for one in store.rows("credentials")):
        raise broken("L-13", "the site keeps a key that nobody issued")
