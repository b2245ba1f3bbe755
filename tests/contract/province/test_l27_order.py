"""L-26, L-27, L-30, L-48 at the relay: order, leases, records before deliveries, fields at the gate."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from police_sync.relay.deliver import Delivery
from police_sync.relay.fieldgate import pass_gate
from police_sync.relay.filing import Filing, Kind, content_digest
from police_sync.relay.memory import MemoryOutbox, Row
from police_sync.relay.outcomes import Outcome
from police_sync.relay.ports import Attempt, Claimed, Evidence, StaleClaimError
from tests.contract.province.parts import (
    RelayUnderTest,
    change_of,
    departure_of,
    registration,
    sealed,
)
from tests.contract.province.sentences import exactly_once


# ---- L-27
async def busy_day(under_test: RelayUnderTest, *, overnight: bool = False) -> list[str]:
    """Six registrations with two changes and a departure each, replies dropped.

    They come while the relay works, or have all come when it starts (`overnight`).
    """
    chance = random.Random(27)
    lines = []
    for _ in range(6):
        first = registration()
        under_test.province.know(first)
        change = change_of(first, 2, phone="13100000000")
        another = change_of(first, 3, occupation_code="40")
        lines.append([
            (Kind.REGISTER, first), (Kind.CHANGE, change), (Kind.CHANGE, another),
            (Kind.DEPARTURE, departure_of(first, 4)),
        ])  # fmt: skip
    numbers = [str(line[0][1]["client_no"]) for line in lines]
    under_test.province.order("drop_reply", times=None, share=0.3, seed=27)
    stop = asyncio.Event()
    working = [] if overnight else [asyncio.create_task(under_test.relay.run(stop))]
    while lines:
        line = chance.choice(lines)
        under_test.put(*line.pop(0))
        lines = [one for one in lines if one]
    working = working or [asyncio.create_task(under_test.relay.run(stop))]
    async with asyncio.timeout(90):
        while any(row.state == "ready" for row in under_test.outbox.rows.values()):
            await asyncio.sleep(0.05)
    stop.set()
    await working[0]
    under_test.province.clear()
    return numbers


def ascending(under_test: RelayUnderTest, client_no: str) -> None:
    """L-27's sentence, in the order in which the province took the filings in."""
    record = under_test.province.record(client_no)
    assert record is not None
    taken = sorted(record["filings"], key=lambda f: f["receipt_no"])
    assert [f["version"] for f in taken] == [1, 2, 3, 4]
    refused = [c for c in under_test.province.calls(client_no) if c["status"] == 409]
    assert refused == [], "the province saw a version out of order"
    assert record["state"] == "DEPARTED"


def _all_ascending(under_test: RelayUnderTest, numbers: list[str]) -> None:
    for client_no in numbers:
        ascending(under_test, client_no)


@pytest.mark.parametrize("overnight", [False, True])
async def test_L27_the_province_sees_versions_ascending(under_test: RelayUnderTest, overnight: bool) -> None:
    for client_no in await busy_day(under_test, overnight=overnight):
        ascending(under_test, client_no)
        for version in (1, 2, 3, 4):
            exactly_once(under_test, client_no, version)


async def test_L27_mutant_takes_any_row(under_test: RelayUnderTest) -> None:
    class NoLine(MemoryOutbox):
        def _heads(self) -> list[Row]:
            rows = [row for row in self.rows.values() if row.state == "ready"]
            untried = [row for row in rows if not row.attempts and row.leased_until is None]
            return [max(untried, key=lambda row: row.version)] if untried else rows

    under_test.outbox = NoLine()
    under_test.relay = under_test.build(Delivery)
    numbers = await busy_day(under_test, overnight=True)
    with pytest.raises(AssertionError):
        _all_ascending(under_test, numbers)


# ---- L-30
class FullDisk(MemoryOutbox):
    """The attempts table takes nothing more."""

    async def record_attempt(self, claim: Claimed, evidence: Evidence, at: datetime) -> Attempt:
        raise OSError(28, "No space left on device")


async def one_try(under_test: RelayUnderTest, delivery: type[Delivery]) -> str:
    """One registration, and one claim of it that fails to be recorded."""
    under_test.outbox = FullDisk()
    under_test.relay = under_test.build(delivery)
    client_no = under_test.put(Kind.REGISTER, registration())
    with pytest.raises(OSError, match="No space"):
        await under_test.relay.step()
    return client_no


async def test_L30_no_delivery_without_a_recorded_attempt(under_test: RelayUnderTest) -> None:
    client_no = await one_try(under_test, Delivery)
    assert under_test.province.calls(client_no) == []
    assert under_test.state(client_no) == "ready"


async def test_L30_mutant_delivers_first(under_test: RelayUnderTest) -> None:
    class DeliversFirst(Delivery):
        async def settle(self, claim: Claimed) -> Outcome:
            opened = self.opener.open(claim)
            where = {"client_no": claim.client_no, "version": claim.version, "kind": claim.kind}
            await self._deliver(pass_gate(opened, **where))  # type: ignore[arg-type]
            return await super().settle(claim)

    client_no = await one_try(under_test, DeliversFirst)
    assert under_test.province.calls(client_no) != [], "the mutant must be seen by the test above"


