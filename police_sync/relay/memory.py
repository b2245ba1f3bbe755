"""The outbox port in memory: the port's reference, for unit tests and the simulated world.

Single event loop, no await inside a method: every method is atomic, as a transaction is.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from police_sync.relay.filing import Kind, Sent
from police_sync.relay.outcomes import Receipt, Verdict
from police_sync.relay.policy import AskFirst, AwaitVerdict, Park, Receipted, Repair, RetryAt
from police_sync.relay.ports import (
    Attempt,
    Awaiting,
    Claimed,
    Evidence,
    Settlement,
    StaleClaimError,
)


@dataclass(slots=True)
class RecordedAttempt:
    """One row of the attempts."""

    number: int
    evidence: Evidence
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str | None = None
    detail: str = ""


@dataclass(slots=True)
class Row:
    """One outbox row."""

    entry_id: str
    client_no: str
    version: int
    kind: Kind
    sealed: bytes
    next_at: datetime
    state: str = "ready"
    fence: int = 0
    leased_until: datetime | None = None
    ask_first: bool = False
    park_reason: str | None = None
    attempts: list[RecordedAttempt] = field(default_factory=list)

    def leased(self, now: datetime) -> bool:
        """Whether a living lease holds the row."""
        return self.leased_until is not None and now < self.leased_until


@dataclass(slots=True)
class Standing:
    """What is known of one registration at the province."""

    seq: int = 0
    verdict: Verdict | None = None
    poll_version: int | None = None
    poll_at: datetime | None = None
    polls: int = 0


class MemoryOutbox:
    """`police_sync.relay.ports.Outbox` in memory."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Row] = {}
        self.receipts: list[Receipt] = []
        self.standing: dict[str, Standing] = {}
        self._changed = asyncio.Event()

    def enqueue(  # what the use case's transaction does in the real one
        self, client_no: str, version: int, kind: Kind, sealed: bytes, next_at: datetime
    ) -> str:
        """Put a row in; returns its id.

        Raises:
            ValueError: this version of this registration is already there.

        """
        if (client_no, version) in self.rows:
            raise ValueError("outbox: unique(client_no, version)")
        entry_id = f"{client_no}/{version}"
        self.rows[client_no, version] = Row(entry_id, client_no, version, kind, sealed, next_at)
        self._changed.set()
        return entry_id

    def _heads(self) -> list[Row]:
        """The lowest unsettled version of each registration, where it is ready."""
        lowest: dict[str, Row] = {}
        for row in self.rows.values():
            if row.state != "settled":
                held = lowest.get(row.client_no)
                if held is None or row.version < held.version:
                    lowest[row.client_no] = row
        return [row for row in lowest.values() if row.state == "ready"]

    async def claim(self, worker: str, now: datetime, lease: timedelta) -> Claimed | None:
        """See the port."""
        del worker  # the real one writes it down for the operator
        free = [r for r in self._heads() if r.next_at <= now and not r.leased(now)]
        if not free:
            return None
        row = min(free, key=lambda r: r.next_at)
        row.fence += 1
        row.leased_until = now + lease
        return Claimed(
            entry_id=row.entry_id,
            client_no=row.client_no,
            version=row.version,
            kind=row.kind,
            sealed=row.sealed,
            attempts=len(row.attempts),
            ask_first=row.ask_first,
            fence=row.fence,
            lease_until=row.leased_until,
        )

    async def next_due(self, now: datetime) -> datetime | None:
        """See the port."""
        dues = [
            row.leased_until if row.leased_until is not None and row.leased(now) else row.next_at
            for row in self._heads()
        ]
        return min(dues, default=None)

    def _owned(self, claim: Claimed) -> Row:
        row = self.rows[claim.client_no, claim.version]
        if row.fence != claim.fence or row.state != "ready":
            raise StaleClaimError(claim.entry_id)
        return row

    async def record_attempt(self, claim: Claimed, evidence: Evidence, at: datetime) -> Attempt:
        """See the port."""
        row = self._owned(claim)
        if not row.leased(at):
            raise StaleClaimError(claim.entry_id)
        number = len(row.attempts) + 1
        row.attempts.append(RecordedAttempt(number, evidence, at))
        row.ask_first = True
        return Attempt(f"{row.entry_id}#{number}", number)

    async def settle(
        self, claim: Claimed, attempt: Attempt | None, settlement: Settlement, at: datetime
    ) -> None:
        """See the port."""
        row = self._owned(claim)
        if attempt is not None:
            record = row.attempts[attempt.number - 1]
            record.finished_at = at
            record.outcome = settlement.outcome.code
            record.detail = settlement.outcome.detail
        row.leased_until = None
        match settlement.decision:
            case Receipted(receipt=receipt, verdict=verdict):
                self._receipted(row, receipt, verdict, None)
            case AwaitVerdict(receipt=receipt, verdict=verdict, poll_at=poll_at):
                self._receipted(row, receipt, verdict, poll_at)
            case RetryAt(at=next_at):
                row.next_at, row.ask_first = next_at, False
            case AskFirst(at=next_at):
                row.next_at, row.ask_first = next_at, True
            case Repair(returns=returns):
                row.state = "parked"
                row.park_reason = f"repair:{returns[0].code}:{returns[0].field}"
            case Park(reason=reason):
                row.state, row.park_reason = "parked", reason
        self._changed.set()

    def _receipted(
        self, row: Row, receipt: Receipt, verdict: Verdict | None, poll_at: datetime | None
    ) -> None:
        row.state, row.ask_first = "settled", False
        self.receipts.append(receipt)
        standing = self.standing.setdefault(row.client_no, Standing())
        if verdict is not None:
            self._keep(verdict)
        known = standing.verdict
        answered = known is not None and known.settled and known.version >= row.version
        if poll_at is not None and not answered:
            standing.poll_version, standing.poll_at, standing.polls = row.version, poll_at, 0

    async def wait(self, timeout_s: float) -> None:
        """See the port."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        self._changed.clear()

    async def sent(self, client_no: str) -> Mapping[int, Sent]:
        """See the port."""
        return {
            row.version: Sent(row.kind, row.attempts[-1].evidence.content_digest)
            for row in self.rows.values()
            if row.client_no == client_no and row.attempts
        }

    async def due_verdicts(self, now: datetime, hold: timedelta, limit: int) -> Sequence[Awaiting]:
        """See the port."""
        found: list[Awaiting] = []
        for client_no, standing in self.standing.items():
            due = standing.poll_at is not None and standing.poll_at <= now
            if not due or standing.poll_version is None or len(found) >= limit:
                continue
            standing.poll_at = now + hold
            standing.polls += 1
            found.append(Awaiting(client_no, standing.poll_version, standing.polls))
        return found

    async def postpone_verdict(self, client_no: str, until: datetime) -> None:
        """See the port."""
        standing = self.standing[client_no]
        if standing.poll_at is not None:
            standing.poll_at = until

    async def record_verdict(self, verdict: Verdict, at: datetime) -> bool:
        """See the port."""
        del at  # the real one writes it down
        return self._keep(verdict)

    def _keep(self, verdict: Verdict) -> bool:
        standing = self.standing.setdefault(verdict.client_no, Standing())
        if verdict.seq <= standing.seq:
            return False
        standing.seq, standing.verdict = verdict.seq, verdict
        if verdict.voucher is not None and verdict.voucher not in self.receipts:
            self.receipts.append(verdict.voucher)
        polled = standing.poll_version
        if verdict.settled and polled is not None and polled <= verdict.version:
            standing.poll_version = standing.poll_at = None
        return True
