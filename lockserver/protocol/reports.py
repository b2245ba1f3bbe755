"""What a lock says to its server: hello, result, journal, time request, applied."""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from lockserver.protocol.bolt import BoltState
from lockserver.protocol.errors import Denial
from lockserver.protocol.fields import HASH, Fields, as_choice, bad, present
from lockserver.protocol.journal import Entry, Head, entry_row, read_entries
from lockserver.protocol.limits import MAX_TIME, NONCE

PERCENT = 100


class ReportKind(IntEnum):
    """Kind of a report.  Append-only."""

    HELLO = 1
    RESULT = 2
    JOURNAL = 3
    TIME_REQUEST = 4
    APPLIED = 5


class Outcome(IntEnum):
    """What became of a command.  Append-only."""

    DONE = 1
    REFUSED = 2
    TORN = 3  # power was cut within the act: whether the bolt moved is unknown


@dataclass(frozen=True, slots=True)
class Hello:
    """The lock's whole position, on every connection and on request.

    ``counter``: highest command counter ever used.  ``oldest_unacked``: number of the oldest journal
    entry the server has not acknowledged (journal number + 1 if none).  ``time``: Unix seconds, None
    while the clock is lost; ``uncertainty`` in seconds; ``attested``: set from a time statement of
    bounded age.  ``battery``: percent.
    """

    counter: int
    state_version: int
    list_number: int
    key_set_number: int
    epoch: int | None
    occupied: bool
    journal: Head
    oldest_unacked: int
    time: int | None
    uncertainty: int
    attested: bool
    bolt: BoltState
    time_nonce: bytes
    battery: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one command.  ``denial`` if refused; ``journal_number``: the entry that says so."""

    command_id: bytes
    outcome: Outcome
    bolt: BoltState
    counter: int | None = None
    denial: Denial | None = None
    time: int | None = None
    journal_number: int | None = None


@dataclass(frozen=True, slots=True)
class JournalBatch:
    """Entries in order, at most MAX_BATCH."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class TimeRequest:
    """The lock asks for a time statement for this nonce, at once."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class Applied:
    """What the lock holds after documents came, by whatever way.

    ``command_id``: the command that brought them, if one did.  ``denials``: reasons for those refused.
    """

    state_version: int
    list_number: int
    key_set_number: int
    epoch: int | None
    occupied: bool
    command_id: bytes | None = None
    denials: tuple[Denial, ...] = ()


Report: TypeAlias = Hello | Result | JournalBatch | TimeRequest | Applied


def report_kind(report: Report) -> ReportKind:
    """The kind number of a report."""
    kinds = {
        Hello: ReportKind.HELLO,
        Result: ReportKind.RESULT,
        JournalBatch: ReportKind.JOURNAL,
        TimeRequest: ReportKind.TIME_REQUEST,
        Applied: ReportKind.APPLIED,
    }
    return kinds[type(report)]


def report_body(report: Report) -> dict[int, object]:
    """The report's own fields."""
    if isinstance(report, Hello):
        return _hello_body(report)
    if isinstance(report, Result):
        return present(
            {
                1: report.command_id,
                2: int(report.outcome),
                3: int(report.bolt),
                4: report.counter,
                5: None if report.denial is None else int(report.denial),
                6: report.time,
                7: report.journal_number,
            }
        )
    if isinstance(report, JournalBatch):
        return {1: [entry_row(entry) for entry in report.entries]}
    if isinstance(report, TimeRequest):
        return {1: report.nonce}
    return present(
        {
            1: report.state_version,
            2: report.list_number,
            3: report.key_set_number,
            4: report.epoch,
            5: report.occupied,
            6: report.command_id,
            7: [int(denial) for denial in report.denials] or None,
        }
    )


def _hello_body(hello: Hello) -> dict[int, object]:
    return present(
        {
            1: hello.counter,
            2: hello.state_version,
            3: hello.list_number,
            4: hello.key_set_number,
            5: hello.epoch,
            6: hello.occupied,
            7: hello.journal.number,
            8: hello.journal.hash,
            9: hello.oldest_unacked,
            10: hello.time,
            11: hello.uncertainty,
            12: hello.attested,
            13: int(hello.bolt),
            14: hello.time_nonce,
            15: hello.battery,
        }
    )


def read_report(kind: ReportKind, body: object) -> Report:
    """The report of a kind from its fields.  RemoteError: BAD_FORMAT, UNKNOWN_CLAIM."""
    fields = Fields(body, kind.name.lower())
    report: Report
    if kind is ReportKind.HELLO:
        report = _read_hello(fields)
    elif kind is ReportKind.RESULT:
        report = _read_result(fields)
    elif kind is ReportKind.JOURNAL:
        report = JournalBatch(read_entries(fields.raw(1)))
    elif kind is ReportKind.TIME_REQUEST:
        report = TimeRequest(fields.octets(1, NONCE))
    else:
        report = _read_applied(fields)
    fields.close()
    return report


def _read_hello(fields: Fields) -> Hello:
    return Hello(
        counter=fields.uint(1),
        state_version=fields.uint(2),
        list_number=fields.uint(3),
        key_set_number=fields.uint(4),
        epoch=fields.optional_uint(5),
        occupied=fields.flag(6),
        journal=Head(fields.uint(7), fields.octets(8, HASH)),
        oldest_unacked=fields.uint(9),
        time=fields.optional_uint(10, MAX_TIME),
        uncertainty=fields.uint(11),
        attested=fields.flag(12),
        bolt=fields.choice(13, BoltState),
        time_nonce=fields.octets(14, NONCE),
        battery=fields.optional_uint(15, PERCENT),
    )


def _read_result(fields: Fields) -> Result:
    result = Result(
        command_id=fields.id(1),
        outcome=fields.choice(2, Outcome),
        bolt=fields.choice(3, BoltState),
        counter=fields.optional_uint(4),
        denial=fields.choice(5, Denial) if fields.has(5) else None,
        time=fields.optional_uint(6, MAX_TIME),
        journal_number=fields.optional_uint(7),
    )
    if (result.denial is not None) != (result.outcome is Outcome.REFUSED):
        raise bad("a denial goes with a refusal, and only with one")
    return result


def _read_applied(fields: Fields) -> Applied:
    return Applied(
        state_version=fields.uint(1),
        list_number=fields.uint(2),
        key_set_number=fields.uint(3),
        epoch=fields.optional_uint(4),
        occupied=fields.flag(5),
        command_id=fields.optional_id(6),
        denials=tuple(as_choice(d, Denial, "denial") for d in fields.list(7)) if fields.has(7) else (),
    )
