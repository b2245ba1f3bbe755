"""`journal_ingest`: journal entries per second, durable and verified, in one bridge process.

    python -m bench.journal_ingest [--locks N] [--batches N]

From the sealed report off the broker to the commit and the sealed acknowledgement: opened, its signature
and its chain verified, held against what is kept, committed in groups. Beside it, in the same run: the
bare batched insert of as many of the same rows, verified by nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.report import Figure, emit, table
from lockserver.app.bridging import Bridging
from lockserver.db.connection import Pool
from lockserver.db.embedded import EmbeddedPostgres
from lockserver.db.migrate import migrate, role_url
from lockserver.db.roles import USERS
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.domain.account import Holder
from lockserver.domain.house import Door, House
from lockserver.domain.ids import new_id
from lockserver.domain.lock import JournalLine, Lock
from lockserver.domain.times import from_seconds
from lockserver.mqtt.inbound import GROUP, Inbound
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.envelope import Envelope, Position, seal_report
from lockserver.protocol.journal import Entry, Head, How, What, entry_hash, head_after
from lockserver.protocol.limits import MAX_BATCH
from lockserver.protocol.reports import JournalBatch
from lockserver.protocol.topics import all_shards, report_topic, shard
from lockserver.run.world import SystemClock, system_random

ROUNDS = 3
"""Runs of each side, in turn; the best of each counts: other people's load slows both."""


@dataclass
class NoBroker:
    """Takes envelopes and drops them."""

    is_open: bool = True
    sent: int = 0

    def publish(self, lock_id: bytes, envelope: bytes) -> bool:
        """Count it."""
        del lock_id, envelope
        self.sent += 1
        return True

    def publish_gateway(self, gateway_id: bytes, frame: bytes) -> bool:
        """No gateway is here."""
        del gateway_id, frame
        return False


@dataclass
class Nobody:
    """The issuer is not asked."""

    async def ask(self, *_: Any) -> dict[str, Any]:  # noqa: ANN401 - the port's own type
        """Refuse."""
        raise NotImplementedError


@dataclass
class SimpleLock:
    """A lock that only reports."""

    lock: Lock
    signer: EcdsaSigner
    head: Head = field(default_factory=Head)
    seq: int = 0

    def entries(self) -> tuple[Entry, ...]:
        """The next full batch of openings."""
        made = []
        for _ in range(MAX_BATCH):
            entry = Entry(
                self.head.number + 1,
                self.head.hash,
                What.UNLOCKED,
                How.BLE,
                subject=self.lock.id.bytes,
                at=1_800_000_000 + self.head.number,
                uncertainty=1,
            )
            self.head = head_after(entry)
            made.append(entry)
        return tuple(made)

    def report(self, report_public: bytes) -> bytes:
        """The next batch, signed and sealed."""
        self.seq += 1
        envelope = Envelope(self.lock.id.bytes, Position(1, self.seq), JournalBatch(self.entries()))
        return seal_report(envelope, self.signer, report_public, private_key(secrets.token_bytes))


async def furnish(transactions: PostgresTransactions, count: int) -> list[SimpleLock]:
    """A house with `count` locks."""

    def fresh() -> UUID:
        return new_id(SystemClock(), system_random)

    holder = Holder(fresh(), None, secrets.token_bytes(16))
    house = House(fresh(), holder.id, "bench", "ADDR-0001", "330106000001")
    locks = []
    async with transactions.begin() as work:
        await work.holders.add(holder)
        await work.houses.add(house)
        for number in range(count):
            door = Door(fresh(), house.id, "gate", str(number), None, None)
            signer = EcdsaSigner(private_key(secrets.token_bytes))
            lock_id = fresh()
            ecdh = EcdsaSigner(private_key(secrets.token_bytes)).public
            lock = Lock(
                lock_id,
                door.id,
                f"BENCH-{lock_id.hex[-12:]}",
                signer.public,
                ecdh,
                bytes(32),
                b"",
                shard(lock_id.bytes),
                "active",
            )
            await work.doors.add(door)
            await work.locks.add(lock)
            locks.append(SimpleLock(lock, signer))
    return locks


