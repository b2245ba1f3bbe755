"""L-15, L-16, L-19, L-22: commands against the locks' own signed words and journals."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from lockserver.db.auditor.finding import Evidence, Finding, Findings, Row
from lockserver.domain.times import whole_seconds
from lockserver.protocol.envelope import read_signed_report
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.journal import How, What
from lockserver.protocol.reports import Hello, JournalBatch, Outcome, Report, Result
from lockserver.protocol.wish import WishOperation, read_wish

MOVES = {"unlock": What.UNLOCKED, "lock": What.LOCKED, "hold_open": What.HELD_OPEN}
"""What a lock writes down of each kind of command that it carried out."""
SLACK_S = 5
"""Seconds by which the server's own `sent_at` may lag behind the lock's clock."""

NOT_DONE = frozenset({"refused", "expired"})
"""Proved by the lock to have moved nothing: such a command accounts for no opening."""


def check_steps(evidence: Evidence) -> Findings:
    """What the state claims: settled has its time, published its evidence."""
    for row in evidence.rows(
        """
        SELECT id, state FROM commands
        WHERE (state IN ('queued', 'sent')) <> (settled_at IS NULL)
           OR state <> 'queued' AND state <> 'expired' AND sent_at IS NULL
           OR state = 'queued' AND sent_at IS NOT NULL
           OR state IN ('done', 'refused', 'expired') AND sent_at IS NOT NULL AND evidence IS NULL
        """
    ):
        yield Finding("L-22", f"command {row['id']}", f"{row['state']}, without what that state needs")


def check_evidence(evidence: Evidence) -> Findings:
    """Every end of a published command is signed by its lock, and says that very thing (L-22)."""
    for row in evidence.rows(
        """
        SELECT c.*, l.sign_pub FROM commands c JOIN locks l ON l.id = c.lock_id
        WHERE c.evidence IS NOT NULL
        """
    ):
        fault = _evidence_fault(row)
        if fault is not None:
            yield Finding("L-22", f"command {row['id']}", f"{row['state']}, and its evidence {fault}")


def _report(row: Row) -> Report | None:
    """Return the lock's signed report, or None where that lock signed no such thing."""
    try:
        return read_signed_report(row["evidence"], row["lock_id"].bytes, row["sign_pub"]).report
    except RemoteError:
        return None


def _evidence_fault(row: Row) -> str | None:
    report = _report(row)
    if report is None:
        return "is not signed by its lock"
    if isinstance(report, Result):
        if report.command_id != row["id"].bytes:
            return "is about another command"
        done = report.outcome is Outcome.DONE
        return None if done == (row["state"] == "done") else f"says {report.outcome.name}"
    if isinstance(report, Hello):
        proves = (
            row["state"] == "expired"
            and report.attested
            and report.time is not None
            and report.time - report.uncertainty >= whole_seconds(row["not_after"])
            and report.counter < row["counter"]
        )
        return None if proves else "does not prove that it was never carried out"
    if isinstance(report, JournalBatch):
        wanted = MOVES[row["kind"]] if row["state"] == "done" else What.DENIED
        credential = row["credential_id"]
        named = any(
            entry.how is How.REMOTE
            and entry.what is wanted
            and credential is not None
            and entry.subject == credential.bytes
            for entry in report.entries
        )
        return None if named else "holds no entry of it"
    return "says nothing of it"


@dataclass
class _Lock:
    """One lock's remote openings and its published commands."""

    openings: list[Row] = field(default_factory=list)
    commands: list[Row] = field(default_factory=list)


def check_movements(evidence: Evidence) -> Findings:
    """Each remote opening in a journal belongs to one command, once, and in time (L-15, L-16)."""
    locks: dict[UUID, _Lock] = {}
    for row in evidence.rows(
        "SELECT lock_id, number, what, subject, at, coalesce(uncertainty, 0) AS uncertainty, count FROM journal"
        " WHERE how = %s AND what = ANY(%s) ORDER BY lock_id, number",
        (int(How.REMOTE), [int(what) for what in MOVES.values()]),
    ):
        locks.setdefault(row["lock_id"], _Lock()).openings.append(row)
    for row in evidence.rows(
        """
        SELECT c.*, l.sign_pub FROM commands c JOIN locks l ON l.id = c.lock_id
        WHERE c.sent_at IS NOT NULL ORDER BY c.lock_id, c.counter
        """
    ):
        locks.setdefault(row["lock_id"], _Lock()).commands.append(row)
    for lock in locks.values():
        yield from _match(lock)


