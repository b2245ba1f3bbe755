"""Whoever pretends to be a lock, bends what is said, has read a lock out, or speaks as another on the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.impostors import Lured
from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from tests.sim.visits import Visit
    from tests.sim.world import World


@law("L-03", "visit")
def nobody_is_named_to_what_is_no_lock(_world: World, visit: Visit) -> None:
    """A phone says who its holder is only where the genuine lock has signed this very exchange."""
    if isinstance(visit, Lured) and visit.named_himself and not visit.connection.genuine:
        raise broken("L-03", f"{visit.phone.name} named its holder to {visit.way} before {visit.lock.name}")
