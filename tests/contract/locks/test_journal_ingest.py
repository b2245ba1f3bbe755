"""L-21: the journal proves its own completeness; what is acknowledged is kept, what is missing is named."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from lockserver.app import ingest_journal
from lockserver.app.bridging import Bridging
from lockserver.app.ingest_journal import Batch, Ingested, acknowledge, ingest_journals
from lockserver.domain.lock import Lock, LockDocument
from lockserver.protocol.commands import JournalAckBody
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.envelope import Position, open_command
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.journal import Entry, Head, How, What, entry_hash, head_after
from lockserver.protocol.topics import shard
from tests.support.database import FakeClock
from tests.support.people import a_place, fresh
from tests.support.workbench import Workbench

pytestmark = pytest.mark.contract


@dataclass
class Bus:
    is_open: bool = True
    sent: list[tuple[bytes, bytes]] = field(default_factory=list)

    def publish(self, lock_id: bytes, envelope: bytes) -> bool:
        self.sent.append((lock_id, envelope))
        return self.is_open

    def publish_gateway(self, gateway_id: bytes, frame: bytes) -> bool:
        raise AssertionError("there is no gateway here")


class Silent:
    async def ask(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise AssertionError("nobody is asked here")


@dataclass
class Bench:
    """A bridge's use cases over both keepers of rows, with a bus that only listens."""

    world: Bridging
    bus: Bus
    lock: Lock
    ecdh: Any
    rows: Workbench
    seq: int = 0

    async def take(self, *entries: Entry) -> Ingested:
        self.seq += 1
        batch = Batch(self.lock, Position(1, self.seq), entries, b"evidence")
        return await ingest_journals(self.world, [batch])

    def kept(self) -> list[int]:
        return sorted(row["number"] for row in self.rows.rows("journal"))

    def findings(self) -> list[tuple[str, dict[str, Any]]]:
        lines = sorted(self.rows.rows("audit_log"), key=lambda row: int(row["id"]))
        return [(line["verb"], line["detail"]) for line in lines if line["verb"].startswith("journal")]


@pytest_asyncio.fixture
async def bench(workbench: Workbench) -> Bench:
    place = await a_place(workbench.transactions("api"))
    ecdh = private_key(secrets.token_bytes)
    lock_id = fresh()
    lock = Lock(
        id=lock_id,
        door_id=place.gate.id,
        serial="LSIM-0001",
        sign_pub=EcdsaSigner(private_key(secrets.token_bytes)).public,
        ecdh_pub=EcdsaSigner(ecdh).public,
        factory_fingerprint=bytes(32),
        certificate=b"",
        shard=shard(lock_id.bytes),
        state="active",
    )
    async with workbench.transactions("issuer").begin() as work:
        await work.locks.add(lock)
    bus = Bus()
    world = Bridging(
        transactions=workbench.transactions("bridge"),
        clock=FakeClock(datetime.now(UTC)),
        random=secrets.token_bytes,
        requests=Silent(),
        bus=bus,
        command_key=EcdsaSigner(private_key(secrets.token_bytes)),
        report_key=private_key(secrets.token_bytes),
    )
    return Bench(world, bus, lock, ecdh, workbench)


def chain(count: int, start: Head | None = None, what: What = What.UNLOCKED) -> list[Entry]:
    head, made = start or Head(), []
    for _ in range(count):
        entry = Entry(head.number + 1, head.hash, what, How.HANDLE, at=1_800_000_000, uncertainty=1)
        made.append(entry)
        head = head_after(entry)
    return made


async def test_what_continues_is_kept_and_acknowledged(bench: Bench) -> None:
    entries = chain(5)
    done = await bench.take(*entries)
    assert bench.kept() == [1, 2, 3, 4, 5]
    (kept,) = done.kept
    assert acknowledge(bench.world, kept, bench.world.clock.now())
    lock_id, envelope = bench.bus.sent[0]
    keys = {bench.world.command_key.kid: bench.world.command_key.public}
    command = open_command(envelope, lock_id, bench.ecdh, keys)
    assert command.body == JournalAckBody(5, entry_hash(entries[-1]))
    assert bench.findings() == []


async def test_L21_a_lost_batch_is_asked_for_and_not_acknowledged_away(bench: Bench) -> None:
    entries = chain(9)
    await bench.take(*entries[:3])
    done = await bench.take(*entries[6:])  # 4 to 6 were lost on the way; the lock still has them
    assert done.kept == ()
    assert [lock.id for lock in done.asked] == [bench.lock.id]
    assert bench.kept() == [1, 2, 3]
    done = await bench.take(*entries[3:])  # it sends again
    assert bench.kept() == list(range(1, 10))
    assert done.kept[0].head.number == 9
    assert bench.findings() == []


