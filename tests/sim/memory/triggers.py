"""The migration's trigger functions, by the names they have there.

`BEFORE` ones judge one row that is written; those at the commit judge a tenancy as a whole (L-23).
Each raises `IntegrityRefusedError` with the rule that PostgreSQL's trigger names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lockserver.domain.command import LEGAL_STEPS, NEEDS_EVIDENCE
from lockserver.domain.errors import IntegrityRefusedError
from tests.sim.memory.conditions import Condition

if TYPE_CHECKING:
    from tests.sim.memory.transaction import Transaction

Row = Mapping[str, Any]
Judge = Callable[["Transaction", Row | None, Row, tuple[str, ...]], None]
"""(who writes, row before or None, row after, the trigger's arguments)."""

SEES_NO_PROOF: Final = frozenset({"api", "bridge", "relay", "jobs"})
"""Roles that make no phone active (L-38)."""


@dataclass(frozen=True)
class Trigger:
    """A function with its arguments, before each written row."""

    name: str
    judge: Judge
    args: tuple[str, ...]
    events: frozenset[str]
    when: Condition | None = None

    def judges(self, work: Transaction, before: Row | None, after: Row) -> None:
        """Raise IntegrityRefusedError where the row may not be written."""
        if ("INSERT" if before is None else "UPDATE") not in self.events:
            return
        if self.when is None or self.when(after) is True:
            self.judge(work, before, after, self.args)


def refuse(rule: str) -> IntegrityRefusedError:
    """Return the refusal that names a rule."""
    return IntegrityRefusedError(rule=rule)


def _differs(before: Row, after: Row, *names: str) -> bool:
    return any(before[name] != after[name] for name in names)


def _keeps(_work: Transaction, before: Row | None, after: Row, args: tuple[str, ...]) -> None:
    if before is not None and _differs(before, after, *args):
        raise refuse("keeps")


def _tenancy_ends_once(_work: Transaction, before: Row | None, after: Row, _args: tuple[str, ...]) -> None:
    if before is None:
        return
    if before["state"] == "ended" and dict(before) != dict(after):
        raise refuse("tenancy_ends_once")
    if _differs(before, after, "door_id", "epoch", "lower", "signed_by"):
        raise refuse("tenancy_keeps")


def _epoch_rises(_work: Transaction, before: Row | None, after: Row, _args: tuple[str, ...]) -> None:
    if before is None:
        return
    was, now = before["epoch"], after["epoch"]
    if (was is None) != (now is None) or (was is not None and now < was):
        raise refuse("epoch_rises")


def _counter_rises(_work: Transaction, before: Row | None, after: Row, _args: tuple[str, ...]) -> None:
    if before is None or after["command_counter"] is None:
        return
    if after["command_counter"] < before["command_counter"]:
        raise refuse("counter_rises")


ASKED: Final = (
    "id",
    "lock_id",
    "holder_id",
    "grant_id",
    "credential_id",
    "wish_id",
    "kind",
    "counter",
    "not_after",
)
SAID: Final = ("code", "sent_at", "settled_at", "evidence")


def _command_steps(_work: Transaction, before: Row | None, after: Row, _args: tuple[str, ...]) -> None:
    if before is None:
        if after["state"] not in (None, "queued"):
            raise refuse("command_steps")
        return
    if _differs(before, after, *ASKED):
        raise refuse("command_keeps")
    step = (before["state"], after["state"])
    if step[0] == step[1]:
        if _differs(before, after, *SAID):
            raise refuse("command_steps")
        return
    if after["state"] is None and before["state"] in ("queued", "sent", "unknown"):
        return  # whether NULL is a step is unknown; NOT NULL speaks next
    if step not in LEGAL_STEPS:
        raise refuse("command_steps")
    if step in NEEDS_EVIDENCE and after["evidence"] is None:
        raise refuse("law_22")


def _phone_proof(work: Transaction, before: Row | None, after: Row, _args: tuple[str, ...]) -> None:
    if work.role in SEES_NO_PROOF:
        becomes_active = after["state"] == "active" and (before is None or before["state"] != "active")
        if becomes_active or after["proved_by"] != (None if before is None else before["proved_by"]):
            raise refuse("phone_proof")
    if before is None:
        return
    revived = before["state"] == "revoked" and after["state"] not in (None, "revoked")
    if revived or _differs(before, after, "sign_pub", "ecdh_pub", "holder_id", "session_id"):
        raise refuse("phone_keeps")


def _wish_by_a_living_phone(
    work: Transaction, _before: Row | None, after: Row, _args: tuple[str, ...]
) -> None:
    phone = work.row("phones", after["phone_id"])
    if phone is None or phone["holder_id"] != after["holder_id"] or phone["state"] != "active":
        raise refuse("wish_by_a_living_phone")


def _stays_ended(_work: Transaction, before: Row | None, after: Row, args: tuple[str, ...]) -> None:
    if before is not None and before[args[0]] is not None and _differs(before, after, args[0]):
        raise refuse("stays_ended")


SLOT_STEPS: Final = frozenset(
    {
        ("setting", "set"),
        ("setting", "removing"),
        ("set", "removing"),
        ("removing", "unset"),
        ("removing", "setting"),
        ("unset", "setting"),
    }
)


def _slot_steps(work: Transaction, before: Row | None, after: Row, _args: tuple[str, ...]) -> None:
    if before is None:
        return
    if _differs(before, after, "lock_id", "kind", "purpose", "verifier"):
        raise refuse("slot_keeps")
    if after["state"] in (None, before["state"]):
        return
    if (before["state"], after["state"]) not in SLOT_STEPS:
        raise refuse("slot_steps")
    if after["state"] in ("set", "unset"):
        said = work.row("lock_status", after["lock_id"])
        number = None if said is None else said["state_number"]
        if number is None or before["wanted_version"] is None or number < before["wanted_version"]:
            raise refuse("slot_said_by_lock")


def _slot_begins(_work: Transaction, _before: Row | None, after: Row, _args: tuple[str, ...]) -> None:
    if after["state"] not in (None, "setting"):
        raise refuse("slot_begins")


class OnlyAddedError(Exception):
    """What is written in this table stays written. PostgreSQL's word for it is no law's, but a privilege's."""


def _only_added(_work: Transaction, before: Row | None, _after: Row, _args: tuple[str, ...]) -> None:
    if before is not None:
        raise OnlyAddedError("only_added")


BEFORE: Final[dict[str, Judge]] = {
    "keeps": _keeps,
    "tenancy_ends_once": _tenancy_ends_once,
    "epoch_rises": _epoch_rises,
    "counter_rises": _counter_rises,
    "command_steps": _command_steps,
    "phone_proof": _phone_proof,
    "wish_by_a_living_phone": _wish_by_a_living_phone,
    "stays_ended": _stays_ended,
    "slot_steps": _slot_steps,
    "slot_begins": _slot_begins,
    "only_added": _only_added,
}


def one_living(one: Row, other: Row) -> bool:
    """Tell whether two leases may stand beside each other: one living tenancy a room at any instant."""
    if one["door_id"] != other["door_id"] or one["state"] != "signed" or other["state"] != "signed":
        return True
    apart: bool = one["upper"] <= other["lower"] or other["upper"] <= one["lower"]
    return apart


APART: Final[dict[str, Callable[[Row, Row], bool]]] = {"tenancies_one_living_excl": one_living}


async def _law_23(work: Transaction, tenancy: UUID) -> None:
    """Judge one tenancy as `law_23_judge` does: two that change it are judged one after the other."""
    if work.row("tenancies", tenancy) is None:
        return
    await work.hold("tenancies", tenancy)
    lease = work.row("tenancies", tenancy)
    assert lease is not None
    room = work.row("doors", lease["door_id"])
    if room is None or room["kind"] != "room":
        raise refuse("law_23_room")
    if lease["epoch"] > room["epoch"]:
        raise refuse("law_23_epoch")
    people = {one["holder_id"]: one for one in work.rows("occupants", tenancy_id=tenancy)}
    if not people:
        raise refuse("law_23_occupants")
    if len(people) > room["capacity"]:
        raise refuse("law_23_capacity")
    duties = work.rows("duties", tenancy_id=tenancy)
    owed = {(duty["holder_id"], duty["kind"]) for duty in duties}
    if any((holder, "arrival") not in owed for holder in people):
        raise refuse("law_23_arrival")
    if any(duty["holder_id"] not in people for duty in duties):
        raise refuse("law_23_stranger")
    for one in people.values():
        guardian = people.get(one["guardian_holder_id"])
        if one["is_minor"] and (guardian is None or guardian["is_minor"]):
            raise refuse("law_23_guardian")
    if lease["state"] == "signed":
        if any(kind == "departure" for _, kind in owed):
            raise refuse("law_23_early_departure")
        return
    filed = {
        one["holder_id"]
        for one in work.rows("registrations", tenancy_id=tenancy)
        if one["state"] != "withdrawn"
    }
    if any(holder in filed and (holder, "departure") not in owed for holder in people):
        raise refuse("law_23_departure")


async def _law_52(work: Transaction, entry_id: UUID) -> None:
    """Judge that everybody who lives behind a door was told who else may come through it."""
    entry = work.row("entries", entry_id)
    if entry is None:
        return
    told = {notice["holder_id"] for notice in work.rows("notices", about=entry_id)}
    people = {one["holder_id"] for one in work.rows("occupants", tenancy_id=entry["tenancy_id"])}
    if people - {entry["given_by"]} - told:
        raise refuse("law_52")


def _tenancy_of(table: str, row: Row) -> UUID:
    tenancy: UUID = row["id" if table == "tenancies" else "tenancy_id"]
    return tenancy


def _itself(_table: str, row: Row) -> UUID:
    own: UUID = row["id"]
    return own


AT_COMMIT: Final[
    dict[str, tuple[Callable[[str, Row], UUID], Callable[[Transaction, UUID], Awaitable[None]]]]
] = {"law_23": (_tenancy_of, _law_23), "law_52": (_itself, _law_52)}
"""Function → (what of a written row is judged, how)."""
