"""Take in batches of many locks' journals in one transaction; acknowledge only after the commit.

The chain proves its own completeness: a gap, a fork, a repeat that says something else is recorded
where it is found (L-21). The lock frees its slots only on our word, so nothing is lost by a crash
on either side.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from lockserver.app.bridging import Bridging
from lockserver.app.ports import UnitOfWork
from lockserver.app.ports.steps import Continued
from lockserver.app.retire_lock import retire_locks, retires
from lockserver.app.settle_command import proves_an_act, settle_by_journal
from lockserver.domain.ids import uuid7
from lockserver.domain.lock import JournalLine, Lock, LockStatus, Via
from lockserver.domain.times import from_seconds
from lockserver.protocol.commands import Command as WireCommand
from lockserver.protocol.commands import CommandKind, JournalAckBody
from lockserver.protocol.envelope import Position
from lockserver.protocol.journal import (
    GENESIS,
    Chain,
    Entry,
    FlawKind,
    Head,
    entry_hash,
    verify_chain,
)
from lockserver.protocol.slots import MAX_SLOT


@dataclass(frozen=True, slots=True)
class Batch:
    """One verified journal report."""

    lock: Lock
    position: Position
    entries: tuple[Entry, ...]
    evidence: bytes
    via: Via = "mqtt"


@dataclass(frozen=True, slots=True)
class Kept:
    """Up to where a lock's journal is kept now."""

    lock: Lock
    head: Head


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came of a group.

    `kept` may be acknowledged, once. `asked`: locks whose batch begins after a gap that they may
    still fill (a batch was lost on the way); they must say what they hold, and will send again.
    """

    kept: tuple[Kept, ...]
    asked: tuple[Lock, ...]


async def ingest_journals(world: Bridging, batches: Sequence[Batch]) -> Ingested:
    """Keep these batches; return what may be acknowledged, once, after the commit."""
    now = world.clock.now()
    swift = await _swiftly(world, batches, now)
    left = [batch for batch in batches if batch.lock.id not in swift]
    if not left:
        return Ingested(tuple(swift.values()), ())
    async with world.transactions.begin() as work:
        done = await _ingest(world, work, left, now)
    return Ingested((*swift.values(), *done.kept), done.asked)


def acknowledge(world: Bridging, kept: Kept, now: datetime) -> bool:
    """Tell a lock up to where its entries are kept."""
    body = JournalAckBody(kept.head.number, kept.head.hash)
    command_id = uuid7(now, world.random(10)).bytes
    return world.send(kept.lock, WireCommand(command_id, CommandKind.JOURNAL_ACK, body))


async def _swiftly(world: Bridging, batches: Sequence[Batch], now: datetime) -> dict[UUID, Kept]:
    """Keep in one statement what is whole and continues exactly what is kept: nearly every batch.

    A batch names the head that it continues by its first entry's number and previous hash; the
    statement holds that against the row. Gaps, repeats, forks, and entries that may have to settle a
    command, go the long way.
    """
    count = Counter(batch.lock.id for batch in batches)
    continued: list[Continued] = []
    lines: list[JournalLine] = []
    heads: dict[UUID, Kept] = {}
    for batch in batches:
        if count[batch.lock.id] != 1 or not batch.entries:
            continue
        first = batch.entries[0]
        after = Head(first.number - 1, first.prev_hash)
        chain = verify_chain(after, batch.entries)
        if chain.flaws:
            continue
        mine = [_line(batch, entry, now) for entry in chain.accepted]
        if retires(mine):
            continue
        heads[batch.lock.id] = Kept(batch.lock, chain.head)
        lines += mine
        continued.append(
            Continued(
                batch.lock.id,
                after.number,
                after.hash,
                chain.head.number,
                chain.head.hash,
                batch.position.boot,
                batch.position.seq,
                acts=any(map(proves_an_act, mine)),
            )
        )
    if not continued:
        return {}
    async with world.transactions.steps() as steps:
        kept = await steps.keep(continued, lines, now)
    return {lock_id: heads[lock_id] for lock_id in kept}


async def _ingest(world: Bridging, work: UnitOfWork, batches: Sequence[Batch], now: datetime) -> Ingested:
    held = await work.lock_states.hold_all([batch.lock.id for batch in batches])
    states = {status.lock_id: status for status in held}
    lines: list[tuple[JournalLine, bytes]] = []
    kept: dict[UUID, Kept] = {}
    asked: dict[UUID, Lock] = {}
    for batch in batches:
        status = states[batch.lock.id]
        if _may_be_filled(world, batch, _head(status)):
            asked[batch.lock.id] = batch.lock
            continue
        chain = verify_chain(_head(status), batch.entries)
        if chain.flaws:
            await _record_flaws(work, batch, chain)
        lines += [(_line(batch, entry, now), batch.evidence) for entry in chain.accepted]
        states[batch.lock.id] = _advanced(status, batch, chain.head, now)
        if not _forked(chain):
            kept[batch.lock.id] = Kept(batch.lock, chain.head)
    await work.journals.append([line for line, _ in lines])
    await work.lock_states.advance(list(states.values()))
    await settle_by_journal(work, lines, now)
    await retire_locks(work, [line for line, _ in lines], now)
    return Ingested(tuple(kept.values()), tuple(asked.values()))


def _may_be_filled(world: Bridging, batch: Batch, head: Head) -> bool:
    """Tell whether entries are missing before this batch that the lock may still hold.

    A lock sends all that it holds, in order. So a gap within a batch is a gap in its ring; one before
    the batch may be a lost message, and acknowledging beyond it would make the loss final.
    """
    if not batch.entries or batch.entries[0].number <= head.number + 1:
        return False
    return world.oldest.get(batch.lock.id, 0) < batch.entries[0].number


def _head(status: LockStatus) -> Head:
    return Head(status.journal_number or 0, status.journal_hash or GENESIS)


def _advanced(status: LockStatus, batch: Batch, head: Head, now: datetime) -> LockStatus:
    """Move the journal's head, and the report's position if it is news.

    An old position is no fault here: a phone brings entries late, and the chain itself says whether
    they are known.
    """
    moved = replace(status, journal_number=head.number, journal_hash=head.hash)
    if not status.is_news(batch.position.boot, batch.position.seq):
        return moved
    return replace(
        moved,
        boot=batch.position.boot,
        seq=batch.position.seq,
        last_seen_at=now,
    )


def _forked(chain: Chain) -> bool:
    return any(flaw.kind is FlawKind.FORK for flaw in chain.flaws)


async def _record_flaws(work: UnitOfWork, batch: Batch, chain: Chain) -> None:
    """Write down gaps and forks. A repeat is harmless if it says what it said before."""
    name = f"lock:{batch.lock.id}"
    repeated = {flaw.number for flaw in chain.flaws if flaw.kind is FlawKind.REPEAT}
    if repeated:
        known = await work.journals.hashes(batch.lock.id, sorted(repeated))
        for entry in batch.entries:
            before = known.get(entry.number) if entry.number in repeated else None
            if before is not None and before != entry_hash(entry):
                await work.audit.write("role:bridge", "journal_fork", name, number=entry.number, kept=before)
    for flaw in chain.flaws:
        if flaw.kind is FlawKind.GAP:
            await work.audit.write(
                "role:bridge", "journal_gap", name, number=flaw.number, missing=flaw.missing
            )
        elif flaw.kind is FlawKind.FORK:
            await work.audit.write("role:bridge", "journal_fork", name, number=flaw.number)


def _place(subject: int) -> bytes:
    """A slot's number in one octet, what names an offline PIN in four: neither is taken for an id of sixteen."""
    return subject.to_bytes(1 if subject <= MAX_SLOT else 4, "big")


def _line(batch: Batch, entry: Entry, now: datetime) -> JournalLine:
    subject = entry.subject
    return JournalLine(
        lock_id=batch.lock.id,
        number=entry.number,
        what=int(entry.what),
        how=int(entry.how),
        subject=_place(subject) if isinstance(subject, int) else subject,
        denial=None if entry.denial is None else int(entry.denial),
        at=None if entry.at is None else from_seconds(entry.at),
        uncertainty=entry.uncertainty,
        count=entry.count,
        prev_hash=entry.prev_hash,
        hash=entry_hash(entry),
        via=batch.via,
        received_at=now,
    )
