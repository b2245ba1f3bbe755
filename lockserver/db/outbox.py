"""The outbox on PostgreSQL: `police_sync.relay.ports.Outbox`, every method one transaction.

A claim is a lease plus a fencing number that rises with each claim: a relay that was paused past
its lease finds its number gone and can settle nothing (L-26). An attempt is committed before
anything leaves (L-30). A row leaves the line only settled, so that versions of one registration
arrive ascending (L-27).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Executable, Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.db.connection import Pool
from lockserver.db.registration_standing import keep_receipt, keep_verdict, receipted, returned
from lockserver.db.tables import Instant
from police_sync.relay.filing import Kind, Sent
from police_sync.relay.outcomes import Verdict
from police_sync.relay.policy import AskFirst, AwaitVerdict, Park, Receipted, Repair, RetryAt
from police_sync.relay.ports import (
    Attempt,
    Awaiting,
    Claimed,
    Evidence,
    Settlement,
    StaleClaimError,
)

if TYPE_CHECKING:
    from lockserver.app import ports
    from police_sync.relay import ports as relay_ports


def _statement(sql: str, **instants: type[Instant]) -> Executable:
    return text(sql).columns(**instants) if instants else text(sql)


_CLAIM = _statement(
    """
    WITH head AS (
        SELECT o.id FROM outbox o
        WHERE o.state = 'ready' AND o.next_at <= :now
          AND (o.leased_until IS NULL OR o.leased_until <= :now)
          AND NOT EXISTS (
            SELECT 1 FROM outbox e
            WHERE e.client_no = o.client_no AND e.seq < o.seq AND e.state <> 'settled')
        ORDER BY o.next_at LIMIT 1
        FOR UPDATE OF o SKIP LOCKED)
    UPDATE outbox o
    SET fencing = o.fencing + 1, leased_by = :worker, leased_until = :until
    FROM head WHERE o.id = head.id
    RETURNING o.id, o.client_no, o.seq, o.kind, o.sealed, o.attempts, o.ask_first, o.fencing
    """
)
_NEXT_DUE = _statement(
    """
    SELECT min(CASE WHEN o.leased_until > :now THEN o.leased_until ELSE o.next_at END) AS due
    FROM outbox o
    WHERE o.state = 'ready' AND NOT EXISTS (
        SELECT 1 FROM outbox e
        WHERE e.client_no = o.client_no AND e.seq < o.seq AND e.state <> 'settled')
    """,
    due=Instant,
)
_BEGIN = _statement(
    """
    UPDATE outbox SET attempts = attempts + 1, ask_first = true
    WHERE id = :id AND fencing = :fence AND state = 'ready' AND leased_until > :at
    RETURNING attempts
    """
)
_ATTEMPT = _statement(
    """
    INSERT INTO attempts
        (id, outbox_id, fencing, n, action, content_digest, field_names, started_at)
    VALUES (:id, :outbox_id, :fence, :n, :action, :digest, :fields, :at)
    """
)
_OWNED = _statement(
    """
    SELECT id, registration_id, client_no, seq, kind FROM outbox
    WHERE id = :id AND fencing = :fence AND state = 'ready' FOR UPDATE
    """
)
_REGISTRATION_FIRST = _statement("SELECT 1 FROM registrations WHERE client_no = :client_no FOR NO KEY UPDATE")
"""A verdict that overtakes a reply holds the registration and then touches its filing: whoever settles takes
the two in the same order, or both wait for each other."""
_FINISH = _statement(
    """
    UPDATE attempts SET finished_at = :at, outcome = :outcome, detail = :detail
    WHERE id = :id AND outbox_id = :outbox_id AND finished_at IS NULL
    """
)
_SETTLED = _statement(
    """
    UPDATE outbox SET state = 'settled', settled_at = :at, ask_first = false,
        leased_by = NULL, leased_until = NULL WHERE id = :id
    """
)
_AGAIN = _statement(
    """
    UPDATE outbox SET next_at = :next_at, ask_first = :ask_first,
        leased_by = NULL, leased_until = NULL WHERE id = :id
    """
)
_PARKED = _statement(
    """
    UPDATE outbox SET state = 'parked', park_reason = :reason,
        leased_by = NULL, leased_until = NULL WHERE id = :id
    """
)
_SENT = _statement(
    """
    SELECT DISTINCT ON (o.seq) o.seq, o.kind, a.content_digest
    FROM outbox o JOIN attempts a ON a.outbox_id = o.id
    WHERE o.client_no = :client_no ORDER BY o.seq, a.n DESC
    """
)
_DUE_VERDICTS = _statement(
    """
    UPDATE registrations r SET poll_at = :held, polls = r.polls + 1
    FROM (
        SELECT id FROM registrations WHERE poll_at <= :now
        ORDER BY poll_at LIMIT :most FOR UPDATE SKIP LOCKED) due
    WHERE r.id = due.id RETURNING r.client_no, r.poll_version, r.polls
    """
)
_POSTPONE = _statement(
    "UPDATE registrations SET poll_at = :until WHERE client_no = :client_no AND poll_at IS NOT NULL"
)
_WAKE = _statement("SELECT pg_notify('outbox', :client_no)")


class PostgresOutbox:
    """The relay's way out of the outbox, as the role relay."""

    def __init__(self, pool: Pool, changes: ports.Changes, new_id: Callable[[], UUID]) -> None:
        self._pool = pool
        self._changes = changes
        self._new_id = new_id

    async def claim(self, worker: str, now: datetime, lease: timedelta) -> Claimed | None:
        """Lease the head of a line that is due, or None."""
        until = now + lease
        async with self._pool.single() as connection:
            given = {"now": now, "until": until, "worker": worker}
            row = (await connection.execute(_CLAIM, given)).first()
        if row is None:
            return None
        return Claimed(
            entry_id=str(row.id),
            client_no=row.client_no,
            version=row.seq,
            kind=Kind(row.kind),
            sealed=row.sealed,
            attempts=row.attempts,
            ask_first=row.ask_first,
            fence=row.fencing,
            lease_until=until,
        )

    async def next_due(self, now: datetime) -> datetime | None:
        """When a claim may next succeed, or None."""
        async with self._pool.single() as connection:
            due: datetime | None = (await connection.execute(_NEXT_DUE, {"now": now})).scalar()
        return due

    async def record_attempt(self, claim: Claimed, evidence: Evidence, at: datetime) -> Attempt:
        """Commit the attempt before it is made. Raises StaleClaimError."""
        attempt_id = self._new_id()
        async with self._pool.transaction() as connection:
            entry = {"id": UUID(claim.entry_id), "fence": claim.fence, "at": at}
            number = (await connection.execute(_BEGIN, entry)).scalar()
            if number is None:
                raise StaleClaimError(claim.entry_id)
            await connection.execute(
                _ATTEMPT,
                {
                    "id": attempt_id,
                    "outbox_id": UUID(claim.entry_id),
                    "fence": claim.fence,
                    "n": number,
                    "action": evidence.action.value,
                    "digest": evidence.content_digest,
                    "fields": list(evidence.fields),
                    "at": at,
                },
            )
        return Attempt(str(attempt_id), int(number))

    async def settle(
        self, claim: Claimed, attempt: Attempt | None, settlement: Settlement, at: datetime
    ) -> None:
        """End the attempt and the claim together. Raises StaleClaimError, changing nothing."""
        async with self._pool.transaction() as connection:
            await connection.execute(_REGISTRATION_FIRST, {"client_no": claim.client_no})
            owned = {"id": UUID(claim.entry_id), "fence": claim.fence}
            entry = (await connection.execute(_OWNED, owned)).first()
            if entry is None:
                raise StaleClaimError(claim.entry_id)
            if attempt is not None:
                outcome = settlement.outcome
                await connection.execute(
                    _FINISH,
                    {
                        "id": UUID(attempt.attempt_id),
                        "outbox_id": entry.id,
                        "at": at,
                        "outcome": outcome.code,
                        "detail": outcome.detail,
                    },
                )
            await self._obey(connection, entry, settlement, at)
            await connection.execute(_WAKE, {"client_no": entry.client_no})

    async def _obey(
        self, connection: AsyncConnection, entry: Row[Any], settlement: Settlement, at: datetime
    ) -> None:
        """Carry out the decision on a row that is ours."""
        match settlement.decision:
            case Receipted() | AwaitVerdict() as decision:
                await connection.execute(_SETTLED, {"id": entry.id, "at": at})
                await keep_receipt(connection, self._new_id(), entry, decision.receipt, at)
                await receipted(connection, entry, decision.receipt, at)
                if decision.verdict is not None:
                    await keep_verdict(connection, self._new_id, decision.verdict, at)
                if isinstance(decision, AwaitVerdict):
                    await _poll(connection, entry, decision.poll_at)
            case RetryAt(at=next_at):
                again = {"id": entry.id, "next_at": next_at, "ask_first": False}
                await connection.execute(_AGAIN, again)
            case AskFirst(at=next_at):
                again = {"id": entry.id, "next_at": next_at, "ask_first": True}
                await connection.execute(_AGAIN, again)
            case Repair(returns=returns):
                reason = f"repair:{returns[0].code}:{returns[0].field}"
                await connection.execute(_PARKED, {"id": entry.id, "reason": reason})
                await returned(connection, entry, returns[0])
            case Park(reason=reason):
                await connection.execute(_PARKED, {"id": entry.id, "reason": reason})

    async def wait(self, timeout_s: float) -> None:
        """Return when a row may have become deliverable, or after `timeout_s`."""
        async with self._changes.watch("outbox") as woken:
            await woken.next(timeout_s)

    async def sent(self, client_no: str) -> Mapping[int, Sent]:
        """By version, what the last attempt was recorded for."""
        async with self._pool.single() as connection:
            rows = (await connection.execute(_SENT, {"client_no": client_no})).all()
        return {row.seq: Sent(Kind(row.kind), row.content_digest) for row in rows}

    async def due_verdicts(self, now: datetime, hold: timedelta, limit: int) -> Sequence[Awaiting]:
        """Registrations whose poll time has come, each held back until now + hold."""
        given = {"now": now, "held": now + hold, "most": limit}
        async with self._pool.single() as connection:
            rows = (await connection.execute(_DUE_VERDICTS, given)).all()
        return [Awaiting(row.client_no, row.poll_version, row.polls) for row in rows]

    async def postpone_verdict(self, client_no: str, until: datetime) -> None:
        """Poll this registration again, not before `until`."""
        async with self._pool.single() as connection:
            await connection.execute(_POSTPONE, {"client_no": client_no, "until": until})

    async def record_verdict(self, verdict: Verdict, at: datetime) -> bool:
        """Keep a verified state document if its `seq` is above the one held."""
        async with self._pool.transaction() as connection:
            return await keep_verdict(connection, self._new_id, verdict, at)


async def _poll(connection: AsyncConnection, entry: Row[Any], poll_at: datetime) -> None:
    """Ask for the verdict on this version, unless a settled one on it, or a later, is here."""
    await connection.execute(
        text(
            """
            UPDATE registrations SET poll_version = :version, poll_at = :poll_at, polls = 0
            WHERE id = :id AND NOT (verdict_settled AND coalesce(verdict_version, 0) >= :version)
            """
        ),
        {"id": entry.registration_id, "version": entry.seq, "poll_at": poll_at},
    )


if TYPE_CHECKING:

    def _holds(outbox: PostgresOutbox) -> relay_ports.Outbox:
        return outbox
