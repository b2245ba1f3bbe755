"""What a lock says to its server: where it stands, what became of a command, what it holds."""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from lockserver.protocol.bolt import BoltState, DoorState
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.fields import HASH, Fields, as_choice, bad, present
from lockserver.protocol.journal import Entry, Head, entry_row, read_entries
from lockserver.protocol.limits import MAX_ALL_SLOTS, MAX_FIRMWARE, MAX_SHORT_TEXT, MAX_TIME, NONCE
from lockserver.protocol.pin import Activation, activation_rows, read_activations
from lockserver.protocol.slots import VERIFIER, Slot, read_slots, slot_rows

PERCENT = 100


class ReportKind(IntEnum):
    """Kind of a report.  Append-only."""

    HELLO = 1
    RESULT = 2
    JOURNAL = 3
    TIME_REQUEST = 4
    APPLIED = 5
    CAPTURED = 6
    INVENTORY = 7
    FIRMWARE = 8


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
    bounded age.  ``battery``: percent, read ``battery_age`` seconds ago.  ``door``: its leaf.  ``firmware``:
    the counter of the image that runs, ``firmware_version`` its name.  ``jams``: the motor's failures since
    boot.
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
    door: DoorState | None = None
    tampered: bool | None = None
    firmware: int | None = None
    firmware_version: str | None = None
    battery_age: int | None = None
    jams: int | None = None


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


class CapturedKind(IntEnum):
    """What was read in.  Append-only."""

    CARD = 1
    FINGER = 2


@dataclass(frozen=True, slots=True)
class Captured:
    """A card or finger was read in.  ``cti``: the credential of who asked; ``already``: a slot has it."""

    kind: CapturedKind
    verifier: bytes
    cti: bytes
    already: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """What keypad and readers really hold, whatever access state says.  ``epoch`` None: a shared door."""

    state_version: int
    list_number: int
    epoch: int | None
    pins: tuple[Slot, ...] = ()
    cards: tuple[Slot, ...] = ()
    fingers: tuple[Slot, ...] = ()
    activations: tuple[Activation, ...] = ()


@dataclass(frozen=True, slots=True)
class FirmwareState:
    """The image that runs, and the one that comes.

    ``counter`` and ``version`` run; ``target`` is the counter of the one that comes, of which ``offset``
    bytes are here; ``denial``: why the last piece was refused.
    """

    counter: int
    version: str
    offset: int
    target: int | None = None
    denial: Denial | None = None


Report: TypeAlias = (
    Hello | Result | JournalBatch | TimeRequest | Applied | Captured | Inventory | FirmwareState
)


def report_kind(report: Report) -> ReportKind:
    """The kind number of a report."""
    kinds = {
        Hello: ReportKind.HELLO,
        Result: ReportKind.RESULT,
        JournalBatch: ReportKind.JOURNAL,
        TimeRequest: ReportKind.TIME_REQUEST,
        Applied: ReportKind.APPLIED,
        Captured: ReportKind.CAPTURED,
        Inventory: ReportKind.INVENTORY,
        FirmwareState: ReportKind.FIRMWARE,
    }
    return kinds[type(report)]


def report_body(report: Report) -> dict[int, object]:
    """The report's own fields."""
    if isinstance(report, Hello):
        return _hello_body(report)
    if isinstance(report, Result):
        return _result_body(report)
    if isinstance(report, JournalBatch):
        return {1: [entry_row(entry) for entry in report.entries]}
    if isinstance(report, TimeRequest):
        return {1: report.nonce}
    if isinstance(report, Captured):
        return {1: int(report.kind), 2: report.verifier, 3: report.cti, 4: report.already}
    if isinstance(report, Inventory):
        return _inventory_body(report)
    if isinstance(report, FirmwareState):
        return present(
            {
                1: report.counter,
                2: report.version,
                3: report.offset,
                4: report.target,
                5: None if report.denial is None else int(report.denial),
            }
        )
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


def _result_body(result: Result) -> dict[int, object]:
    return present(
        {
            1: result.command_id,
            2: int(result.outcome),
            3: int(result.bolt),
            4: result.counter,
            5: None if result.denial is None else int(result.denial),
            6: result.time,
            7: result.journal_number,
        }
    )


def _inventory_body(inventory: Inventory) -> dict[int, object]:
    return present(
        {
            1: inventory.state_version,
            2: inventory.list_number,
            3: inventory.epoch,
            4: slot_rows(inventory.pins),
            5: slot_rows(inventory.cards),
            6: slot_rows(inventory.fingers),
            7: activation_rows(inventory.activations),
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
            16: None if hello.door is None else int(hello.door),
            17: hello.tampered,
            18: hello.firmware,
            19: hello.firmware_version,
            20: hello.battery_age,
            21: hello.jams,
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
    elif kind is ReportKind.CAPTURED:
        report = Captured(
            fields.choice(1, CapturedKind), fields.octets(2, VERIFIER), fields.id(3), fields.flag(4)
        )
    elif kind is ReportKind.INVENTORY:
        report = _read_inventory(fields)
    elif kind is ReportKind.FIRMWARE:
        report = _read_firmware(fields)
    else:
        report = _read_applied(fields)
    fields.close()
    return report


def _read_inventory(fields: Fields) -> Inventory:
    inventory = Inventory(
        state_version=fields.uint(1),
        list_number=fields.uint(2),
        epoch=fields.optional_uint(3),
        pins=read_slots(fields.raw(4)),
        cards=read_slots(fields.raw(5)),
        fingers=read_slots(fields.raw(6)),
        activations=read_activations(fields.raw(7)),
    )
    if len(inventory.pins) + len(inventory.cards) + len(inventory.fingers) > MAX_ALL_SLOTS:
        raise RemoteError(Denial.TOO_LARGE, f"more than {MAX_ALL_SLOTS} slots")
    return inventory


def _read_firmware(fields: Fields) -> FirmwareState:
    return FirmwareState(
        counter=fields.uint(1),
        version=fields.text(2, MAX_SHORT_TEXT),
        offset=fields.uint(3, MAX_FIRMWARE),
        target=fields.optional_uint(4),
        denial=fields.choice(5, Denial) if fields.has(5) else None,
    )


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
        door=fields.choice(16, DoorState) if fields.has(16) else None,
        tampered=fields.flag(17) if fields.has(17) else None,
        firmware=fields.optional_uint(18),
        firmware_version=fields.text(19, MAX_SHORT_TEXT) if fields.has(19) else None,
        battery_age=fields.optional_uint(20),
        jams=fields.optional_uint(21),
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