async def test_L21_a_gap_in_the_ring_is_shown_as_a_gap(bench: Bench) -> None:
    """The lock had to let go of 4 to 6: it says so, and the record says so for ever."""
    entries = chain(9)
    await bench.take(*entries[:3])
    bench.world.oldest[bench.lock.id] = 7
    done = await bench.take(*entries[6:])
    assert bench.kept() == [1, 2, 3, 7, 8, 9]
    assert done.kept[0].head.number == 9
    assert bench.findings() == [("journal_gap", {"number": 7, "missing": 3})]
    await bench.take(
        *chain(2, head_after(entries[-1])), *chain(1, head_after(chain(4, head_after(entries[-1]))[-1]))
    )
    assert ("journal_gap", {"number": 14, "missing": 2}) in bench.findings()


async def fork(bench: Bench) -> Ingested:
    entries = chain(4)
    await bench.take(*entries[:3])
    other = chain(4, what=What.LOCKED)  # another history under the same numbers
    return await bench.take(other[3])


async def test_L21_another_history_is_refused_and_recorded(bench: Bench) -> None:
    done = await fork(bench)
    assert done.kept == ()
    assert bench.kept() == [1, 2, 3]
    assert [verb for verb, _ in bench.findings()] == ["journal_fork"]


async def test_L21_mutant_a_chain_that_is_not_checked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(prev: Head, entries: Sequence[Entry]) -> Any:
        from lockserver.protocol.journal import Chain

        return Chain(tuple(entries), head_after(entries[-1]), ())

    monkeypatch.setattr(ingest_journal, "verify_chain", blind)
    done = await fork(bench)
    assert done.kept
    assert bench.findings() == []  # which the test above would not accept


async def test_L21_a_repeat_is_harmless_and_a_rewritten_one_is_found(bench: Bench) -> None:
    entries = chain(4)
    await bench.take(*entries)
    await bench.take(*entries)
    assert bench.kept() == [1, 2, 3, 4]
    assert bench.findings() == []
    rewritten = chain(4, what=What.LOCKED)
    await bench.take(*rewritten[1:3])
    assert [(verb, detail["number"]) for verb, detail in bench.findings()] == [
        ("journal_fork", 2),
        ("journal_fork", 3),
    ]
    kept = sorted(bench.rows.rows("journal"), key=lambda row: int(row["number"]))
    assert [row["hash"] for row in kept] == [entry_hash(entry) for entry in entries]


async def test_many_locks_share_a_transaction_and_one_does_not_poison_another(
    bench: Bench,
) -> None:
    ghost = Lock(
        **{name: getattr(bench.lock, name) for name in bench.lock.__dataclass_fields__ if name != "id"},
        id=UUID(int=1),
    )
    bad = Batch(ghost, Position(1, 1), tuple(chain(1)), b"")
    good = Batch(bench.lock, Position(1, 1), tuple(chain(2)), b"")
    from lockserver.mqtt.inbound import Inbound

    inbound = Inbound(bench.world, frozenset(), lambda _: None, lambda _: None)  # type: ignore[arg-type, return-value]
    await inbound._commit([bad, good])
    assert bench.kept() == [1, 2]
    assert inbound.tally.faults == 1
    assert len(bench.bus.sent) == 1  # and only what was kept is acknowledged


async def test_L16_only_the_locks_own_key_opens_what_we_send(bench: Bench) -> None:
    (entry,) = chain(1)
    done = await bench.take(entry)
    acknowledge(bench.world, done.kept[0], bench.world.clock.now())
    lock_id, envelope = bench.bus.sent[0]
    keys = {bench.world.command_key.kid: bench.world.command_key.public}
    with pytest.raises(RemoteError):
        open_command(envelope, lock_id, private_key(secrets.token_bytes), keys)
    with pytest.raises(RemoteError):
        open_command(envelope, secrets.token_bytes(16), bench.ecdh, keys)


async def test_documents_a_lock_lacks_are_those_it_never_reported(bench: Bench) -> None:
    """`lagging` finds a lock until its own report has the number."""
    async with bench.rows.transactions("issuer").begin() as work:
        await work.lock_documents.put(LockDocument(bench.lock.id, "revocation", 7, b"list"))
    await bench.take(*chain(1))
    world = bench.world
    async with world.transactions.begin() as work:
        assert list(await work.lock_documents.lagging()) == [bench.lock.id]
    bench.rows.force("lock_status", revocation_number=7)
    async with world.transactions.begin() as work:
        assert list(await work.lock_documents.lagging()) == []