async def test_L30_the_loop_outlives_it_and_delivers_when_there_is_room(
    under_test: RelayUnderTest,
) -> None:
    class FillsUpOnce(MemoryOutbox):
        full = True

        async def record_attempt(self, claim: Claimed, evidence: Evidence, at: datetime) -> Attempt:
            if self.full:
                self.full = False
                self.rows[claim.client_no, claim.version].leased_until = None  # its lease ran out
                raise OSError(28, "No space left on device")
            return await super().record_attempt(claim, evidence, at)

    under_test.outbox = FillsUpOnce()
    under_test.relay = under_test.build(Delivery)
    body = registration()
    client_no = under_test.put(Kind.REGISTER, body)
    stop = asyncio.Event()
    running = asyncio.create_task(under_test.relay.run(stop))
    async with asyncio.timeout(30):
        while under_test.state(client_no) != "settled":
            await asyncio.sleep(0.02)
    stop.set()
    await running
    exactly_once(under_test, client_no)


# ---- L-26
async def paused_past_its_lease(under_test: RelayUnderTest, delivery: type[Delivery]) -> str:
    """The worker is stopped between recording and sending, and resumes when its lease is over."""

    class Sleeps(MemoryOutbox):
        async def record_attempt(self, claim: Claimed, evidence: Evidence, at: datetime) -> Attempt:
            made = await super().record_attempt(claim, evidence, at)
            moved = under_test.clock.now() + timedelta(hours=1)
            under_test.clock.now = lambda: moved  # type: ignore[method-assign]
            return made

    under_test.outbox = Sleeps()
    under_test.relay = under_test.build(delivery)
    client_no = under_test.put(Kind.REGISTER, registration())
    with pytest.raises(StaleClaimError):
        await under_test.relay.step()
    return client_no


async def test_L26_a_paused_worker_sends_nothing_past_its_lease(
    under_test: RelayUnderTest,
) -> None:
    client_no = await paused_past_its_lease(under_test, Delivery)
    assert under_test.province.calls(client_no) == []
    assert under_test.outbox.rows[client_no, 1].ask_first, "who takes over must ask"


async def test_L26_mutant_sends_whenever_it_wakes(under_test: RelayUnderTest) -> None:
    class NeverLooks(Delivery):
        def _still_ours(self, claim: Claimed) -> None:
            pass

    with pytest.raises(pytest.fail.Exception):  # it is not stale to itself: it sends
        await paused_past_its_lease(under_test, NeverLooks)


# ---- L-48
EXTRA: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "door event": lambda body: {**body, "last_unlock": "2026-03-02T04:00:00Z"},
    "face score": lambda body: {**body, "face_score": 1},
    "nested": lambda body: {**body, "name": {"name": body["name"], "note": "x"}},
    "another row": lambda body: {**body, "version": 2},
    "missing": lambda body: {k: v for k, v in body.items() if k != "phone"},
    "a float": lambda body: {**body, "version": 1.0},
}


@pytest.mark.parametrize("spoil", EXTRA.values(), ids=EXTRA)
async def test_L48_nothing_else_leaves(
    under_test: RelayUnderTest, spoil: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    body = registration()
    client_no = str(body["client_no"])
    row = sealed(spoil(body))
    under_test.outbox.enqueue(client_no, 1, Kind.REGISTER, row, under_test.clock.now())
    good = under_test.put(Kind.REGISTER, registration())
    await under_test.until(lambda: under_test.state(good) == "settled")
    assert under_test.state(client_no) == "parked"
    reason = under_test.outbox.rows[client_no, 1].park_reason
    assert reason is not None
    assert body["document_number"] not in reason
    assert under_test.province.calls(client_no) == []


async def test_L48_mutant_lets_an_extra_field_through(
    under_test: RelayUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("police_sync.relay.fieldgate.body_faults", lambda *_: [])
    body = {**registration(), "last_unlock": "2026-03-02T04:00:00Z"}
    client_no = under_test.put(Kind.REGISTER, body)
    await under_test.relay.step()
    assert under_test.province.calls(client_no) != [], "the test above would see this mutant"
    assert under_test.state(client_no) == "parked", "the province refuses what is not its contract"


async def test_L48_the_record_names_exactly_what_the_province_got(
    under_test: RelayUnderTest,
) -> None:
    body = registration()
    under_test.province.know(body)
    client_no = under_test.put(Kind.REGISTER, body)
    under_test.put(Kind.CHANGE, change_of(body, 2, phone="13100000000"))
    await under_test.until(lambda: under_test.state(client_no, 2) == "settled")
    record = under_test.province.record(client_no)
    assert record is not None
    for filing in record["filings"]:
        row = under_test.outbox.rows[client_no, filing["version"]]
        assert list(row.attempts[-1].evidence.fields) == filing["fields"]
        assert row.attempts[-1].evidence.content_digest == filing["content_digest"]


async def test_a_body_sealed_for_another_row_is_parked_and_others_go_on(
    under_test: RelayUnderTest,
) -> None:
    mine, other = registration(), registration()
    moved = under_test.put(Kind.REGISTER, {**mine, "version": 1})
    under_test.outbox.rows[moved, 1].sealed = sealed(other)
    under_test.put(Kind.REGISTER, other)
    await under_test.until(lambda: under_test.state(str(other["client_no"])) == "settled")
    assert under_test.outbox.rows[moved, 1].park_reason == "cannot_open"


async def test_a_filing_prints_without_its_content() -> None:
    filing = Filing("n" * 16, 1, Kind.REGISTER, b'{"name":"x"}', content_digest(b"x"), ("name",))
    assert "name" not in repr(replace(filing))
