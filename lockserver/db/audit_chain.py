"""The audit log's chain: what a checkpoint covers, and how its head is computed and signed. Pure.

    root = fold over the rows, ordered by (txid, id), of SHA-256(head || SHA-256(row)), from prev

Each checkpoint begins where the last one ended and signs its root, so a superuser who edits, drops
or slips in a row that is already covered must also forge the checkpoint key (L-34).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lockserver.domain.canonical import dumps

GENESIS: Final = bytes(32)
_DOMAIN: Final = b"lockserver audit checkpoint\0"


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One row of the audit log."""

    id: int
    at: datetime
    actor: str
    verb: str
    object_: str
    detail: dict[str, Any]
    txid: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One signed head."""

    number: int
    below_txid: int
    count: int
    root_hash: bytes
    prev_hash: bytes
    signature: bytes
    kid: bytes

    def signed_bytes(self) -> bytes:
        """Return what the signature is over."""
        return signed_bytes(self.number, self.below_txid, self.count, self.root_hash, self.prev_hash)


def signed_bytes(number: int, below_txid: int, count: int, root_hash: bytes, prev_hash: bytes) -> bytes:
    """Return the bytes that a checkpoint's key signs."""
    facts = {
        "number": number,
        "below_txid": below_txid,
        "count": count,
        "root_hash": root_hash,
        "prev_hash": prev_hash,
    }
    return _DOMAIN + dumps(facts)


def line_hash(line: AuditLine) -> bytes:
    """Return the hash of one row."""
    facts = {
        "id": line.id,
        "at": line.at,
        "actor": line.actor,
        "verb": line.verb,
        "object": line.object_,
        "detail": line.detail,
        "txid": line.txid,
    }
    return hashlib.sha256(dumps(facts)).digest()


def fold(head: bytes, lines: Iterable[AuditLine]) -> bytes:
    """Return the head after these rows, which come ordered by (txid, id)."""
    for line in lines:
        head = hashlib.sha256(head + line_hash(line)).digest()
    return head
