"""What a server asks of a lock: an act with its holder's wish, documents, an acknowledgement."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from lockserver.protocol.access import Operation
from lockserver.protocol.carried import SignedDocument, document_rows, read_document_rows
from lockserver.protocol.credential import MAX_CREDENTIAL
from lockserver.protocol.fields import HASH, Fields, bad, present
from lockserver.protocol.limits import MAX_CHUNK, MAX_FIRMWARE, MAX_MANIFEST, MAX_TIME
from lockserver.protocol.wish import MAX_WISH


class CommandKind(IntEnum):
    """Kind of a command.  Append-only."""

    UNLOCK = 1
    LOCK = 2
    HOLD_OPEN = 3
    DOCUMENTS = 4
    JOURNAL_ACK = 5
    SAY_HELLO = 6
    FIRMWARE = 7
    INVENTORY = 8
    CAPTURE = 9


ACTS: Final = {
    CommandKind.UNLOCK: Operation.UNLOCK,
    CommandKind.LOCK: Operation.LOCK,
    CommandKind.HOLD_OPEN: Operation.HOLD_OPEN,
}
"""Commands that move the bolt: each carries counter, deadline, wish and credential."""

BOUND: Final = frozenset(ACTS) | {CommandKind.CAPTURE}
"""Commands with a counter and a deadline: what the holder wants now, or never."""


@dataclass(frozen=True, slots=True)
class ActBody:
    """The holder's own wish and his credential, as signed bytes."""

    wish: bytes
    credential: bytes


@dataclass(frozen=True, slots=True)
class DocumentsBody:
    """Documents, key sets first to be applied."""

    documents: tuple[SignedDocument, ...]


@dataclass(frozen=True, slots=True)
class JournalAckBody:
    """Entries up to and with ``upto`` are kept by the server; ``head_hash`` is that entry's hash."""

    upto: int
    head_hash: bytes


@dataclass(frozen=True, slots=True)
class HelloBody:
    """Nothing: the lock is asked to say hello."""


@dataclass(frozen=True, slots=True)
class FirmwareBody:
    """A piece of the image that ``manifest`` (LK1-FW) names, from ``offset`` bytes on; None only asks."""

    manifest: bytes
    offset: int
    chunk: bytes | None = None


@dataclass(frozen=True, slots=True)
class InventoryBody:
    """Nothing: the lock is asked what its keypad and readers really hold."""


@dataclass(frozen=True, slots=True)
class CaptureBody:
    """The holder's wish to enrol a card or finger, and his credential: a card is awaited for 60 s."""

    wish: bytes
    credential: bytes


Body: TypeAlias = (
    ActBody | DocumentsBody | JournalAckBody | HelloBody | FirmwareBody | InventoryBody | CaptureBody
)


@dataclass(frozen=True, slots=True)
class Command:
    """``counter`` (ascending per lock) and ``not_after`` (Unix seconds): for BOUND, and only for those."""

    command_id: bytes
    kind: CommandKind
    body: Body
    counter: int | None = None
    not_after: int | None = None


def command_map(command: Command, lock_id: bytes) -> dict[int, object]:
    """The map that is signed, bound to its lock."""
    return present(
        {
            1: lock_id,
            2: command.command_id,
            3: int(command.kind),
            4: command.counter,
            5: command.not_after,
            6: _body_map(command.body),
        }
    )


def _body_map(body: Body) -> dict[int, object]:
    if isinstance(body, ActBody | CaptureBody):
        return {1: body.wish, 2: body.credential}
    if isinstance(body, FirmwareBody):
        return present({1: body.manifest, 2: body.offset, 3: body.chunk})
    if isinstance(body, DocumentsBody):
        return {1: document_rows(body.documents)}
    if isinstance(body, JournalAckBody):
        return {1: body.upto, 2: body.head_hash}
    return {}


def read_command(payload: object) -> tuple[bytes, Command]:
    """(lock id, command) of a signed map.  RemoteError: BAD_FORMAT, UNKNOWN_CLAIM."""
    fields = Fields(payload, "command")
    lock_id = fields.id(1)
    kind = fields.choice(3, CommandKind)
    command = Command(
        command_id=fields.id(2),
        kind=kind,
        counter=fields.optional_uint(4),
        not_after=fields.optional_uint(5, MAX_TIME),
        body=_read_body(kind, fields.raw(6)),
    )
    fields.close()
    bound = (command.counter is not None, command.not_after is not None)
    if bound != (kind in BOUND, kind in BOUND):
        raise bad("acts and captures, and nothing else, have a counter and a deadline")
    return lock_id, command


def _read_body(kind: CommandKind, value: object) -> Body:
    fields = Fields(value, kind.name.lower())
    body: Body
    if kind in BOUND:
        wish = fields.octets(1, None, most=MAX_WISH)
        credential = fields.octets(2, None, most=MAX_CREDENTIAL)
        body = ActBody(wish, credential) if kind in ACTS else CaptureBody(wish, credential)
    elif kind is CommandKind.DOCUMENTS:
        body = DocumentsBody(read_document_rows(fields.raw(1)))
    elif kind is CommandKind.JOURNAL_ACK:
        body = JournalAckBody(fields.uint(1), fields.octets(2, HASH))
    elif kind is CommandKind.FIRMWARE:
        body = FirmwareBody(
            manifest=fields.octets(1, None, most=MAX_MANIFEST),
            offset=fields.uint(2, MAX_FIRMWARE),
            chunk=fields.octets(3, None, most=MAX_CHUNK) if fields.has(3) else None,
        )
        if body.chunk == b"":
            raise bad("an empty chunk is absent")
    elif kind is CommandKind.INVENTORY:
        body = InventoryBody()
    else:
        body = HelloBody()
    fields.close()
    return body
