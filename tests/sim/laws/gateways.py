"""Who only carries: it can keep things back, and opens nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from tests.sim.laws.book import broken, law
from tests.sim.laws.doors import told

if TYPE_CHECKING:
    from tests.sim.oracle import Opening
    from tests.sim.world import World


@law("L-19", "opening")
def a_gateways_credential_opens_nothing(world: World, opening: Opening) -> None:
    """What the site gave a gateway to carry with never moves a bolt."""
    if opening.cti is not None and world.store.rows("gateway_credentials", id=UUID(bytes=opening.cti)):
        raise broken("L-19", f"{told(opening)} with a gateway's credential")


@law("L-15", "opening")
def what_a_gateway_held_back_opens_nothing(world: World, opening: Opening) -> None:
    """A command that a gateway kept past its deadline never moves the bolt."""
    until = world.gateways.held.get(opening.command_id or b"")
    if until is not None and opening.at > until.timestamp():
        raise broken("L-15", f"{told(opening)}: a gateway had held it back until after its deadline")
