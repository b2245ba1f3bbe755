"""Whoever stands at a door: what opens it, for whom, until when; and that the rightful are let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockserver.protocol.claims import HolderClass
from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from tests.sim.oracle import Opening
    from tests.sim.visits import Visit
    from tests.sim.world import World

#: Whole seconds on the wire, and the motor: what a right's edge may look shifted by.
ROUNDING = 2.0
#: A clock that is further off is not asked to let the rightful in: it may honestly think them early or late.
TRUSTY = 45.0
#: Seconds that somebody has set the chip by, from which on the lock may call it lost.
DOUBTED = 800.0
#: Milliseconds between M2 and M3 up to which a lock listens, with a margin.
IN_TIME_MS = 4_000


def told(opening: Opening) -> str:
    """Who opened what, for a reader."""
    key = opening.key
    who = "nobody that we know" if key is None else key.person
    return f"{opening.lock.name} was opened by {who} ({opening.how}, after {opening.cause})"


@law("L-02", "opening")
def a_recorded_opening_opens_nothing(world: World, opening: Opening) -> None:
    """A recorded exchange, played again in any session at any lock, never moves the bolt."""
    if opening.how == "ble" and opening.intent is None:
        raise broken("L-02", f"{told(opening)}, and no phone of his asked for it")


@law("L-02", "visit")
def a_replay_is_never_granted(world: World, visit: Visit) -> None:
    """Who plays a recorded exchange is told no."""
    if visit.kind == "replay" and visit.outcome == "granted":
        raise broken("L-02", f"a replayed exchange was granted at {visit.lock.name}")


@law("L-04", "opening")
def nobody_enters_outside_his_time(world: World, opening: Opening) -> None:
    """A key opens only inside its window and its holder's right, by the lock's own clock."""
    key = opening.key
    if key is None:
        raise broken("L-04", told(opening))
    slack = world.book.of(opening.lock).error() + ROUNDING
    early, late = opening.at - slack, opening.at + slack
    if not (key.claims.nbf <= late and early < key.claims.exp):
        raise broken(
            "L-04", f"{told(opening)} at {opening.at:.0f}, outside [{key.claims.nbf}, {key.claims.exp})"
        )
    if not world.oracle.may(key.person, opening.lock.name, early, late):
        raise broken("L-04", f"{told(opening)} at {opening.at:.0f}: he has no right there then")


@law("L-05", "opening")
def pooled_material_opens_nothing(world: World, opening: Opening) -> None:
    """What several people hold together opens no door that one of them may not open by himself."""
    key, intent, lock = opening.key, opening.intent, opening.lock
    if key is None or (lock.id is not None and key.lock_id != lock.id.bytes):
        raise broken("L-05", f"{told(opening)} with a key for another door, or none")
    if intent is not None and not intent.own and intent.phone != key.phone:
        raise broken("L-05", f"{told(opening)}: {intent.phone} used it, and it was given to {key.phone}")


@law("L-08", "opening")
def a_revoked_key_dies_at_first_contact(world: World, opening: Opening) -> None:
    """A key taken back opens no more once the lock has met anybody who carries the newer list."""
    key, lock = opening.key, opening.lock
    if key is not None and key.cti in world.oracle.newest.get(lock.name, (0, set()))[1]:
        raise broken("L-08", f"{told(opening)}, though the lock has the list that names this key")


@law("L-08", "opening")
def a_newer_tenancy_kills_the_older_keys(world: World, opening: Opening) -> None:
    """After the first opening of a newer tenancy no key of an older one opens its room."""
    key, lock = opening.key, opening.lock
    if key is None or not key.resident or key.claims.epoch is None:
        return
    highest = world.oracle.turned.get(lock.name, 0)
    if key.claims.epoch < highest:
        raise broken("L-08", f"{told(opening)} with epoch {key.claims.epoch} after {highest}")


@law("L-52", "opening")
def an_occupied_room_is_its_tenants(world: World, opening: Opening) -> None:
    """Owner and staff enter an occupied room only by consent or declared emergency."""
    key, lock = opening.key, opening.lock
    if key is None or key.claims.holder_class not in {HolderClass.OWNER, HolderClass.STAFF}:
        return
    watch = world.book.of(lock)
    slack = watch.error() + ROUNDING
    for home in world.oracle.residents(lock.name, opening.at):
        known = any(
            one.at >= home.lower - slack and one.key is not None and one.key.resident
            for one in world.oracle.openings
            if one.lock is lock
        )
        if (known or watch.told_occupied) and not world.oracle.consents(lock.name, key.person, opening.at):
            raise broken("L-52", f"{told(opening)} while {home.person} lives there")


@law("L-06", "visit")
def a_valid_key_never_meets_a_back_off(world: World, visit: Visit) -> None:
    """However often strangers have failed, a rightful holder with a good key is let in."""
    if visit.outcome not in {"granted", "gone"} and rightful(world, visit):
        raise broken("L-06", f"{visit.phone.name} has every right at {visit.lock.name}: {visit.outcome}")


@law("L-06", "visit")
def guessing_has_a_price(world: World, visit: Visit) -> None:
    """Who fails again and again waits longer for each refusal, also across a loss of power."""
    if visit.kind != "stranger" or visit.outcome != "refused":
        return
    waited = world.agenda.ms - visit.asked
    owed = world.book.of(visit.lock).price(visit)
    if waited < owed:
        raise broken("L-06", f"a stranger was refused at {visit.lock.name} after {waited} ms, not {owed}")


def rightful(world: World, visit: Visit) -> bool:
    """Whether nothing at all speaks against this visit, by the truth. Doubt counts as no."""
    key = (
        None if visit.intent is None or visit.intent.cti is None else world.oracle.keys.get(visit.intent.cti)
    )
    lock = visit.lock
    if (
        key is None
        or not visit.own
        or visit.faulted
        or not visit.plain
        or visit.began < lock.jammed_until + 8_000
    ):
        return False
    watch = world.book.of(lock)
    error = watch.error()
    if (
        watch.lost
        or error > TRUSTY
        or watch.allowed() > DOUBTED
        or world.agenda.ms - visit.began > IN_TIME_MS
        or watch.crowded(visit)
    ):
        return False
    now = world.agenda.seconds
    margin = error + 2 * ROUNDING
    inside = key.claims.nbf + margin <= now and now + margin < key.claims.exp
    right = any(
        one.lives(now) and one.lower + margin <= now
        for one in world.oracle.may(key.person, lock.name, now - 1, now)
    )
    if not inside or not right or visit.phone.lost:
        return False
    if key.claims.schedule is not None or key.cti in world.oracle.lists.get(lock.name, ()):
        return False  # a guest's hours, and his key from before an edit
    if not key.resident:
        return not world.oracle.residents(lock.name, now) and not watch.occupied_by_its_own_word()
    return key.claims.epoch is None or key.claims.epoch >= watch.epoch
