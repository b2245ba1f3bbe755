"""Taking documents, by whatever way they came: key sets first, versions only rise, time by our nonce."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_sim.core.held import known
from firmware_sim.core.release import obey
from lockserver.protocol.documents import AccessState, KeySet, ReleaseOrder, TimeStatement, document_lock
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.journal import How, What

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware_sim.core.core import Core
    from firmware_sim.core.held import Held
    from lockserver.protocol.carried import CheckedDocument


def take_key_set(core: Core, held: Held, news: CheckedDocument | None, how: How) -> bool:
    """Apply a newer key set and write it down. Whether it was news."""
    if news is None or not isinstance(news.document, KeySet):
        return False
    record = held.apply_keys(news)
    if record is None:
        return False
    held.rtc.ratchet(core.at, news.document.iat)
    core.journal(What.KEYS_APPLIED, how, beside=record | held.record())
    return True


def take_documents(core: Core, held: Held, news: Sequence[CheckedDocument], how: How) -> tuple[Denial, ...]:
    """Apply what is newer; the reasons for what was not."""
    denials: list[Denial] = []
    for document in news:
        try:
            _take(core, held, document, how)
        except RemoteError as error:
            denials.append(error.code)
    return tuple(denials)


def _take(core: Core, held: Held, news: CheckedDocument, how: How) -> None:
    document = news.document
    if document_lock(document) != held.identity.lock_id:
        raise RemoteError(Denial.WRONG_LOCK, news.kind.name)
    if isinstance(document, TimeStatement):
        _take_time(core, held, document, how)
        return
    if isinstance(document, ReleaseOrder):
        obey(core, held, document, how)
        return
    if isinstance(document, KeySet) or known(held, news):
        return
    what, record = held.apply(news, held.trust.key_set.issuers)
    if isinstance(document, AccessState):
        record |= core.reader.program(document)
    held.rtc.ratchet(core.at, document.iat)
    core.journal(what, how, beside=record | held.record())


def _take_time(core: Core, held: Held, statement: TimeStatement, how: How) -> None:
    """Set the clock from a statement bound to our nonce.

    One that took longer than the clock's own error is worth no correction: the truth lies anywhere
    between its `now` and that much later.
    """
    round_trip = core.nonces.redeem(statement.nonce, core.at.mono)
    if round_trip is None:
        raise RemoteError(Denial.WRONG_NONCE, "not asked for, or too long ago")
    before = held.rtc.now(core.at)
    bound = held.rtc.bound(core.at)
    if bound is not None and round_trip / 1000 > bound:
        if held.rtc.ratchet(core.at, statement.now):
            core.flash.put(held.record())  # a floor that a power cut takes back is none
        return
    held.rtc.attest(core.at, statement.now, round_trip)
    if before is None or before != held.rtc.now(core.at):
        core.journal(What.CLOCK_SET, how, beside=held.record())
    else:
        core.flash.put(held.record())
