"""Outboxes that break one sentence of the port each, and the contract test that catches each of them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from police_sync.relay.memory import MemoryOutbox, Row
from police_sync.relay.outcomes import Verdict
from police_sync.relay.ports import Attempt, Claimed, Evidence
from tests.contract.test_outbox_contract import MemoryBench, OutboxBench, OutboxContract


class _NoFence(MemoryOutbox):
    def _owned(self, claim: Claimed) -> Row:
        return self.rows[claim.client_no, claim.version]


class _NoLine(MemoryOutbox):
    def _heads(self) -> list[Row]:
        return [row for row in self.rows.values() if row.state == "ready"]


class _ParkedLetsPass(MemoryOutbox):
    def _heads(self) -> list[Row]:
        ready = [row for row in self.rows.values() if row.state == "ready"]
        lowest = {row.client_no: row for row in sorted(ready, key=lambda r: -r.version)}
        return list(lowest.values())


class _ForgetsOpenAttempts(MemoryOutbox):
    async def record_attempt(self, claim: Claimed, evidence: Evidence, at: datetime) -> Attempt:
        made = await super().record_attempt(claim, evidence, at)
        self.rows[claim.client_no, claim.version].ask_first = False
        return made


class _RecordsAfterwards(MemoryOutbox):
    async def record_attempt(self, claim: Claimed, evidence: Evidence, at: datetime) -> Attempt:
        made = await super().record_attempt(claim, evidence, at)
        self.rows[claim.client_no, claim.version].attempts.pop()
        return made


class _ListensLate(MemoryOutbox):
    async def wait(self, timeout_s: float) -> None:
        await asyncio.sleep(0.1)
        self._changed.clear()
        await super().wait(timeout_s)


class _AnyVerdict(MemoryOutbox):
    def _keep(self, verdict: Verdict) -> bool:
        self.standing[verdict.client_no].seq = 0
        return super()._keep(verdict)


MUTANTS: list[tuple[type[MemoryOutbox], Callable[[OutboxContract, OutboxBench], Awaitable[None]]]] = [
    (_NoFence, OutboxContract.test_L26_the_stale_worker_cannot_settle),
    (_NoFence, OutboxContract.test_L26_who_settled_once_cannot_settle_again),
    (_NoLine, OutboxContract.test_L27_only_the_head_of_the_line_is_claimable),
    (_NoLine, OutboxContract.test_L27_a_postponed_head_holds_its_line),
    (_ParkedLetsPass, OutboxContract.test_L27_a_parked_head_holds_its_line_and_no_other),
    (_ForgetsOpenAttempts, OutboxContract.test_L24_an_attempt_without_an_end_asks_first),
    (_RecordsAfterwards, OutboxContract.test_L30_an_attempt_is_there_before_its_end),
    (_ListensLate, OutboxContract.test_a_new_row_wakes_who_waits),
    (_AnyVerdict, OutboxContract.test_an_older_verdict_changes_nothing),
]


@pytest.mark.parametrize(
    ("mutant", "sentence"), MUTANTS, ids=[f"{m.__name__}-{t.__name__}" for m, t in MUTANTS]
)
async def test_mutant_is_caught(
    mutant: type[MemoryOutbox], sentence: Callable[[OutboxContract, OutboxBench], Awaitable[None]]
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, TimeoutError)):
        await sentence(OutboxContract(), MemoryBench(mutant()))
