"""What every outbox must keep, in memory or in PostgreSQL: the sentences of `relay.ports`, as tests.

Another implementation is held to them by a subclass of `OutboxContract` with a `bench` fixture:

    class TestPostgresOutbox(OutboxContract):  # tests/contract/db/test_outbox_by_contract.py
        @pytest.fixture
        async def bench(self, database): ...
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import uuid4

import pytest

from police_sync.relay.filing import Kind, Sent
from police_sync.relay.memory import MemoryOutbox
from police_sync.relay.outcomes import (
    Accepted,
    FieldReturn,
    FieldsReturned,
    NotThere,
    ProvinceState,
    Receipt,
    Refused,
    Unknown,
    Verdict,
)
from police_sync.relay.policy import AskFirst, AwaitVerdict, Park, Receipted, Repair, RetryAt
from police_sync.relay.ports import (
    Action,
    Attempt,
    Claimed,
    Evidence,
    Outbox,
    Settlement,
    StaleClaimError,
)

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
FIELDS = ("name", "phone")


@dataclass(frozen=True)
class RowView:
    """What the contract looks at in one row."""

    state: str
    park_reason: str | None
    outcomes: tuple[str | None, ...]  # of its attempts, in order; None: no end recorded


class OutboxBench(Protocol):
    """An outbox and the other side of it."""

    outbox: Outbox

    async def register(self) -> str:
        """A registration with no outbox row yet; its client_no."""
        ...

    async def put(self, client_no: str, version: int, kind: Kind, sealed: bytes, next_at: datetime) -> None:
        """What the use case's transaction does."""
        ...

    async def row(self, client_no: str, version: int) -> RowView: ...

    async def kept(self, client_no: str) -> list[tuple[str, str, bytes]]:
        """Receipts and vouchers kept of a registration: (type, number, raw), any order."""
        ...


def digest(version: int) -> str:
    return "sha-256:" + f"{version:064x}"


def receipt(client_no: str, version: int, kind: Kind, type_: str = "receipt") -> Receipt:
    no = f"{'SL' if type_ == 'receipt' else 'DJ'}-{client_no}-{version}"
    raw = f'{{"no":"{no}","签":"verbatim"}}'.encode()
    return Receipt(type_, no, client_no, version, kind, digest(version), "2026-03-02T04:00:00Z", "p-1", raw)


def verdict(
    client_no: str,
    seq: int,
    state: ProvinceState,
    *,
    version: int = 1,
    voucher: bool = False,
    returns: tuple[FieldReturn, ...] = (),
) -> Verdict:
    return Verdict(
        client_no=client_no,
        version=version,
        seq=seq,
        state=state,
        as_of="2026-03-02T04:00:05Z",
        returns=returns,
        duplicate_of=None,
        receipts=(receipt(client_no, version, Kind.REGISTER),),
        voucher=receipt(client_no, version, Kind.REGISTER, "voucher") if voucher else None,
        raw=b"{}",
    )


async def claim(bench: OutboxBench, at: datetime = NOW) -> Claimed:
    found = await bench.outbox.claim("w1", at, LEASE)
    assert found is not None
    return found


async def attempt(bench: OutboxBench, held: Claimed, at: datetime = NOW) -> Attempt:
    action = Action.ASK if held.ask_first else Action.DELIVER
    evidence = Evidence(action, digest(held.version), FIELDS)
    return await bench.outbox.record_attempt(held, evidence, at)


async def deliver(bench: OutboxBench, held: Claimed, at: datetime = NOW) -> None:
    """The whole straight path of one claim."""
    tried = await attempt(bench, held, at)
    got = receipt(held.client_no, held.version, held.kind)
    await bench.outbox.settle(held, tried, Settlement(Accepted(receipt=got), Receipted(got)), at)


