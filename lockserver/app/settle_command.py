"""Bring a command to its end: by the lock's own signed word, or by time where that is proof enough."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.app.ports.steps import Conclusion
from lockserver.domain.command import Command, CommandKind, CommandState
from lockserver.domain.errors import NotFoundError
from lockserver.domain.lock import JournalLine
from lockserver.domain.times import whole_seconds
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import How, What
from lockserver.protocol.reports import Hello, Outcome, Result

JOURNAL_SLACK_S = 5
"""Seconds by which a journal entry's clock may stand outside the command's life and still be its own."""

MOVES: Final[dict[CommandKind, What]] = {
    "unlock": What.UNLOCKED,
    "lock": What.LOCKED,
    "hold_open": What.HELD_OPEN,
}
"""What a lock writes down of a command that it carried out."""

RIVAL_LOOKBACK = timedelta(minutes=2)
"""More than slack and any clock's uncertainty: how far before an entry its command's deadline may lie."""


def conclude(result: Result) -> Conclusion | None:
    """Return what a signed result makes of its command; None where it makes nothing of it.

    A lock answers a copy of a command with the first one's result, and refuses only what it will
    never carry out (docs/protocol.md): so a planted copy cannot turn an opening into "refused".
    """
    if result.outcome is Outcome.DONE:
        return Conclusion("done", None)
    if result.outcome is Outcome.TORN:
        return Conclusion("unknown", "torn")
    if result.denial is None:
        return None
    if result.denial is Denial.STALE_COMMAND:
        return Conclusion("expired", result.denial.word)
    return Conclusion("refused", result.denial.word)


async def settle_by_result(
    work: UnitOfWork, lock_id: UUID, result: Result, evidence: bytes, now: datetime
) -> Command | None:
    """Settle a command by its signed result; None where that settles nothing.

    Nothing here trusts who carried the report: `evidence` is the verified LK1-RPT of this lock.
    """
    try:
        command = await work.commands.lock(UUID(bytes=result.command_id))
    except NotFoundError:
        return None
    concluded = conclude(result)
    if command.lock_id != lock_id or concluded is None:
        return None
    if command.state != "sent" and (command.state != "unknown" or concluded.state == "unknown"):
        return None
    return await _settle(work, command, concluded.state, now, concluded.code, evidence)


async def settle_by_hello(
    work: UnitOfWork, lock_id: UUID, hello: Hello, evidence: bytes, now: datetime
) -> list[Command]:
    """Expire what the lock proves unused: its attested clock is past the deadline, its counter below.

    From then on the command can never be carried out, whenever the broker lets go of it.
    """
    if hello.time is None or not hello.attested:
        return []
    proved = hello.time - hello.uncertainty
    settled = []
    for command in await work.commands.unproven([lock_id]):
        past = proved >= whole_seconds(command.not_after)
        if past and command.counter > hello.counter:
            settled.append(await _settle(work, command, "expired", now, "unused", evidence))
    return settled


def proves_an_act(line: JournalLine) -> bool:
    """Tell whether an entry may be the lock's word about a command."""
    return line.how == How.REMOTE and (line.what in MOVES.values() or line.what == What.DENIED)


async def settle_by_journal(
    work: UnitOfWork, entries: Sequence[tuple[JournalLine, bytes]], now: datetime
) -> list[Command]:
    """Settle what journal entries prove, where exactly one command fits one.

    An entry names the credential, not the command. So one that a command of the same credential accounts
    for which has ended already proves nothing of the next: the entry of an opening often comes a moment
    after its result, when somebody may be asking again.

    `entries`: each new line with the signed report that brought it.
    """
    acts = [(line, evidence) for line, evidence in entries if proves_an_act(line)]
    if not acts:
        return []
    lock_ids = [line.lock_id for line, _ in acts]
    waiting = list(await work.commands.unproven(lock_ids))
    times = [line.at for line, _ in acts if line.at is not None]
    if not waiting or not times:
        return []
    ended = await work.commands.carried_out_or_refused(lock_ids, min(times) - RIVAL_LOOKBACK)
    settled = []
    for line, evidence in acts:
        fitting = [command for command in waiting if _fits(command, line)]
        if len(fitting) != 1 or any(_accounts_for(command, line) for command in ended):
            continue
        (command,) = fitting
        waiting.remove(command)
        if line.what != What.DENIED:
            settled.append(await _settle(work, command, "done", now, None, evidence))
        elif line.denial is not None:
            code = Denial(line.denial).word
            settled.append(await _settle(work, command, "refused", now, code, evidence))
    return settled


async def settle_overdue(work: UnitOfWork, now: datetime) -> list[Command]:
    """Let time take its due: never published and past its deadline is `expired`, unheard `unknown`."""
    settled = []
    for command in await work.commands.overdue(now):
        state = command.overdue(now)
        if state is not None:
            settled.append(await _settle(work, command, state, now, None, None))
    return settled


def _fits(command: Command, line: JournalLine) -> bool:
    """Tell whether an entry can be this command's: its credential, within its life."""
    if command.lock_id != line.lock_id or command.credential_id is None:
        return False
    if line.subject != command.credential_id.bytes:
        return False
    if line.at is None or command.sent_at is None or line.what not in (MOVES[command.kind], What.DENIED):
        return False
    at = whole_seconds(line.at)
    slack = JOURNAL_SLACK_S + (line.uncertainty or 0)
    return whole_seconds(command.sent_at) - slack <= at <= whole_seconds(command.not_after) + slack


def _accounts_for(ended: Command, line: JournalLine) -> bool:
    """Tell whether the entry may be what this command, which has ended, left behind."""
    return ended.state == ("refused" if line.what == What.DENIED else "done") and _fits(ended, line)


async def _settle(
    work: UnitOfWork,
    command: Command,
    state: CommandState,
    now: datetime,
    code: str | None,
    evidence: bytes | None,
) -> Command:
    settled = command.settled(state, now, code=code, evidence=evidence)
    await work.commands.save(settled)
    await work.audit.write("role:bridge", f"command_{state}", f"command:{command.id}", code=code)
    await work.notify("command_settled", str(command.id))
    return settled
