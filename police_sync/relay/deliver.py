"""One claimed row, from opening to settlement. The order of the steps is the law (L-24, L-30)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from police_sync.relay.classify import classify_answer, classify_delivery
from police_sync.relay.client import ProvinceClient, Reply
from police_sync.relay.fieldgate import GateRefusedError, pass_gate
from police_sync.relay.filing import Filing
from police_sync.relay.outcomes import Outcome, ReceiptForged, Refused
from police_sync.relay.policy import AwaitVerdict, BackOff, Park, Receipted, Repair, decide
from police_sync.relay.ports import (
    Action,
    CannotOpenError,
    Claimed,
    Clock,
    Evidence,
    Opener,
    Outbox,
    Settlement,
    StaleClaimError,
)
from police_sync.relay.receipts import PinnedKeys

log = structlog.get_logger("relay")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What it takes to settle a claim. `jitter` draws from [0, 1)."""

    outbox: Outbox
    opener: Opener
    province: ProvinceClient
    pins: PinnedKeys
    clock: Clock
    jitter: Callable[[], float]
    back_off: BackOff

    async def settle(self, claim: Claimed) -> Outcome:
        """Open, gate, record, try, decide, settle.

        Raises:
            StaleClaimError: another worker owns the row by now.
            Exception: whatever the outbox raises; if it could not record, nothing was sent.

        """
        try:
            opened = self.opener.open(claim)
            filing = pass_gate(opened, client_no=claim.client_no, version=claim.version, kind=claim.kind)
        except CannotOpenError:
            return await self._park_unsent(claim, "cannot_open")
        except GateRefusedError as refusal:
            return await self._park_unsent(claim, f"gate:{refusal.reason}")
        action = Action.ASK if claim.ask_first else Action.DELIVER
        evidence = Evidence(action, filing.content_digest, filing.fields)
        attempt = await self.outbox.record_attempt(claim, evidence, self.clock.now())
        self._still_ours(claim)
        outcome = await (self._ask(filing) if claim.ask_first else self._deliver(filing))
        now = self.clock.now()
        decision = decide(
            outcome,
            attempt.number,
            now,
            kind=claim.kind,
            jitter=self.jitter(),
            back_off=self.back_off,
        )
        settlement = Settlement(outcome, decision)
        await self.outbox.settle(claim, attempt, settlement, now)
        self._tell(claim, action, attempt.number, settlement)
        return outcome

    def _still_ours(self, claim: Claimed) -> None:
        """A worker that was paused after recording must not send beyond its lease (L-26)."""
        margin = timedelta(seconds=self.province.call_timeout_s)
        if self.clock.now() + margin > claim.lease_until:
            raise StaleClaimError(claim.entry_id)

    async def _deliver(self, filing: Filing) -> Outcome:
        reply = await self.province.deliver(filing)
        if not isinstance(reply, Reply):
            return reply
        return classify_delivery(reply, filing, self.pins, self.clock.now())

    async def _ask(self, filing: Filing) -> Outcome:
        sent = await self.outbox.sent(filing.client_no)
        reply = await self.province.ask(filing.client_no)
        if not isinstance(reply, Reply):
            return reply
        return classify_answer(reply, filing.client_no, filing.version, sent, self.pins, self.clock.now())

    async def _park_unsent(self, claim: Claimed, reason: str) -> Outcome:
        outcome = Refused(reason)
        settlement = Settlement(outcome, Park(reason))
        await self.outbox.settle(claim, None, settlement, self.clock.now())
        self._tell(claim, None, claim.attempts, settlement)
        return outcome

    @staticmethod
    def _tell(claim: Claimed, action: Action | None, number: int, settlement: Settlement) -> None:
        outcome, decision = settlement.outcome, settlement.decision
        entry = log.bind(
            client_no=claim.client_no,
            version=claim.version,
            kind=claim.kind.value,
            action=action.value if action else "none",
            attempt=number,
            outcome=outcome.code,
            detail=outcome.detail,
        )
        if isinstance(outcome, ReceiptForged):
            entry.error("relay.receipt.forged")
        match decision:
            case Receipted() | AwaitVerdict():
                entry.info("relay.entry.receipted", receipt_no=decision.receipt.no)
            case Park():
                entry.error("relay.entry.parked", reason=decision.reason)
            case Repair():
                fields = [f"{fault.code}:{fault.field}" for fault in decision.returns]
                entry.warning("relay.entry.returned", fields=fields)
            case _:
                next_step = type(decision).__name__
                entry.warning("relay.entry.postponed", next=next_step, at=decision.at.isoformat())
