"""What follows from an outcome: a pure function; the loop only obeys.

| outcome | decision | why |
|---|---|---|
| accepted, found | AwaitVerdict or Receipted | a receipt that holds closes the row |
| not there | RetryAt(now) | we asked, so we may repeat |
| unsent, certain ill | RetryAt(back-off) | nothing was accepted, no need to ask |
| unknown, other ill, malformed, forged | AskFirst(back-off) | it may have been accepted: never repeat blind |
| fields returned | Repair | one field, not the form |
| conflict, refused | Park | repeating will not help; a person must look |

Nothing here gives up on account of age or number: a row ends receipted, in repair or parked, loudly.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from police_sync.relay.filing import Kind
from police_sync.relay.outcomes import (
    Accepted,
    Conflict,
    FieldReturn,
    FieldsReturned,
    Found,
    Ill,
    NotThere,
    Outcome,
    Receipt,
    Refused,
    Unsent,
    Verdict,
)

RETRY_AFTER_CAP_S = 3600  # a province that asks for a week would silently break a statute's deadline
_DOUBLINGS_MAX = 30  # beyond every cap; keeps the shift small after years of attempts


@dataclass(frozen=True, slots=True)
class Receipted:
    """Done: the receipt is verified, and no verdict is to be expected."""

    receipt: Receipt
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class AwaitVerdict:
    """Delivered: the receipt is verified; the province's check is asked for at `poll_at`."""

    receipt: Receipt
    poll_at: datetime
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Deliver again, not before `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class AskFirst:
    """Ask by `client_no`, not before `at`, and deliver only if the province does not hold it."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Repair:
    """Refused at the door: these fields go back to their owner; the row waits for a new body."""

    returns: tuple[FieldReturn, ...]


@dataclass(frozen=True, slots=True)
class Park:
    """Stop and call a person; later versions of this registration wait behind it."""

    reason: str


Decision = Receipted | AwaitVerdict | RetryAt | AskFirst | Repair | Park


@dataclass(frozen=True, slots=True)
class BackOff:
    """Exponential with jitter: between half and all of min(cap, first × 2^(attempts-1)), seconds."""

    first_s: float = 2.0
    cap_s: float = 900.0
    poll_first_s: float = 2.0
    poll_cap_s: float = 3600.0

    def after(self, attempts: int, jitter: float) -> timedelta:
        """How long to wait after `attempts` tries; `jitter` in [0, 1)."""
        return _doubled(self.first_s, self.cap_s, attempts, jitter)

    def poll_after(self, polls: int, jitter: float) -> timedelta:
        """How long to wait for a verdict after `polls` questions; `jitter` in [0, 1)."""
        return _doubled(self.poll_first_s, self.poll_cap_s, polls, jitter)


def _doubled(first_s: float, cap_s: float, count: int, jitter: float) -> timedelta:
    full = min(cap_s, first_s * (1 << min(max(count - 1, 0), _DOUBLINGS_MAX)))
    return timedelta(seconds=full * (0.5 + jitter / 2))


_DEFAULT = BackOff()


def decide(
    outcome: Outcome,
    attempts: int,
    now: datetime,
    *,
    kind: Kind,
    jitter: float,
    back_off: BackOff = _DEFAULT,
) -> Decision:
    """What to do after `outcome`, the last of `attempts` recorded tries.

    `now` is aware UTC; `jitter` in [0, 1) is drawn by the caller. Never raises.
    """
    match outcome:
        case Accepted(receipt=Receipt() as receipt):
            return _receipted(receipt, None, now, kind, jitter, back_off)
        case Found(receipt=Receipt() as receipt, verdict=verdict):
            return _receipted(receipt, verdict, now, kind, jitter, back_off)
        case NotThere():
            return RetryAt(now)
        case FieldsReturned(returns=returns) if returns:
            return Repair(returns)
        case FieldsReturned() | Conflict() | Refused():
            return Park(f"{outcome.code}:{outcome.detail}" if outcome.detail else outcome.code)
        case _:
            pass
    wait = back_off.after(attempts, jitter)
    if isinstance(outcome, Ill) and outcome.retry_after_s is not None:
        asked = timedelta(seconds=min(outcome.retry_after_s, RETRY_AFTER_CAP_S))
        wait = max(wait, asked)
    if isinstance(outcome, Unsent) or (isinstance(outcome, Ill) and outcome.certain):
        return RetryAt(now + wait)
    return AskFirst(now + wait)


def _receipted(
    receipt: Receipt,
    verdict: Verdict | None,
    now: datetime,
    kind: Kind,
    jitter: float,
    back_off: BackOff,
) -> Decision:
    checked = kind in {Kind.REGISTER, Kind.CHANGE}
    if not checked or (verdict is not None and verdict.settled):
        return Receipted(receipt, verdict)
    return AwaitVerdict(receipt, now + back_off.poll_after(1, jitter), verdict)
