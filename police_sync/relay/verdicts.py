"""What the province says after its check: by callback, and by asking when no callback comes.

Both ways end in one place, `keep`; a state document counts by its signature and its `seq`, however
it came.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from police_sync.relay.classify import classify_answer
from police_sync.relay.client import ProvinceClient, Reply
from police_sync.relay.outcomes import Found, Outcome, ReceiptForged, Verdict
from police_sync.relay.policy import BackOff
from police_sync.relay.ports import Awaiting, Clock, Outbox
from police_sync.relay.receipts import Forged, PinnedKeys, check_state

log = structlog.get_logger("relay")

HOLD = timedelta(seconds=60)  # longer than a call's deadline: two pollers never ask the same at once


@dataclass(frozen=True, slots=True)
class NotOurs:
    """A state document about a registration that we never filed (finding F3)."""


async def keep(
    document: dict[str, Any], *, client_no: str, outbox: Outbox, pins: PinnedKeys, clock: Clock
) -> Verdict | Forged | NotOurs:
    """Verify a state document about `client_no` and keep it if it is news."""
    sent = await outbox.sent(client_no)
    if not sent:
        log.error("relay.verdict.not_ours", client_no=client_no)
        return NotOurs()
    checked = check_state(document, client_no=client_no, sent=sent, pins=pins, now=clock.now())
    if isinstance(checked, Forged):
        log.error("relay.verdict.forged", client_no=client_no, detail=checked.reason)
        return checked
    await _record(checked, outbox, clock, "callback")
    return checked


async def _record(verdict: Verdict, outbox: Outbox, clock: Clock, way: str) -> None:
    if await outbox.record_verdict(verdict, clock.now()):
        log.info(
            "relay.verdict.recorded",
            client_no=verdict.client_no,
            version=verdict.version,
            state=verdict.state.value,
            fields=[f"{fault.code}:{fault.field}" for fault in verdict.returns],
            way=way,
        )


@dataclass(frozen=True, slots=True)
class VerdictPolling:
    """Asks for verdicts that no callback brought."""

    outbox: Outbox
    province: ProvinceClient
    pins: PinnedKeys
    clock: Clock
    jitter: Callable[[], float]
    back_off: BackOff

    async def poll(self, limit: int = 20) -> list[Outcome]:
        """Ask for what is due, at most `limit` registrations, one after the other."""
        due = await self.outbox.due_verdicts(self.clock.now(), HOLD, limit)
        return [await self._poll_one(awaiting) for awaiting in due]

    async def _poll_one(self, awaiting: Awaiting) -> Outcome:
        client_no = awaiting.client_no
        sent = await self.outbox.sent(client_no)
        reply = await self.province.ask(client_no)
        outcome: Outcome
        if isinstance(reply, Reply):
            outcome = classify_answer(reply, client_no, awaiting.version, sent, self.pins, self.clock.now())
        else:
            outcome = reply
        verdict = outcome.verdict if isinstance(outcome, Found) else None
        if verdict is not None:
            await _record(verdict, self.outbox, self.clock, "poll")
        if verdict is None or not verdict.settled:
            wait = self.back_off.poll_after(awaiting.polls, self.jitter())
            await self.outbox.postpone_verdict(client_no, self.clock.now() + wait)
        if isinstance(outcome, ReceiptForged):
            log.error("relay.verdict.forged", client_no=client_no, detail=outcome.detail)
        elif verdict is None:
            log.warning(
                "relay.verdict.unanswered",
                client_no=client_no,
                outcome=outcome.code,
                detail=outcome.detail,
            )
        return outcome
