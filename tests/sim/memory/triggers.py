"""The migration's trigger functions, by the names they have there.

`BEFORE` ones judge one row that is written; those at the commit judge a tenancy as a whole (L-23).
Each raises `IntegrityRefusedError` with the rule that PostgreSQL's trigger names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lockserver.domain.command import LEGAL_STEPS, NEEDS_EVIDENCE
from lockserver.domain.errors import IntegrityRefusedError

if TYPE_CHECKING:
    from tests.sim.memory.transaction import Transaction

Row = Mapping[str, Any]
Judge = Callable[[Row | None, Row, tuple[str, ...], str], None]
"""(row before or None, row after, the trigger's arguments, the role that writes)."""

SEES_NO_PROOF: Final = frozenset({"api", "bridge", "relay", "jobs"})
"""Roles that make no phone active (L-38)."""


@dataclass(frozen=True)
class Trigger:
    """A function with its arguments, before each written row."""

    name: str
    judge: Judge
    args: tuple[str, ...]
    on_insert: bool


def refuse(rule: str) -> IntegrityRefusedError:
    """Return the refusal that names a rule."""
    return IntegrityRefusedError(rule=rule)


def _differs(before: Row, after: Row, *names: str) -> bool:
    return any(before[name] != after[name] for name in names)


def _keeps(before: Row | None, after: Row, args: tuple[str, ...], _role: str) -> None:
    if before is not None and _differs(before, after, *args):
        raise refuse("keeps")


def _tenancy_ends_once(before: Row | None, after: Row, _args: tuple[str, ...], _role: str) -> None:
    if before is None:
        return
    if before["state"] == "ended" and dict(before) != dict(after):
        raise refuse("tenancy_ends_once")
    if _differs(before, after, "door_id", "epoch", "lower", "signed_by"):
        raise refuse("tenancy_keeps")


def _epoch_rises(before: Row | None, after: Row, _args: tuple[str, ...], _role: str) -> None:
    if before is None:
        return
    was, now = before["epoch"], after["epoch"]
    if (was is None) != (now is None) or (was is not None and now < was):
        raise refuse("epoch_rises")


def _counter_rises(before: Row | None, after: Row, _args: tuple[str, ...], _role: str) -> None:
    if before is not None and after["command_counter"] < before["command_counter"]:
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


def _command_steps(before: Row | None, after: Row, _args: tuple[str, ...], _role: str) -> None:
    if before is None:
        if after["state"] != "queued":
            raise refuse("command_steps")
        return
    if _differs(before, after, *ASKED):
        raise refuse("command_keeps")
    step = (before["state"], after["state"])
    if step[0] == step[1]:
        if _differs(before, after, *SAID):
            raise refuse("command_steps")
        return
    if step not in LEGAL_STEPS:
        raise refuse("command_steps")
    if step in NEEDS_EVIDENCE and after["evidence"] is None:
        raise refuse("law_22")


def _phone_proof(before: Row | None, after: Row, _args: tuple[str, ...], role: str) -> None:
    if role in SEES_NO_PROOF:
        becomes_active = after["state"] == "active" and (before is None or before["state"] != "active")
        if becomes_active or after["proved_by"] != (None if before is None else before["proved_by"]):
            raise refuse("phone_proof")
    if before is None:
        return
    revived = before["state"] == "revoked" and after["state"] != "revoked"
    if revived or _differs(before, after, "sign_pub", "ecdh_pub", "holder_id", "session_id"):
        raise refuse("phone_keeps")


BEFORE: Final[dict[str, Judge]] = {
    "keeps": _keeps,
    "tenancy_ends_once": _tenancy_ends_once,
    "epoch_rises": _epoch_rises,
    "counter_rises": _counter_rises,
    "command_steps": _command_steps,
    "phone_proof": _phone_proof,
}
AT_COMMIT: Final = frozenset({"law_23"})


def one_living(one: Row, other: Row) -> bool:
    """Tell whether two leases may stand beside each other: one living tenancy a room at any instant."""
    if one["door_id"] != other["door_id"] or one["state"] != "signed" or other["state"] != "signed":
        return True
    apart: bool = one["upper"] <= other["lower"] or other["upper"] <= one["lower"]
    return apart


APART: Final[dict[str, Callable[[Row, Row], bool]]] = {"tenancies_one_living_excl": one_living}


def judge_tenancy(work: Transaction, tenancy: UUID) -> None:
    """Judge L-23 of one tenancy as `law_23_judge` does; the caller holds its row."""
    lease = work.row("tenancies", tenancy)
    if lease is None:
        return
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
