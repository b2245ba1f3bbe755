"""What the relay needs from the house it works in.

`lockserver.db` implements the outbox on PostgreSQL, `police_sync.relay.memory` in memory;
`tests/contract/test_outbox_contract.py` holds both to the sentences below.

Rows: one per filing, `unique(client_no, version)`, in state `ready`, `settled` or `parked`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from police_sync.relay.filing import Kind, Sent
from police_sync.relay.outcomes import Outcome, Verdict
from police_sync.relay.policy import Decision


class StaleClaimError(Exception):
    """The claim's fencing number is no longer the row's, or its lease has run out: hands off."""


class CannotOpenError(Exception):
    """The sealed body does not open under the relay's key for this row."""


class Action(StrEnum):
    """What an attempt does."""

    DELIVER = "deliver"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Claimed:
    """One row, leased to one worker.

    `attempts` counts every attempt ever recorded for the row. `ask_first` is true when the last
    attempt ended in a decision to ask, **or has no recorded end** (the relay died in between).
    `fence` grows with every claim of the row.
    """

    entry_id: str
    client_no: str
    version: int
    kind: Kind
    sealed: bytes
    attempts: int
    ask_first: bool
    fence: int
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is about to happen, written down before it does. No personal value.

    `content_digest` and `fields` describe the body that is about to leave (or is asked for);
    for a tenant's ledger, `fields` counts as sent only where `action` is DELIVER.
    """

    action: Action
    content_digest: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorded attempt: `number` counts from 1 within the row."""

    attempt_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a claim: what the try came to and what follows."""

    outcome: Outcome
    decision: Decision


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A registration whose receipt is in and whose verdict is not."""

    client_no: str
    version: int
    polls: int  # questions already asked for this version, this one included


class Clock(Protocol):
    """Aware UTC."""

    def now(self) -> datetime:
        """The present instant."""
        ...


class Outbox(Protocol):
    """Durable intents to file, with leases. Every method is one transaction."""

    async def claim(self, worker: str, now: datetime, lease: timedelta) -> Claimed | None:
        """Lease one deliverable row, or None.

        Deliverable: `ready`, its `next_at` reached, not under a living lease, and **head of the
        line**: no lower version of the same `client_no` that is not `settled` (a parked one holds
        its successors back). Claiming raises the row's fencing number. Concurrent claims never
        return the same row, and never wait for each other (FOR UPDATE SKIP LOCKED).
        """
        ...

    async def next_due(self, now: datetime) -> datetime | None:
        """When a claim may next succeed, or None when nothing is ready.

        The earliest `next_at` or end of lease among head-of-line rows; `now` or earlier: at once.
        """
        ...

    async def record_attempt(self, claim: Claimed, evidence: Evidence, at: datetime) -> Attempt:
        """Write down a try **before** it is made, durably (L-30).

        From here until `settle`, the row counts as `ask_first`.

        Raises:
            StaleClaimError: the fencing number has moved on, or `at` is past the lease.

        """
        ...

    async def settle(
        self, claim: Claimed, attempt: Attempt | None, settlement: Settlement, at: datetime
    ) -> None:
        """End the attempt and the claim in one transaction, and release the lease.

        By decision: `Receipted` and `AwaitVerdict` store the receipt verbatim and make the row
        `settled` (AwaitVerdict also sets the registration's poll time, unless a settled verdict on
        this or a later version is already there; their `verdict`, if any, is recorded as by
        `record_verdict`); `RetryAt` and `AskFirst` set `next_at` and `ask_first`; `Repair` and
        `Park` make the row `parked` (reason `repair:<code>:<field>` of the first return, or the
        park's reason; Repair also marks the registration returned). `attempt` is None only when
        nothing was tried (the body may not leave).

        Raises:
            StaleClaimError: the fencing number has moved on. Nothing is changed.

        """
        ...

    async def wait(self, timeout_s: float) -> None:
        """Return when a row may have become deliverable (NOTIFY) or after `timeout_s`.

        Listening begins before the first suspension: the caller starts to wait, then looks. May be
        cancelled at any time.
        """
        ...

    async def sent(self, client_no: str) -> Mapping[int, Sent]:
        """By version, what attempts were recorded for (the last one's digest). Empty: unknown here."""
        ...

    async def due_verdicts(self, now: datetime, hold: timedelta, limit: int) -> Sequence[Awaiting]:
        """Registrations whose poll time has come, each held back from everybody until now + hold."""
        ...

    async def postpone_verdict(self, client_no: str, until: datetime) -> None:
        """Nothing settled yet: poll this registration again, not before `until`."""
        ...

    async def record_verdict(self, verdict: Verdict, at: datetime) -> bool:
        """Keep a verified state document if its `seq` is above the one held.

        Its voucher, if any and not held yet, is kept verbatim among the receipts. A settled verdict ends the polling
        of versions up to its own.

        Returns False, changing nothing, when an equal or newer one is held.
        """
        ...


class Opener(Protocol):
    """Opens sealed outbox bodies with the relay's private key."""

    def open(self, claim: Claimed) -> bytes:
        """The body's JSON bytes.

        Raises:
            CannotOpenError: wrong key, tampered, or sealed for another row.

        """
        ...
