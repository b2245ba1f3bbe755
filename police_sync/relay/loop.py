"""The relay at work: claims rows, a few at a time, until it is told to stop.

Wakes on the outbox's notification, on the next row's due time, on the end of a delivery; holds back
while the breaker is open; lets deliveries under way finish when it stops. What it cannot finish is
safe: the attempt stands recorded without an end, so the next claim asks first.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from police_sync.relay.breaker import Breaker
from police_sync.relay.deliver import Delivery
from police_sync.relay.outcomes import TROUBLE, Outcome
from police_sync.relay.ports import Claimed, StaleClaimError
from police_sync.relay.verdicts import VerdictPolling

log = structlog.get_logger("relay")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Bounds of one relay process; times in seconds. The lease must outlast a call with a margin."""

    worker: str
    concurrency: int = 8
    lease_s: float = 60.0
    idle_poll_s: float = 30.0  # a lost notification costs at most this
    verdict_poll_s: float = 5.0
    stop_grace_s: float = 10.0
    outbox_pause_s: float = 1.0  # after the outbox itself failed


@dataclass(slots=True)
class Relay:
    """One relay process's work: deliveries and verdict polling."""

    delivery: Delivery
    settings: RelaySettings
    breaker: Breaker = field(default_factory=Breaker)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if self.settings.lease_s < 2 * self.delivery.province.call_timeout_s:
            raise ValueError("relay: the lease must be at least twice a call's deadline")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is under way (at most `stop_grace_s`)."""
        under_way: set[asyncio.Task[None]] = set()
        polling = asyncio.create_task(self._poll_verdicts(stop))
        log.info("relay.started", worker=self.settings.worker)
        try:
            while not stop.is_set():
                await self._turn(under_way, stop)
        finally:
            await self._finish(under_way, polling)
            log.info("relay.stopped", worker=self.settings.worker)

    async def step(self) -> Outcome | None:
        """Claim one row and settle it; None when none is deliverable. For simulation and tests."""
        claim = await self._claim()
        return None if claim is None else await self._settle(claim)

    async def _turn(self, under_way: set[asyncio.Task[None]], stop: asyncio.Event) -> None:
        """Start one delivery, or wait until one may be started."""
        self._wake.clear()
        if pause := self.breaker.pause_s(self.delivery.clock.now()):
            await self._first(stop.wait(), timeout_s=pause)
            return
        room = 1 if self.breaker.half_open else self.settings.concurrency
        if len(under_way) >= room:
            await self._first(stop.wait(), self._wake.wait())
            return
        # Listening begins before looking: a row that is put in between would otherwise be noticed
        # only at the next idle poll.
        hint = asyncio.create_task(self.delivery.outbox.wait(self.settings.idle_poll_s))
        try:
            await asyncio.sleep(0)
            claim = await self._claim()
            if claim is None:
                await self._idle(hint, stop)
                return
        except Exception as error:  # noqa: BLE001 - the database is away; the loop must outlive that
            log.error("relay.outbox.unavailable", error=type(error).__name__)  # noqa: TRY400 - texts of drivers may carry values
            await self._first(stop.wait(), timeout_s=self.settings.outbox_pause_s)
            return
        finally:
            hint.cancel()
            await asyncio.gather(hint, return_exceptions=True)
        task = asyncio.create_task(self._guarded(claim))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    async def _idle(self, hint: asyncio.Task[None], stop: asyncio.Event) -> None:
        now = self.delivery.clock.now()
        due = await self.delivery.outbox.next_due(now)
        timeout_s = self.settings.idle_poll_s
        if due is not None:
            # At least a moment: a row that another worker is just claiming must not spin us.
            timeout_s = min(timeout_s, max((due - now).total_seconds(), 0.01))
        await self._first(asyncio.shield(hint), stop.wait(), self._wake.wait(), timeout_s=timeout_s)
        if hint.done():
            hint.result()  # a LISTEN that broke is the outbox's failure: let the caller see it

    async def _claim(self) -> Claimed | None:
        settings = self.settings
        return await self.delivery.outbox.claim(
            settings.worker, self.delivery.clock.now(), timedelta(seconds=settings.lease_s)
        )

    async def _settle(self, claim: Claimed) -> Outcome:
        outcome = await self.delivery.settle(claim)
        if isinstance(outcome, TROUBLE):
            if self.breaker.trouble(self.delivery.clock.now()):
                log.warning("relay.circuit.opened", outcome=outcome.code, detail=outcome.detail)
        elif self.breaker.well():
            log.info("relay.circuit.closed")
        return outcome

    async def _guarded(self, claim: Claimed) -> None:
        entry = log.bind(client_no=claim.client_no, version=claim.version)
        try:
            await self._settle(claim)
        except StaleClaimError:
            entry.warning("relay.claim.stale", fence=claim.fence)
        except Exception as error:  # noqa: BLE001 - one row's failure must not end the others
            # The lease runs out and the row is claimed again; if an attempt was recorded, it asks.
            entry.error("relay.entry.failed", error=type(error).__name__)
            await asyncio.sleep(self.settings.outbox_pause_s)
        finally:
            self._wake.set()

    async def _poll_verdicts(self, stop: asyncio.Event) -> None:
        delivery = self.delivery
        polling = VerdictPolling(
            delivery.outbox,
            delivery.province,
            delivery.pins,
            delivery.clock,
            delivery.jitter,
            delivery.back_off,
        )
        while not stop.is_set():
            try:
                if not self.breaker.half_open:
                    await polling.poll()
            except Exception as error:  # noqa: BLE001 - as above: polling must outlive the database
                log.error("relay.polling.failed", error=type(error).__name__)  # noqa: TRY400 - as above
            await self._first(stop.wait(), timeout_s=self.settings.verdict_poll_s)

    async def _finish(self, under_way: set[asyncio.Task[None]], polling: asyncio.Task[None]) -> None:
        tasks = {*under_way, polling}
        _, late = await asyncio.wait(tasks, timeout=self.settings.stop_grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    @staticmethod
    async def _first(*waits: Awaitable[Any], timeout_s: float | None = None) -> None:
        """Return when the first of `waits` is over; the others are cancelled."""
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
