"""When every lock comes back at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_sim.links.mqtt import WAIT
from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from tests.sim.world import World

#: Milliseconds between the first and the last of those who come back, in most storms of a world.
APART = 5


@law("L-20", "end")
def they_come_back_spread_out(world: World) -> None:
    """Locks that a restart threw out together do not dial together; nor does one of them stay away for long."""
    crowds = [at for at in world.comebacks.values() if len(at) > 1]
    if len(crowds) > 1 and not any(max(at) - min(at) > APART for at in crowds):
        raise broken("L-20", f"all locks dialled at the same moments: {crowds}")
    late = [ms for at in world.comebacks.values() for ms in at if ms > WAIT[1] * 1000]
    if late:
        raise broken("L-20", f"a lock dialled again only {late[0]} ms after it was thrown out")