def _match(lock: _Lock) -> Findings:
    by_number = {row["number"]: row for row in lock.openings}
    unclaimed = dict(by_number)
    waiting: list[Row] = []
    for command in lock.commands:
        report = _report(command) if command["state"] == "done" and command["evidence"] else None
        number = report.journal_number if isinstance(report, Result) else None
        opening = by_number.get(number) if number is not None else None
        if opening is None:
            waiting.append(command)
            continue
        if number not in unclaimed:
            yield Finding("L-16", f"command {command['id']}", f"shares entry {number} with another")
            continue
        del unclaimed[opening["number"]]
        yield from _late(command, opening)
    yield from _match_by_time(lock, unclaimed, waiting)


def _match_by_time(lock: _Lock, unclaimed: dict[int, Row], waiting: list[Row]) -> Findings:
    """Openings that no result names, and commands whose result names none."""
    for opening in unclaimed.values():
        where = f"journal of {opening['lock_id'].hex} entry {opening['number']}"
        same = [c for c in lock.commands if _is_its(c, opening)]
        timely = [c for c in same if _in_time(c, opening)]
        fitting = [c for c in timely if c in waiting and c["state"] not in NOT_DONE]
        if fitting:
            waiting.remove(min(fitting, key=lambda command: command["not_after"]))
        elif any(command["state"] not in NOT_DONE for command in timely):
            yield Finding("L-16", where, "a second movement for one command")
        elif timely:
            yield Finding("L-22", where, f"an opening, and its command is shown as {timely[0]['state']}")
        elif same:
            yield Finding("L-15", where, "an opening when no command of it was alive")
        else:
            yield Finding("L-19", where, "a remote opening that nobody asked for")
    for command in waiting:
        if command["state"] == "done" and isinstance(_report(command), JournalBatch):
            yield Finding("L-22", f"command {command['id']}", "done, by an entry that is another command's")


def _is_its(command: Row, opening: Row) -> bool:
    credential = command["credential_id"]
    named = credential is not None and opening["subject"] == credential.bytes
    return named and opening["what"] == MOVES[command["kind"]]


def _in_time(command: Row, opening: Row) -> bool:
    if opening["at"] is None:
        return False
    at, doubt = whole_seconds(opening["at"]), int(opening["uncertainty"])
    begun = whole_seconds(command["sent_at"]) - SLACK_S - doubt
    return begun <= at <= whole_seconds(command["not_after"]) + doubt


def _late(command: Row, opening: Row) -> Findings:
    where = f"command {command['id']}"
    if not _is_its(command, opening):
        yield Finding("L-22", where, f"entry {opening['number']} names another credential")
    if opening["at"] is None:
        yield Finding("L-15", where, "carried out while the lock had no clock")
    elif whole_seconds(opening["at"]) > whole_seconds(command["not_after"]) + int(opening["uncertainty"]):
        yield Finding("L-15", where, "carried out after its deadline")


def check_wishes(evidence: Evidence) -> Findings:
    """Each command carries a wish, signed by the acting holder's phone, for this lock, once (L-19)."""
    for row in evidence.rows(
        """
        SELECT c.id, c.kind, c.lock_id, c.holder_id, c.not_after, w.id AS wish_id, w.raw, w.not_after AS wish_until,
            w.holder_id AS wisher, p.sign_pub, p.holder_id AS phone_of
        FROM commands c JOIN wishes w ON w.id = c.wish_id JOIN phones p ON p.id = w.phone_id
        """
    ):
        fault = _wish_fault(row)
        if fault is not None:
            yield Finding("L-19", f"command {row['id']}", f"its wish {fault}")


def _wish_fault(row: Row) -> str | None:
    try:
        wish = read_wish(row["raw"], row["sign_pub"])
    except RemoteError:
        return "is not signed by the phone it names"
    if not row["holder_id"] == row["wisher"] == row["phone_of"]:
        return "is somebody else's"
    if wish.wish_id != row["wish_id"].bytes:
        return "has another id"
    if wish.operation is not WishOperation[row["kind"].upper()] or wish.target_id != row["lock_id"].bytes:
        return "is for something else"
    if whole_seconds(row["not_after"]) > wish.not_after:
        return "had run out before the command's deadline"
    return None
