"""The lock's own story: complete, chained, the same at the server, and kept when it is flooded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_sim.core import ring
from lockserver.protocol.journal import What, entry_hash
from tests.sim.laws.book import broken, law

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.world import World

#: What accounts for a movement of the bolt by somebody's hand.
MOVES = frozenset({What.UNLOCKED, What.HELD_OPEN, What.TORN, What.JAMMED})


@law("L-10", "lock")
def every_movement_is_written_or_torn(world: World, lock: LockActor) -> None:
    """The journal has each opening, or says `torn`; at most the one under way is not yet written."""
    watch = world.book.of(lock)
    if lock.lock is None:
        return
    owed = watch.openings - watch.accounted
    if owed > (1 if watch.moving() else 0):
        raise broken("L-10", f"{lock.name}: {watch.openings} openings, {watch.accounted} in the journal")


@law("L-10", "boot")
def a_lock_boots_unknown_and_moves_nothing(world: World, lock: LockActor) -> None:
    """After a power cut the lock knows nothing of its bolt until it has looked, and moves nothing."""
    assert lock.lock is not None
    if lock.lock.bolt.name != "UNKNOWN":
        raise broken("L-10", f"{lock.name} boots and believes its bolt {lock.lock.bolt.name}")


@law("L-53", "lock")
def a_flood_costs_no_opening(world: World, lock: LockActor) -> None:
    """However it is flooded, the newest `RESERVED` entries that are no denials stay until the server has them."""
    watch = world.book.of(lock)
    if lock.lock is None:
        return
    for entry in watch.pushed_out:
        if entry.what is not What.DENIED and watch.others_held() < ring.RESERVED:
            raise broken(
                "L-53", f"{lock.name}: entry {entry.number} ({entry.what.name}) made way for denials"
            )
    watch.pushed_out.clear()


@law("L-21", "commit")
def the_kept_journal_is_what_the_lock_wrote(world: World) -> None:
    """Every kept entry is the lock's own, once, and joins its neighbour: no fork is ever kept."""
    for row in world.book.new_lines():
        lock = world.by_id[row["lock_id"]]
        truth = world.book.of(lock).written.get(row["number"])
        if truth is None or entry_hash(truth) != row["hash"]:
            raise broken("L-21", f"{lock.name}: entry {row['number']} is kept otherwise than it was written")


@law("L-21", "end")
def the_journal_is_whole_or_names_its_gap(world: World) -> None:
    """After recovery the server has every entry that the lock still had, or says where one is missing."""
    gaps = {row["object_"] for row in world.store.rows("audit_log") if row["verb"] == "journal_gap"}
    for lock in world.locks:
        watch = world.book.of(lock)
        kept = {row["number"] for row in world.store.rows("journal", lock_id=lock.id)}
        missing = [number for number in range(1, watch.delivered_head + 1) if number not in kept]
        if missing and f"lock:{lock.id}" not in gaps:
            raise broken("L-21", f"{lock.name}: {missing[:5]} are missing and no gap is named")
        # what a small ring wrote and pushed out within one step nobody ever saw: its gap is named above
        lost = [number for number in missing if number in watch.written and number not in watch.evicted]
        if lost:
            raise broken("L-17", f"{lock.name}: journal entries {lost[:5]} are lost")
        owed = {number for number in watch.written if number > watch.delivered_head} - watch.evicted
        if not owed <= {entry.number for entry in lock.entries()}:
            raise broken("L-21", f"{lock.name}: entries after {watch.delivered_head} are nowhere")