async def await_verdict(bench: OutboxBench, poll_at: datetime, version: int = 1) -> str:
    """A registration that is receipted and waits for its verdict."""
    client_no = await registered(bench)
    held = await claim(bench)
    tried = await attempt(bench, held)
    got = receipt(client_no, version, Kind.REGISTER)
    decision = AwaitVerdict(got, poll_at)
    await bench.outbox.settle(held, tried, Settlement(Accepted(receipt=got), decision), NOW)
    return client_no


async def registered(bench: OutboxBench, next_at: datetime = NOW) -> str:
    client_no = await bench.register()
    await bench.put(client_no, 1, Kind.REGISTER, b"sealed " + client_no.encode(), next_at)
    return client_no


class OutboxContract:
    """The tests. `bench` is the implementation's."""

    # ---- claims
    async def test_a_claim_carries_the_row(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        assert (held.client_no, held.version, held.kind) == (client_no, 1, Kind.REGISTER)
        assert held.sealed == b"sealed " + client_no.encode()
        assert (held.attempts, held.ask_first) == (0, False)
        assert held.lease_until == NOW + LEASE

    async def test_concurrent_claims_never_share_a_row(self, bench: OutboxBench) -> None:
        numbers = {await registered(bench) for _ in range(5)}
        claims = await asyncio.gather(*(bench.outbox.claim(f"w{n}", NOW, LEASE) for n in range(9)))
        taken = [found.client_no for found in claims if found is not None]
        assert len(taken) == len(set(taken))
        while (more := await bench.outbox.claim("w", NOW, LEASE)) is not None:
            taken.append(more.client_no)  # a claim may pass by rows that another is just taking
        assert sorted(taken) == sorted(numbers)

    async def test_a_row_is_left_alone_before_its_time(self, bench: OutboxBench) -> None:
        await registered(bench, NOW + SECOND)
        assert await bench.outbox.claim("w1", NOW, LEASE) is None
        assert await bench.outbox.next_due(NOW) == NOW + SECOND
        assert await bench.outbox.claim("w1", NOW + SECOND, LEASE) is not None

    async def test_nothing_is_due_in_an_empty_outbox(self, bench: OutboxBench) -> None:
        assert await bench.outbox.next_due(NOW) is None
        await deliver(bench, await claim_of(bench, await registered(bench)))
        assert await bench.outbox.next_due(NOW) is None

    async def test_next_due_knows_of_a_lease(self, bench: OutboxBench) -> None:
        await registered(bench)
        await claim(bench)
        assert await bench.outbox.next_due(NOW) == NOW + LEASE

    # ---- order
    async def test_L27_only_the_head_of_the_line_is_claimable(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        await bench.put(client_no, 2, Kind.CHANGE, b"2", NOW - SECOND)
        await bench.put(client_no, 3, Kind.DEPARTURE, b"3", NOW - 2 * SECOND)
        for version in (1, 2, 3):
            held = await claim(bench)
            assert held.version == version
            assert await bench.outbox.claim("w2", NOW, LEASE) is None, "overtaken while leased"
            await deliver(bench, held)
        assert await bench.outbox.claim("w1", NOW, LEASE) is None

    async def test_L27_a_postponed_head_holds_its_line(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        await bench.put(client_no, 2, Kind.CHANGE, b"2", NOW)
        held = await claim(bench)
        tried = await attempt(bench, held)
        later = Settlement(Unknown("deadline"), AskFirst(NOW + 9 * SECOND))
        await bench.outbox.settle(held, tried, later, NOW)
        assert await bench.outbox.claim("w1", NOW + SECOND, LEASE) is None
        assert (await claim(bench, NOW + 9 * SECOND)).version == 1

    async def test_L27_a_parked_head_holds_its_line_and_no_other(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        await bench.put(client_no, 2, Kind.CHANGE, b"2", NOW)
        held = await claim(bench)
        parked = Settlement(Refused("gate:schema"), Park("gate:schema"))
        await bench.outbox.settle(held, None, parked, NOW)
        assert await bench.outbox.claim("w1", NOW, LEASE) is None
        assert (await bench.row(client_no, 1)).park_reason == "gate:schema"
        other = await registered(bench)
        assert (await claim(bench)).client_no == other

    # ---- fencing
    async def test_L26_the_stale_worker_cannot_record(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        stale = await claim(bench)
        fresh = await claim(bench, NOW + LEASE)
        assert fresh.fence > stale.fence
        with pytest.raises(StaleClaimError):
            await attempt(bench, stale, NOW + LEASE)
        assert (await bench.row(client_no, 1)).outcomes == ()

    async def test_L26_the_stale_worker_cannot_settle(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        stale = await claim(bench)
        tried = await attempt(bench, stale)
        fresh = await claim(bench, NOW + LEASE)
        got = receipt(client_no, 1, Kind.REGISTER)
        for decision in (Receipted(got), RetryAt(NOW), Park("x")):
            with pytest.raises(StaleClaimError):
                await bench.outbox.settle(
                    stale, tried, Settlement(Accepted(receipt=got), decision), NOW + LEASE
                )
        assert await bench.row(client_no, 1) == RowView("ready", None, (None,))
        assert await bench.kept(client_no) == []
        await deliver(bench, fresh, NOW + LEASE)
        assert (await bench.row(client_no, 1)).state == "settled"

    async def test_L26_who_settled_once_cannot_settle_again(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        await deliver(bench, held)
        with pytest.raises(StaleClaimError):
            await bench.outbox.settle(held, None, Settlement(Refused("x"), Park("x")), NOW)
        assert (await bench.row(client_no, 1)).state == "settled"

    async def test_L26_no_attempt_begins_past_the_lease(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        with pytest.raises(StaleClaimError):
            await attempt(bench, held, NOW + LEASE)
        assert (await bench.row(client_no, 1)).outcomes == ()

    async def test_an_answer_that_came_late_still_counts_if_nobody_took_over(
        self, bench: OutboxBench
    ) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        tried = await attempt(bench, held)
        got = receipt(client_no, 1, Kind.REGISTER)
        settlement = Settlement(Accepted(receipt=got), Receipted(got))
        await bench.outbox.settle(held, tried, settlement, NOW + 2 * LEASE)
        assert (await bench.row(client_no, 1)).state == "settled"

    # ---- attempts
    async def test_L30_an_attempt_is_there_before_its_end(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        assert (await attempt(bench, held)).number == 1
        assert (await bench.row(client_no, 1)).outcomes == (None,)

    async def test_L24_an_attempt_without_an_end_asks_first(self, bench: OutboxBench) -> None:
        await registered(bench)
        await attempt(bench, await claim(bench))
        again = await claim(bench, NOW + LEASE)
        assert again.ask_first
        assert again.attempts == 1

    async def test_L24_ask_first_is_remembered_and_forgotten(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        asked = Settlement(Unknown("dropped"), AskFirst(NOW + SECOND))
        await bench.outbox.settle(held, await attempt(bench, held), asked, NOW)
        held = await claim(bench, NOW + SECOND)
        assert held.ask_first
        answered = Settlement(NotThere(), RetryAt(NOW + SECOND))
        tried = await attempt(bench, held, NOW + SECOND)
        await bench.outbox.settle(held, tried, answered, NOW + SECOND)
        held = await claim(bench, NOW + SECOND)
        assert not held.ask_first
        assert held.attempts == 2
        assert (await bench.row(client_no, 1)).outcomes == ("unknown", "not_there")

    async def test_what_was_sent_is_known_by_version(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        await bench.put(client_no, 2, Kind.CHANGE, b"2", NOW)
        assert await bench.outbox.sent(client_no) == {}
        await deliver(bench, await claim(bench))
        assert await bench.outbox.sent(client_no) == {1: Sent(Kind.REGISTER, digest(1))}
        await attempt(bench, await claim(bench))
        sent = await bench.outbox.sent(client_no)
        assert sent[2] == Sent(Kind.CHANGE, digest(2))
        assert await bench.outbox.sent(str(uuid4())) == {}

    # ---- ends
    async def test_L25_the_receipt_is_kept_verbatim(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        await deliver(bench, await claim(bench))
        got = receipt(client_no, 1, Kind.REGISTER)
        assert await bench.kept(client_no) == [("receipt", got.no, got.raw)]
        assert await bench.row(client_no, 1) == RowView("settled", None, ("accepted",))

    async def test_a_returned_field_parks_the_row_with_its_name(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        returns = (FieldReturn("phone", "E901"), FieldReturn("name", "E201"))
        settlement = Settlement(FieldsReturned(returns=returns), Repair(returns))
        await bench.outbox.settle(held, await attempt(bench, held), settlement, NOW)
        row = await bench.row(client_no, 1)
        assert row == RowView("parked", "repair:E901:phone", ("fields_returned",))

    # ---- verdicts
    async def test_a_verdict_is_polled_when_its_time_comes(self, bench: OutboxBench) -> None:
        client_no = await await_verdict(bench, NOW + 2 * SECOND)
        poll = bench.outbox.due_verdicts
        assert list(await poll(NOW, LEASE, 10)) == []
        due = await poll(NOW + 2 * SECOND, LEASE, 10)
        assert [(d.client_no, d.version, d.polls) for d in due] == [(client_no, 1, 1)]
        assert list(await poll(NOW + 2 * SECOND, LEASE, 10)) == [], "held for one poller"
        await bench.outbox.postpone_verdict(client_no, NOW + 3 * SECOND)
        due = await poll(NOW + 3 * SECOND, LEASE, 10)
        assert [d.polls for d in due] == [2]
        due = await poll(NOW + 3 * SECOND + LEASE, LEASE, 10)
        assert [d.polls for d in due] == [3], "a poller that died gives it back"

    async def test_no_more_verdicts_than_asked_for(self, bench: OutboxBench) -> None:
        numbers = {await await_verdict(bench, NOW) for _ in range(3)}
        first = await bench.outbox.due_verdicts(NOW, LEASE, 2)
        second = await bench.outbox.due_verdicts(NOW, LEASE, 2)
        assert (len(first), len(second)) == (2, 1)
        assert {d.client_no for d in [*first, *second]} == numbers

    async def test_a_settled_verdict_ends_the_polling(self, bench: OutboxBench) -> None:
        client_no = await await_verdict(bench, NOW)
        checking = verdict(client_no, 2, ProvinceState.CHECKING)
        assert await bench.outbox.record_verdict(checking, NOW)
        assert len(await bench.outbox.due_verdicts(NOW, SECOND, 10)) == 1
        accepted = verdict(client_no, 3, ProvinceState.ACCEPTED, voucher=True)
        assert await bench.outbox.record_verdict(accepted, NOW)
        await bench.outbox.postpone_verdict(client_no, NOW)  # its poller was under way
        assert list(await bench.outbox.due_verdicts(NOW + LEASE, LEASE, 10)) == []

    async def test_an_older_verdict_changes_nothing(self, bench: OutboxBench) -> None:
        client_no = await await_verdict(bench, NOW)
        returned = (FieldReturn("name", "E201"),)
        newer = verdict(client_no, 5, ProvinceState.RETURNED, returns=returned)
        assert await bench.outbox.record_verdict(newer, NOW)
        for seq in (4, 5):
            older = verdict(client_no, seq, ProvinceState.ACCEPTED, voucher=True)
            assert not await bench.outbox.record_verdict(older, NOW)
        assert [kind for kind, _, _ in await bench.kept(client_no)] == ["receipt"]

    async def test_the_voucher_is_kept_once_and_verbatim(self, bench: OutboxBench) -> None:
        client_no = await await_verdict(bench, NOW)
        for seq in (3, 4):
            news = verdict(client_no, seq, ProvinceState.ACCEPTED, voucher=True)
            assert await bench.outbox.record_verdict(news, NOW)
        voucher = receipt(client_no, 1, Kind.REGISTER, "voucher")
        kept = await bench.kept(client_no)
        assert [one for one in kept if one[0] == "voucher"] == [("voucher", voucher.no, voucher.raw)]

    async def test_a_callback_may_come_before_the_reply(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        tried = await attempt(bench, held)
        early = verdict(client_no, 3, ProvinceState.ACCEPTED, voucher=True)
        assert await bench.outbox.record_verdict(early, NOW)
        got = receipt(client_no, 1, Kind.REGISTER)
        settlement = Settlement(Accepted(receipt=got), AwaitVerdict(got, NOW))
        await bench.outbox.settle(held, tried, settlement, NOW)
        assert list(await bench.outbox.due_verdicts(NOW + LEASE, LEASE, 10)) == []
        assert sorted(kind for kind, _, _ in await bench.kept(client_no)) == ["receipt", "voucher"]

    async def test_an_answer_found_by_asking_brings_its_verdict(self, bench: OutboxBench) -> None:
        client_no = await registered(bench)
        held = await claim(bench)
        tried = await attempt(bench, held)
        got = receipt(client_no, 1, Kind.REGISTER)
        found = verdict(client_no, 3, ProvinceState.ACCEPTED, voucher=True)
        settlement = Settlement(Accepted(receipt=got), Receipted(got, found))
        await bench.outbox.settle(held, tried, settlement, NOW)
        assert not await bench.outbox.record_verdict(found, NOW), "it was recorded already"
        assert sorted(kind for kind, _, _ in await bench.kept(client_no)) == ["receipt", "voucher"]

    async def test_a_later_version_is_polled_again(self, bench: OutboxBench) -> None:
        client_no = await await_verdict(bench, NOW)
        await bench.outbox.record_verdict(verdict(client_no, 3, ProvinceState.ACCEPTED), NOW)
        await bench.put(client_no, 2, Kind.CHANGE, b"2", NOW)
        held = await claim(bench)
        got = receipt(client_no, 2, Kind.CHANGE)
        settlement = Settlement(Accepted(receipt=got), AwaitVerdict(got, NOW))
        await bench.outbox.settle(held, await attempt(bench, held), settlement, NOW)
        due = await bench.outbox.due_verdicts(NOW, LEASE, 10)
        assert [(d.client_no, d.version) for d in due] == [(client_no, 2)]

    # ---- waking
    async def test_a_new_row_wakes_who_waits(self, bench: OutboxBench) -> None:
        waiting = asyncio.create_task(bench.outbox.wait(60))
        await asyncio.sleep(0)  # one step: it listens from here on
        await registered(bench)
        await asyncio.wait_for(waiting, 5)  # a bound against hanging, no measurement

    async def test_waiting_ends_by_itself(self, bench: OutboxBench) -> None:
        await asyncio.wait_for(bench.outbox.wait(0.05), 20)


async def claim_of(bench: OutboxBench, client_no: str) -> Claimed:
    held = await claim(bench)
    assert held.client_no == client_no
    return held


class MemoryBench:
    """The reference on the bench."""

    def __init__(self, outbox: MemoryOutbox) -> None:
        self.memory = outbox
        self.outbox: Outbox = outbox

    async def register(self) -> str:
        return str(uuid4())

    async def put(self, client_no: str, version: int, kind: Kind, sealed: bytes, next_at: datetime) -> None:
        self.memory.enqueue(client_no, version, kind, sealed, next_at)

    async def row(self, client_no: str, version: int) -> RowView:
        row = self.memory.rows[client_no, version]
        return RowView(row.state, row.park_reason, tuple(a.outcome for a in row.attempts))

    async def kept(self, client_no: str) -> list[tuple[str, str, bytes]]:
        found = (r for r in self.memory.receipts if r.client_no == client_no)
        return [(r.type, r.no, r.raw) for r in found]


class TestMemoryOutbox(OutboxContract):
    @pytest.fixture
    def bench(self) -> MemoryBench:
        return MemoryBench(MemoryOutbox())
