"""Documents as they travel: inside M3, or in a `documents` command.  One way to check them for both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from lockserver.protocol.documents import (
    Document,
    KeySet,
    Trust,
    document_lock,
    read_access_state,
    read_key_set,
    read_release,
    read_revocation_list,
    read_time,
)
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.fields import as_choice, as_list, as_octets
from lockserver.protocol.limits import MAX_DOCUMENTS, MAX_MESSAGE


class DocumentKind(IntEnum):
    """A document inside a message: its number on the wire.  Append-only."""

    KEYS = 1
    REVOCATION = 2
    TIME = 3
    STATE = 4
    RELEASE = 5


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A document as it is carried: its kind and its COSE_Sign1 bytes, unverified."""

    kind: DocumentKind
    raw: bytes


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document whose signature and lock are right.  Whether its number is news, the lock judges."""

    kind: DocumentKind
    raw: bytes
    document: Document


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a set of carried documents.

    ``trust`` holds the newest key set, ``key_set`` the document that brought it (None: no news).
    ``refused`` documents are ignored; their reasons are for the journal.
    """

    trust: Trust
    key_set: CheckedDocument | None
    accepted: tuple[CheckedDocument, ...]
    refused: tuple[tuple[DocumentKind, Denial], ...]


def document_rows(documents: Sequence[SignedDocument]) -> list[list[object]]:
    """As they stand in a message: ``[[kind, bytes], ...]``."""
    return [[int(document.kind), document.raw] for document in documents]


def read_document_rows(value: object) -> tuple[SignedDocument, ...]:
    """The reverse of ``document_rows``.  RemoteError: BAD_FORMAT, TOO_LARGE."""
    rows = [as_list(row, "document", length=2) for row in as_list(value, "documents", most=MAX_DOCUMENTS)]
    return tuple(
        SignedDocument(
            as_choice(kind, DocumentKind, "document kind"),
            as_octets(raw, None, "document", most=MAX_MESSAGE),
        )
        for kind, raw in rows
    )


def check_key_sets(documents: Sequence[SignedDocument], trust: Trust) -> Checked:
    """Key sets only, under the site root, newest first to rule: what a lock applies before all else."""
    newest: CheckedDocument | None = None
    refused: list[tuple[DocumentKind, Denial]] = []
    for signed in documents:
        if signed.kind is not DocumentKind.KEYS:
            continue
        try:
            key_set = read_key_set(signed.raw, trust.site_root)
        except RemoteError as error:
            refused.append((signed.kind, error.code))
            continue
        if key_set.number > trust.key_set.number:
            newest = CheckedDocument(signed.kind, signed.raw, key_set)
            trust = replace(trust, key_set=key_set)
    return Checked(trust, newest, (), tuple(refused))


def check_documents(documents: Sequence[SignedDocument], trust: Trust, lock_id: bytes) -> Checked:
    """Key sets first, then the others under the newest issuer keys and for this lock alone."""
    keys = check_key_sets(documents, trust)
    accepted: list[CheckedDocument] = []
    refused = list(keys.refused)
    for signed in documents:
        if signed.kind is DocumentKind.KEYS:
            continue
        try:
            document = _read(signed, keys.trust.key_set)
        except RemoteError as error:
            refused.append((signed.kind, error.code))
            continue
        if document_lock(document) != lock_id:
            refused.append((signed.kind, Denial.WRONG_LOCK))
            continue
        accepted.append(CheckedDocument(signed.kind, signed.raw, document))
    return Checked(keys.trust, keys.key_set, tuple(accepted), tuple(refused))


def _read(signed: SignedDocument, key_set: KeySet) -> Document:
    if signed.kind is DocumentKind.REVOCATION:
        return read_revocation_list(signed.raw, key_set.issuers)
    if signed.kind is DocumentKind.TIME:
        return read_time(signed.raw, key_set.issuers)
    if signed.kind is DocumentKind.RELEASE:
        return read_release(signed.raw, key_set.issuers)
    return read_access_state(signed.raw, key_set.issuers)