async def ingested(world: Bridging, reports: list[tuple[str, bytes]]) -> float:
    """Seconds from the first report off the broker to the last acknowledgement."""

    async def converge(_: UUID) -> None:
        return

    inbound = Inbound(world, frozenset(all_shards()), lambda _: None, converge)
    running = asyncio.create_task(inbound.run())
    begun = time.perf_counter()
    for topic, payload in reports:
        inbound.on_message(topic, payload, False)
        await asyncio.sleep(0)
    await inbound.drained()
    took = time.perf_counter() - begun
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    if inbound.tally.journal_entries != len(reports) * MAX_BATCH or inbound.tally.faults:
        raise RuntimeError(f"not everything was kept: {inbound.tally}")
    return took


async def inserted(transactions: PostgresTransactions, lines: list[JournalLine]) -> float:
    """Seconds for the bare insert, in transactions of a full group each."""
    size = GROUP * MAX_BATCH
    begun = time.perf_counter()
    for start in range(0, len(lines), size):
        async with transactions.begin() as work:
            await work.journals.append(lines[start : start + size])
    return time.perf_counter() - begun


def bare(lock: SimpleLock) -> list[JournalLine]:
    """A batch as rows, made beforehand."""
    now = datetime.now(UTC)
    return [
        JournalLine(
            lock.lock.id,
            entry.number,
            int(entry.what),
            int(entry.how),
            lock.lock.id.bytes,
            None,
            from_seconds(entry.at or 0),
            entry.uncertainty,
            entry.count,
            entry.prev_hash,
            entry_hash(entry),
            "mqtt",
            now,
        )
        for entry in lock.entries()
    ]


async def measure(url: str, passwords: dict[str, str], locks: int, batches: int) -> Figure:
    """Both sides in turn, on fresh locks each time."""
    pools = {role: Pool(role_url(url, role, passwords[role])) for role in ("migrate", "bridge")}
    owner, bridge = (PostgresTransactions(pools[role]) for role in ("migrate", "bridge"))
    report_key = private_key(secrets.token_bytes)
    world = Bridging(
        transactions=bridge,
        clock=SystemClock(),
        random=system_random,
        requests=Nobody(),
        bus=NoBroker(),
        command_key=EcdsaSigner(private_key(secrets.token_bytes)),
        report_key=report_key,
    )
    events = locks * batches * MAX_BATCH
    ours, theirs = [], []
    try:
        for _ in range(ROUNDS):
            speakers = await furnish(owner, locks)
            public = public_bytes(report_key)
            reports = [
                (report_topic(one.lock.id.bytes), one.report(public))
                for _ in range(batches)
                for one in speakers
            ]
            ours.append(await ingested(world, reports))
            silent = await furnish(owner, locks)
            lines = [line for _ in range(batches) for one in silent for line in bare(one)]
            theirs.append(await inserted(bridge, lines))
    finally:
        for pool in pools.values():
            await pool.close()
    return emit(
        Figure(
            "journal_ingest",
            events / min(ours),
            "events/s",
            beside=events / min(theirs),
            n=events,
            extra={"rounds": float(ROUNDS)},
        )
    )


def main() -> None:
    """Run the bench on a PostgreSQL of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--locks", type=int, default=32)
    parser.add_argument("--batches", type=int, default=6)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lockserver-bench-"))
    folder.chmod(0o711)  # PostgreSQL's own user passes through
    passwords = {role: secrets.token_urlsafe(16) for role in USERS}
    try:
        with EmbeddedPostgres(folder / "postgres") as server:
            migrate(server.url, passwords)
            figure = asyncio.run(measure(server.url, passwords, given.locks, given.batches))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table([replace(figure)])


if __name__ == "__main__":
    main()
