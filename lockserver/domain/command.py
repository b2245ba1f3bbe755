"""A remote command's life: `queued → sent → done | refused | expired | unknown`.

    queued ──publish──► sent ──signed report──► done | refused
      │                  ├─signed "counter unused" after the deadline──► expired
      │                  └─deadline + grace, nothing heard──► unknown ──signed evidence, once──►
      └─deadline, never published──► expired                          done | refused | expired

No other step exists (L-17), none leads back, and nothing becomes `done` without the lock's own
signed report (L-22). The database's trigger guards the same table of steps.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from lockserver.domain.errors import StepIllegalError

CommandKind = Literal["unlock", "lock", "hold_open"]
CommandState = Literal["queued", "sent", "done", "refused", "expired", "unknown"]

MAX_LIFE = timedelta(seconds=20)
"""`not_after` is at most this far ahead: an unlock is an event that must die young."""
GRACE = timedelta(seconds=5)
"""How long after the deadline a report may still be on its way before we call it `unknown`."""

LEGAL_STEPS: frozenset[tuple[CommandState, CommandState]] = frozenset(
    {
        ("queued", "sent"),
        ("queued", "expired"),
        ("sent", "done"),
        ("sent", "refused"),
        ("sent", "expired"),
        ("sent", "unknown"),
        ("unknown", "done"),
        ("unknown", "refused"),
        ("unknown", "expired"),
    }
)
NEEDS_EVIDENCE: frozenset[tuple[CommandState, CommandState]] = frozenset(
    step for step in LEGAL_STEPS if step[0] != "queued" and step[1] != "unknown"
)
"""Once published, only the lock's signed word settles a command."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command to one lock; `counter` rises per lock and is spent by it at most once.

    `via`: how it went last, `mqtt` or a gateway's id. `fault`: what stood, or stands, in its way (`domain.fault`).
    """

    id: UUID
    lock_id: UUID
    holder_id: UUID
    grant_id: UUID
    credential_id: UUID | None
    wish_id: UUID
    kind: CommandKind
    counter: int
    state: CommandState
    not_after: datetime
    code: str | None = None
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    evidence: bytes | None = None
    via: str | None = None
    fault: str | None = None

    def is_settled(self) -> bool:
        """Tell whether nothing but late evidence for `unknown` can still change it."""
        return self.state not in ("queued", "sent")

    def sent(self, at: datetime) -> "Command":
        """Return the command as published; raises StepIllegalError."""
        self._check("sent", evidence=None)
        return replace(self, state="sent", sent_at=at)

    def settled(
        self,
        state: CommandState,
        at: datetime,
        *,
        code: str | None = None,
        evidence: bytes | None = None,
    ) -> "Command":
        """Return the command settled; raises StepIllegalError for any other step, or no evidence."""
        self._check(state, evidence)
        return replace(self, state=state, settled_at=at, code=code, evidence=evidence)

    def overdue(self, now: datetime) -> CommandState | None:
        """Return what time alone makes of it: `expired`, `unknown`, or None (nothing yet)."""
        if self.state == "queued" and now >= self.not_after:
            return "expired"
        if self.state == "sent" and now >= self.not_after + GRACE:
            return "unknown"
        return None

    def _check(self, state: CommandState, evidence: bytes | None) -> None:
        step = (self.state, state)
        if step not in LEGAL_STEPS:
            raise StepIllegalError(before=self.state, after=state)
        if step in NEEDS_EVIDENCE and evidence is None:
            raise StepIllegalError(before=self.state, after=state, missing="evidence")
