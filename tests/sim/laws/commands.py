"""Remote commands: never late, never twice, never without the holder; and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockserver.domain.command import LEGAL_STEPS, Command
from tests.sim.laws.book import broken, law
from tests.sim.laws.doors import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sim.oracle import Opening
    from tests.sim.world import World


@law("L-15", "opening")
def no_late_unlock(world: World, opening: Opening) -> None:
    """However long a command was under way, the bolt never moves for it after its deadline."""
    if opening.how != "remote" or opening.intent is None:
        return
    if opening.at > opening.intent.not_after:
        late = opening.at - opening.intent.not_after
        raise broken("L-15", f"{told(opening)}, {late:.1f} s after the wish had ended")


@law("L-16", "opening")
def one_movement_a_command(world: World, opening: Opening) -> None:
    """One movement for each command and each wish, however often and in whatever order they come."""
    if opening.how != "remote":
        return
    before = [one for one in world.oracle.openings[:-1] if one.how == "remote" and one.lock is opening.lock]
    if any(one.command_id == opening.command_id for one in before):
        raise broken("L-16", f"{told(opening)}: that command had moved it before")
    intent = opening.intent
    if intent is not None and intent.used > 1:
        raise broken("L-16", f"{told(opening)}: that wish had moved it before")


@law("L-16", "opening")
def nothing_retained_is_obeyed(world: World, opening: Opening) -> None:
    """What the broker had kept from before is never obeyed."""
    if opening.cause == "retained":
        raise broken("L-16", told(opening))


@law("L-19", "opening")
def no_door_opens_without_its_holders_wish(world: World, opening: Opening) -> None:
    """Neither broker nor stolen session opens a door: it takes the holder's own signature, for this door."""
    if opening.how == "remote" and opening.intent is None:
        raise broken("L-19", f"{told(opening)}, and no phone of his wished it")


@law("L-17", "commit")
def commands_take_legal_steps(world: World) -> None:
    """A command goes only forward, and only `unknown` may still change, once."""
    for before, after in world.book.steps():
        if before is None:
            continue
        if (before, after) not in LEGAL_STEPS:
            raise broken("L-17", f"a command went from {before} to {after}")


@law("L-17", "end")
def every_command_is_settled(world: World) -> None:
    """Whatever died at whatever step: done, refused, expired or unknown."""
    for row in world.store.rows("commands"):
        if row["state"] in {"queued", "sent"}:
            raise broken("L-17", f"command {row['id']} is still {row['state']}")


@law("L-22", "commit")
def done_means_that_it_moved(world: World) -> None:
    """`done` stands only on the lock's own signed word, and the bolt did move."""
    for row in world.book.newly("done"):
        if row["evidence"] is None:
            raise broken("L-22", f"command {row['id']} is done without evidence")
        if not _moved(world, row):
            raise broken("L-22", f"command {row['id']} is done, and the bolt never moved for it")


@law("L-22", "commit")
def refused_means_that_it_did_not(world: World) -> None:
    """What is called refused or expired never moved the bolt."""
    for state in ("refused", "expired"):
        for row in world.book.newly(state):
            if _moved(world, row) and row["code"] != "jammed":
                raise broken("L-22", f"command {row['id']} is {state}, and the bolt moved for it")


@law("L-22", "shown")
def nobody_is_shown_more_than_is_known(world: World, command: Command) -> None:
    """What a person is shown is what the lock said, never what is hoped."""
    if command.state == "done" and not _moved(world, {"id": command.id, "lock_id": command.lock_id}):
        raise broken("L-22", f"command {command.id} was shown as done, and the bolt never moved")


def _moved(world: World, row: Mapping[str, Any]) -> bool:
    return any(one.command_id == row["id"].bytes for one in world.oracle.openings)
