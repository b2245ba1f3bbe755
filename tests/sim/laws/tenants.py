"""The people who live there: nothing takes their way in, and nothing widens by accident."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.sim.agenda import instant
from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from lockserver.app.read_lock import Known
    from tests.sim.locks import LockActor
    from tests.sim.world import World

#: How long a lock's word may be under way through a hostile broker, and the rounding of what a phone carried.
TRANSIT = timedelta(seconds=130)
ROUNDING = timedelta(seconds=61)
#: The same where nothing has touched broker, machines or clocks.
PROMPT = timedelta(seconds=2)
DETOURS = ("mqtt.", "broker.", "crash.", "clock.")


@law("L-45", "commit")
def no_living_tenant_is_locked_out_by_a_row(world: World) -> None:
    """A lease ends by its window or by every adult who lives there; until then his grants live."""
    now = world.agenda.now()
    for row in world.store.rows("tenancies"):
        wished = world.ended_by_all.get(row["id"])
        if row["state"] == "ended" and row["upper"] > (row["ended_at"] or now) and wished is None:
            raise broken("L-45", f"the lease {row['id']} was ended, and not by everybody who lives there")
        if row["state"] != "signed" or not row["lower"] <= now < row["upper"]:
            continue
        for grant in world.store.rows("grants", tenancy_id=row["id"]):
            if grant["class_"] == "tenant" and grant["state"] != "active":
                raise broken("L-45", f"a living tenant's grant is {grant['state']}")


@law("L-54", "end")
def every_living_tenant_gets_in(world: World) -> None:
    """Once phones and server are awake again, everybody who lives there opens his door."""
    for person, door in world.shut_out:
        raise broken("L-54", f"{person} lives behind {door} and stands outside")


@law("L-08", "end")
def former_holders_stay_outside(world: World) -> None:
    """When all has converged, nothing that was taken back or has ended opens anything."""
    for person, door in world.let_in:
        raise broken("L-08", f"{person} has no right at {door} any more and was let in")


@law("L-15", "end")
def what_locks_should_hold_they_hold(world: World) -> None:
    """Every lock has converged to the newest list and state that the server has for it."""
    for lock in world.locks:
        held = None if lock.lock is None else lock.lock.held
        if held is None:
            raise broken("L-15", f"{lock.name} has no power, or no memory")
        for row in newest(world, lock):
            if row["created_at"] > world.walked[lock.name]:
                continue  # it is younger than what the last phone could bring
            number = {"state": held.state_version, "revocation": held.list_number}.get(row["kind"])
            if number is not None and number < row["number"]:
                raise broken("L-15", f"{lock.name} holds {row['kind']} {number}, not {row['number']}")


def newest(world: World, lock: LockActor) -> list[dict[str, Any]]:
    """The newest document of each kind that the server has for a lock."""
    best: dict[str, dict[str, Any]] = {}
    for row in world.store.rows("lock_documents", lock_id=lock.id):
        if row["number"] >= best.get(row["kind"], row)["number"]:
            best[row["kind"]] = row
    return list(best.values())


@law("L-50", "known")
def unknown_is_unknown(world: World, lock: LockActor, known: Known) -> None:
    """What is shown of a lock is what it said, with when; one that never spoke is unknown."""
    said = known.status
    if said.last_seen_at is None and (said.bolt != "unknown" or said.battery is not None):
        raise broken("L-50", f"{lock.name} never spoke and is shown as {said.bolt}")
    if said.bolt == "unknown" or said.bolt_at is None:
        return
    straight = lock.online and not any(kind.startswith(DETOURS) for kind in world.weather.struck)
    early, late = (PROMPT, PROMPT) if straight else (TRANSIT, ROUNDING)
    around = [
        bolt
        for ms, bolt in world.book.of(lock).said
        if said.bolt_at - early <= instant(ms) <= said.bolt_at + late
    ]
    if said.bolt not in around:
        raise broken("L-50", f"{lock.name} is shown as {said.bolt} at {said.bolt_at}; it said {around}")
