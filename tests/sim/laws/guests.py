"""Those who were let in by somebody who lives there: never further than he signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockserver.domain.grant import verbs_of
from tests.sim.agenda import T0
from tests.sim.guests import ALWAYS, Given, Span
from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.sim.oracle import Opening
    from tests.sim.world import World

#: Whole seconds on the wire, and the motor.
ROUNDING = 2.0
#: The house's wall clock is eight hours ahead of UTC; the first of January 1970 was a Thursday.
EAST, THURSDAY = 8 * 3600, 3 * 86_400
WEEK = 7 * 86_400


@law("L-46", "commit")
def an_edit_never_widens(world: World) -> None:
    """What stands written about a guest reaches no further than was signed for, with the word where it widens."""
    for given in world.given:
        door_id, holder_id = world.door(given.door).door_id, given.guest.holder_id
        for row in world.store.tables["grants"].rows.values():
            if row["holder_id"] != holder_id or row["door_id"] != door_id or row["state"] == "revoked":
                continue
            span = _span(row)
            if span is None or not span.within(given.bound):
                raise broken(
                    "L-46", f"{given.guest.name} at {given.door} was given {given.bound}, now {span}"
                )
            if given.state == "frozen" and row["state"] == "active" and not given.doubtful:
                raise broken("L-46", f"{given.guest.name}'s way in at {given.door} thawed by itself")
            if given.state == "revoked":
                raise broken("L-46", f"{given.guest.name}'s way in at {given.door} came back")


@law("L-46", "opening")
def a_guest_comes_as_it_was_signed(world: World, opening: Opening) -> None:
    """A guest opens only in a window and at hours that one of his giver's wishes named."""
    key = opening.key
    mine = [
        one
        for one in world.given
        if key is not None and one.guest.name == key.person and one.door == opening.lock.name
    ]
    if not mine:
        return
    slack = world.book.of(opening.lock).error() + ROUNDING
    early, late = opening.at - slack, opening.at + slack
    if not any(_allows(one, early, late) for one in mine):
        raise broken("L-46", f"{mine[0].guest.name} entered {opening.lock.name} at {opening.at:.0f}")


@law("L-46", "end")
def nobody_was_told_that_it_widened(world: World) -> None:
    """An edit that reaches further and does not say so is refused; no key was cut wider than was signed."""
    if world.widened:
        raise broken("L-46", world.widened[0])
    for given in world.given:
        lock_id = world.door(given.door).id
        for key in world.oracle.keys.values():
            if key.person != given.guest.name or lock_id is None or key.lock_id != lock_id.bytes:
                continue
            claims, ever = key.claims, given.ever
            lower, upper = T0 + ever.lower / 1000, T0 + ever.upper / 1000
            hours = ALWAYS if claims.schedule is None else _hours(claims.schedule.windows)
            if claims.nbf < lower - ROUNDING or claims.exp > upper + ROUNDING or not hours <= ever.hours:
                raise broken("L-46", f"{given.guest.name} holds a key for more than was signed for: {claims}")


def _span(row: Mapping[str, Any]) -> Span | None:
    """What a row gives; None: it has no end."""
    if row["upper"] is None:
        return None
    lower, upper = (round((row[name].timestamp() - T0) * 1000) for name in ("lower", "upper"))
    schedule = row["schedule"]
    hours = ALWAYS if schedule is None else _hours(schedule["windows"])
    return Span(lower, upper, frozenset(verbs_of(row["capabilities"])), hours)


def _hours(windows: Iterable[Iterable[int]]) -> frozenset[int]:
    """The hours of the week that windows in minutes touch."""
    return frozenset(
        minute // 60 for begins, ends in (tuple(one) for one in windows) for minute in range(begins, ends, 60)
    )


def _allows(given: Given, early: float, late: float) -> bool:
    """Whether some instant of a span lies in what was ever signed."""
    ever = given.ever
    if late < T0 + ever.lower / 1000 or T0 + ever.upper / 1000 <= early:
        return False
    first, last = (int(at + EAST + THURSDAY) // 3600 for at in (early, late))
    return last - first >= WEEK // 3600 or any(
        hour % (7 * 24) in ever.hours for hour in range(first, last + 1)
    )
