"""The outbox on PostgreSQL: one line per registration, leases that fence, attempts before deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lockserver.db.changes import PostgresChanges
from lockserver.db.connection import Pool
from lockserver.db.outbox import PostgresOutbox
from lockserver.db.unit_of_work import PostgresTransactions
from police_sync.relay.filing import Kind
from police_sync.relay.outcomes import (
    Accepted,
    FieldReturn,
    FieldsReturned,
    ProvinceState,
    Receipt,
    Unknown,
    Unsent,
    Verdict,
)
from police_sync.relay.policy import AskFirst, AwaitVerdict, Park, Receipted, Repair, RetryAt
from police_sync.relay.ports import Action, Claimed, Evidence, Settlement, StaleClaimError
from tests.support.database import Database
from tests.support.people import START, a_place, a_registration, a_tenancy, an_entry, fresh, sign

pytestmark = pytest.mark.contract

LEASE = timedelta(seconds=60)
DELIVER = Evidence(Action.DELIVER, "sha-256:00", ("name", "number"))


@dataclass
class Line:
    """One registration with its way into the outbox and out of it."""

    database: Database
    writer: PostgresTransactions
    outbox: PostgresOutbox
    registration: UUID

    async def put(self, kind: str = "register", client_no: str = "N1") -> int:
        return await an_entry(self.writer, self.registration, client_no, kind)

    async def claim(self, after: timedelta = timedelta(0)) -> Claimed:
        claim = await self.outbox.claim("w1", START + after, LEASE)
        assert claim is not None
        return claim

    def standing(self) -> tuple[str, str]:
        [row] = self.database.execute(
            "SELECT r.state, d.state FROM registrations r JOIN duties d ON d.id = r.duty_id"
        )
        return row[0], row[1]


@pytest_asyncio.fixture
async def line(database: Database) -> AsyncIterator[Line]:
    api = database.transactions("api")
    place = await a_place(api)
    tenancy = a_tenancy(place)
    [tenant] = await sign(api, place, tenancy)
    superuser = Pool(database.superuser)
    database.pools.append(superuser)
    writer = PostgresTransactions(superuser)
    registration = await a_registration(writer, tenancy, tenant, "N1")
    async with PostgresChanges(database.url("relay")) as changes:
        outbox = PostgresOutbox(database.pool("relay"), changes, fresh)
        yield Line(database, writer, outbox, registration)


def receipt(version: int = 1, kind: Kind = Kind.REGISTER, what: str = "receipt") -> Receipt:
    return Receipt(
        what, f"{what}-{version}", "N1", version, kind, "sha-256:00", "2026-03-02T04:00:00Z", "p-1", b"{}"
    )


def verdict(seq: int, state: ProvinceState, *returns: FieldReturn, voucher: Receipt | None = None) -> Verdict:
    return Verdict("N1", 1, seq, state, "2026-03-02T05:00:00Z", returns, None, (), voucher, b"{}")


async def test_the_head_of_the_line_and_nobody_behind_it(line: Line) -> None:
    await line.put()
    await line.put("change")
    first = await line.claim()
    assert (first.version, first.kind, first.sealed, first.ask_first) == (1, Kind.REGISTER, b"sealed", False)
    assert await line.outbox.claim("w2", START, LEASE) is None
    assert await line.outbox.next_due(START) == START + LEASE
    await line.outbox.settle(first, None, Settlement(Unsent(), Park("poison")), START)
    assert await line.outbox.claim("w2", START + LEASE * 2, LEASE) is None  # a parked head holds its line
    assert await line.outbox.next_due(START) is None


async def test_two_workers_never_get_one_row(line: Line) -> None:
    await line.put()
    claims = await asyncio.gather(*(line.outbox.claim(f"w{n}", START, LEASE) for n in range(8)))
    assert len([claim for claim in claims if claim]) == 1


async def test_L26_a_relay_paused_past_its_lease_settles_nothing(line: Line) -> None:
    await line.put()
    paused = await line.claim()
    attempt = await line.outbox.record_attempt(paused, DELIVER, START)
    second = await line.claim(LEASE)
    assert second.fence > paused.fence
    assert second.ask_first  # the first attempt has no recorded end
    with pytest.raises(StaleClaimError):
        await line.outbox.settle(paused, attempt, Settlement(Accepted(), Receipted(receipt())), START + LEASE)
    with pytest.raises(StaleClaimError):
        await line.outbox.record_attempt(paused, DELIVER, START + LEASE)
    assert line.standing() == ("submitted", "filed")
    assert line.database.execute("SELECT outcome FROM attempts") == [(None,)]


async def test_L26_mutant_without_the_fence_the_stale_relay_settles(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import text

    await line.put()
    paused = await line.claim()
    await line.claim(LEASE)
    loose = text("SELECT id, registration_id, client_no, seq, kind FROM outbox WHERE id = :id")
    monkeypatch.setattr("lockserver.db.outbox._OWNED", loose)
    await line.outbox.settle(paused, None, Settlement(Accepted(), Receipted(receipt())), START)
    assert line.standing()[0] == "receipted"


async def test_an_expired_lease_records_no_attempt_even_unclaimed(line: Line) -> None:
    await line.put()
    claim = await line.claim()
    with pytest.raises(StaleClaimError):
        await line.outbox.record_attempt(claim, DELIVER, START + LEASE)


async def test_L30_no_attempt_row_no_delivery(line: Line) -> None:
    await line.put()
    claim = await line.claim()
    line.database.execute("ALTER TABLE attempts ADD CONSTRAINT disk_is_full CHECK (false)")
    with pytest.raises(DBAPIError):
        await line.outbox.record_attempt(claim, DELIVER, START)
    assert line.database.execute("SELECT attempts, ask_first FROM outbox") == [(0, False)]


async def test_a_receipt_moves_the_registration_and_fulfils_the_duty(line: Line) -> None:
    await line.put()
    claim = await line.claim()
    attempt = await line.outbox.record_attempt(claim, DELIVER, START)
    decision = AwaitVerdict(receipt(), START + timedelta(seconds=5))
    await line.outbox.settle(claim, attempt, Settlement(Accepted(receipt=receipt()), decision), START)
    assert line.standing() == ("receipted", "fulfilled")
    assert line.database.execute("SELECT kind, no, raw FROM receipts") == [("receipt", "receipt-1", b"{}")]
    assert line.database.execute("SELECT state, leased_by FROM outbox") == [("settled", None)]
    assert [sent.content_digest for sent in (await line.outbox.sent("N1")).values()] == ["sha-256:00"]
    assert await line.outbox.due_verdicts(START, LEASE, 9) == []
    [due] = await line.outbox.due_verdicts(START + timedelta(seconds=5), LEASE, 9)
    assert (due.client_no, due.version, due.polls) == ("N1", 1, 1)
    accepted = verdict(3, ProvinceState.ACCEPTED, voucher=receipt(what="voucher"))
    assert await line.outbox.record_verdict(accepted, START)
    assert not await line.outbox.record_verdict(verdict(2, ProvinceState.CHECKING), START)
    assert line.standing() == ("accepted", "fulfilled")
    assert line.database.execute("SELECT voucher_no FROM registrations") == [("voucher-1",)]
    assert await line.outbox.due_verdicts(START + LEASE * 9, LEASE, 9) == []


async def test_a_verdict_that_overtook_the_receipt_ends_the_polling(line: Line) -> None:
    await line.put()
    claim = await line.claim()
    assert await line.outbox.record_verdict(verdict(3, ProvinceState.ACCEPTED), START)
    await line.outbox.settle(claim, None, Settlement(Accepted(), AwaitVerdict(receipt(), START)), START)
    assert await line.outbox.due_verdicts(START + LEASE, LEASE, 9) == []


async def test_a_verdict_before_the_lost_receipt_brings_it_along_and_is_not_undone(line: Line) -> None:
    await line.put()
    lost = await line.claim()
    await line.outbox.record_attempt(lost, DELIVER, START)
    came_first = replace(verdict(3, ProvinceState.ACCEPTED), receipts=(receipt(),))
    assert await line.outbox.record_verdict(came_first, START)
    assert line.standing() == ("accepted", "fulfilled")
    assert line.database.execute("SELECT receipt_no FROM registrations") == [("receipt-1",)]
    decision = AwaitVerdict(receipt(), START)
    await line.outbox.settle(lost, None, Settlement(Accepted(), decision), START)
    assert line.standing() == ("accepted", "fulfilled")
    assert line.database.execute("SELECT count(*) FROM receipts") == [(1,)]


async def test_a_receipt_after_a_return_fulfils_nothing(line: Line) -> None:
    await line.put()
    claim = await line.claim()
    wrong = FieldReturn("address_id", "A01")
    assert await line.outbox.record_verdict(verdict(2, ProvinceState.RETURNED, wrong), START)
    await line.outbox.settle(claim, None, Settlement(Accepted(), AwaitVerdict(receipt(), START)), START)
    assert line.standing() == ("returned", "filed")


async def test_a_return_names_its_field_and_opens_the_duty_again(line: Line) -> None:
    await line.put()
    claim = await line.claim()
    await line.outbox.settle(claim, None, Settlement(Accepted(), AwaitVerdict(receipt(), START)), START)
    wrong = FieldReturn("address_id", "A01")
    assert await line.outbox.record_verdict(verdict(2, ProvinceState.RETURNED, wrong), START)
    assert line.standing() == ("returned", "filed")
    assert line.database.execute("SELECT return_field, return_code FROM registrations") == [
        ("address_id", "A01")
    ]


async def test_refused_at_the_door_parks_for_repair(line: Line) -> None:
    await line.put()
    claim = await line.claim()
    wrong = (FieldReturn("phone", "F02"),)
    await line.outbox.settle(claim, None, Settlement(FieldsReturned(returns=wrong), Repair(wrong)), START)
    assert line.standing() == ("returned", "filed")
    assert line.database.execute("SELECT state, park_reason FROM outbox") == [("parked", "repair:F02:phone")]


async def test_retry_and_ask_first_wait_for_their_time(line: Line) -> None:
    await line.put()
    later = START + timedelta(seconds=9)
    for decision, asks in ((RetryAt(later), False), (AskFirst(later), True)):
        claim = await line.claim(later - START)
        attempt = await line.outbox.record_attempt(claim, DELIVER, later)
        await line.outbox.settle(claim, attempt, Settlement(Unknown(), decision), later)
        assert await line.outbox.claim("w", START, LEASE) is None
        assert await line.outbox.next_due(START) == later
        assert line.database.execute("SELECT ask_first FROM outbox") == [(asks,)]


async def test_a_departure_is_the_last_word(line: Line) -> None:
    await line.put()
    await line.outbox.settle(
        await line.claim(), None, Settlement(Accepted(), AwaitVerdict(receipt(), START)), START
    )
    await line.put("departure")
    last = receipt(2, Kind.DEPARTURE)
    await line.outbox.settle(await line.claim(), None, Settlement(Accepted(), Receipted(last)), START)
    assert line.standing()[0] == "departed"
    assert await line.outbox.record_verdict(verdict(9, ProvinceState.ACCEPTED), START)
    assert line.standing()[0] == "departed"


async def test_the_relay_is_woken(line: Line) -> None:
    waiting = asyncio.create_task(line.outbox.wait(30))
    await asyncio.sleep(0.05)
    await line.put()
    await asyncio.wait_for(waiting, 10)


async def test_a_reply_waits_for_the_verdict_that_overtook_it_and_holds_nothing_meanwhile(line: Line) -> None:
    """A callback in the middle of its transaction must never meet a settlement head on."""
    await line.put()
    claim = await line.claim()
    attempt = await line.outbox.record_attempt(claim, DELIVER, START)
    decision = Settlement(Accepted(receipt=receipt()), Receipted(receipt()))
    province = Pool(line.database.superuser)
    line.database.pools.append(province)
    async with province.transaction() as verdict_in_hand:
        await verdict_in_hand.execute(
            text("SELECT 1 FROM registrations WHERE client_no = 'N1' FOR NO KEY UPDATE")
        )
        settling = asyncio.create_task(line.outbox.settle(claim, attempt, decision, START))
        await _someone_waits_for_a_lock(line)
        await verdict_in_hand.execute(
            text("SELECT 1 FROM outbox WHERE client_no = 'N1' FOR KEY SHARE NOWAIT")
        )  # would be refused if the settlement had taken the filing before the registration
    await settling
    assert line.standing() == ("receipted", "fulfilled")


async def _someone_waits_for_a_lock(line: Line) -> None:
    async with asyncio.timeout(10):
        while not line.database.execute("SELECT 1 FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.02)
