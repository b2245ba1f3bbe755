"""From the locks: bounded queues, one lock always in the same one, so that its reports stay in order.

What is not a report of a lock of ours is dropped and counted; what cannot be understood costs itself
and nothing else. When a queue is full the newest is shed, and said so: a lock repeats what matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog

from lockserver.app.accept_report import ITSELF, Carried, Heard, accept_report, follow_up
from lockserver.app.bridging import Bridging
from lockserver.app.converge_access import ask_hello
from lockserver.app.converge_firmware import continue_firmware, offer_firmware
from lockserver.app.hear_gateway import hear_gateway
from lockserver.app.ingest_journal import Batch, acknowledge, ingest_journals
from lockserver.app.watch_connections import lock_gone
from lockserver.domain.errors import DomainError
from lockserver.mqtt.offers import Offers
from lockserver.mqtt.topics import enrolling_lock, owns, reporting_lock, speaking_gateway
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.limits import MAX_ENVELOPE

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[None]]

WORKERS = 4
"""Reports handled at once; each waits for a commit most of the time."""
QUEUE = 2_000
"""Reports waiting for one worker: a second's worth. Beyond it they are shed."""
JOURNAL_QUEUE = 1_000
"""Journal batches waiting for the group commit."""
GROUP = 64
"""Batches in one transaction: 8,192 entries at most."""
LINGER_S = 0.02
"""How long the first batch of a group waits for company: nobody stands waiting for it."""
SHED_NOTICE_S = 1.0


@dataclass(slots=True)
class Tally:
    """What became of messages, for health pages and tests."""

    taken: int = 0
    dropped: int = 0
    shed: int = 0
    faults: int = 0
    journal_entries: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count a message that was nobody's."""
        self.dropped += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


class Inbound:
    """Takes every message of the broker, and hands what is a lock's report to its use case."""

    def __init__(
        self,
        world: Bridging,
        owned: frozenset[str],
        on_heard: Callable[[UUID], None],
        converge: Callable[[UUID], Awaitable[None]],
        offers: Offers | None = None,
    ) -> None:
        self._world = world
        self._owned = owned
        self._on_heard = on_heard
        self._converge = converge
        self._offers = offers or Offers(lambda _serial, _message: False)
        self._queues: list[asyncio.Queue[Work]] = [asyncio.Queue(QUEUE) for _ in range(WORKERS)]
        self._journals: asyncio.Queue[Batch] = asyncio.Queue(JOURNAL_QUEUE)
        self._last_notice = 0.0
        self.tally = Tally()

    def on_message(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - paho's flag
        """Take one message; never blocks, never raises."""
        if retained:
            # We keep nothing at the broker: what is retained there was planted.
            self.tally.drop("retained")
            return
        if len(payload) > MAX_ENVELOPE:
            self.tally.drop("too_large")
            return
        lock_id = reporting_lock(topic, self._owned)
        if lock_id is not None:
            self._put(lock_id.int, partial(self._deal, lock_id, payload))
        elif (gateway_id := speaking_gateway(topic)) is not None:
            self._put(gateway_id.int, partial(self._hear, gateway_id, payload))
        elif (serial := enrolling_lock(topic)) is not None:
            self._offers.heard(serial, payload)
        else:
            self.tally.drop("foreign_topic")

    def left(self, lock_id: UUID) -> None:
        """The broker says that a lock's connection ended: after what it said before, in its own queue."""
        self._put(lock_id.int, partial(lock_gone, self._world, lock_id))

    def _put(self, number: int, work: Work) -> None:
        """Queue a message; one sender's are dealt with in order."""
        try:
            self._queues[number % WORKERS].put_nowait(work)
        except asyncio.QueueFull:
            self._shed("reports")

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            for queue in self._queues:
                group.create_task(self._work(queue))
            group.create_task(self._commit_journals())

    async def drained(self) -> None:
        """Wait until everything that was taken is dealt with."""
        for queue in self._queues:
            await queue.join()
        await self._journals.join()

    async def take(self, lock_id: UUID, payload: bytes, by: Carried = ITSELF) -> Heard | None:
        """Deal with one report; None for what is no report of this lock's."""
        try:
            heard = await accept_report(self._world, lock_id, payload, by)
        except RemoteError as error:
            self.tally.drop(error.code.word)
            log.warning("bridge.report_refused", lock=lock_id.hex, reason=error.code.word)
            return None
        self.tally.taken += 1
        if heard.converge:
            # Only a hello begins anew: a lock that answers a document by refusing it is not sent it at once again.
            self._on_heard(lock_id)
        if heard.batch is not None:
            await self._journals.put(heard.batch)
        return heard

    async def _work(self, queue: asyncio.Queue[Work]) -> None:
        while True:
            work = await queue.get()
            try:
                await work()
            except DomainError as error:
                # The issuer is silent or a row was taken: the lock will ask again.
                log.warning("bridge.report_unfinished", code=error.code)
            except Exception:
                self.tally.faults += 1
                log.exception("bridge.report_failed")
            finally:
                queue.task_done()

    async def _hear(self, gateway_id: UUID, payload: bytes) -> None:
        """Take a gateway's frame; what it carries counts only as far as a lock signed it."""
        keeper = owns(gateway_id, self._owned)
        try:
            carried = await hear_gateway(self._world, gateway_id, payload, keeper=keeper)
        except RemoteError as error:
            self.tally.drop(error.code.word)
            log.warning("bridge.gateway_refused", gateway=gateway_id.hex, reason=error.code.word)
            return
        lock_id = None if carried is None else UUID(bytes=carried.lock_id)
        if carried is not None and lock_id is not None and owns(lock_id, self._owned):
            # In the lock's own queue: what comes through two gateways must not be taken at once.
            by = Carried("gateway", gateway_id)
            self._put(lock_id.int, partial(self._deal, lock_id, carried.box, by))

    async def _deal(self, lock_id: UUID, payload: bytes, by: Carried = ITSELF) -> None:
        heard = await self.take(lock_id, payload, by)
        if heard is None:
            return
        if heard.acknowledge is not None:
            acknowledge(self._world, heard.acknowledge, self._world.clock.now())
        if heard.time_nonce is not None:
            await follow_up(self._world, lock_id, heard)
        if heard.converge:
            await self._converge(lock_id)
            await offer_firmware(self._world, lock_id)
        if heard.firmware is not None:
            await continue_firmware(self._world, lock_id, heard.firmware)

    async def _commit_journals(self) -> None:
        """Group commit: what came within a moment shares one transaction."""
        while True:
            group = [await self._journals.get()]
            if self._journals.qsize() < GROUP - 1:
                await asyncio.sleep(LINGER_S)
            while len(group) < GROUP and not self._journals.empty():
                group.append(self._journals.get_nowait())
            try:
                await self._commit(group)
            finally:
                for _ in group:
                    self._journals.task_done()

    async def _commit(self, group: list[Batch]) -> None:
        """Keep a group; if it fails as a whole, each batch alone, so that one poisons no other."""
        try:
            done = await ingest_journals(self._world, group)
        except Exception:
            if len(group) == 1:
                self.tally.faults += 1
                log.exception("bridge.journal_failed", lock=group[0].lock.id.hex)
                return
            log.warning("bridge.journal_group_split", batches=len(group))
            for batch in group:
                await self._commit([batch])
            return
        self.tally.journal_entries += sum(len(batch.entries) for batch in group)
        now = self._world.clock.now()
        for one in done.kept:
            acknowledge(self._world, one, now)
        for lock in done.asked:
            ask_hello(self._world, lock)

    def _shed(self, what: str) -> None:
        self.tally.shed += 1
        now = asyncio.get_running_loop().time()
        if now - self._last_notice >= SHED_NOTICE_S:
            self._last_notice = now
            log.error("bridge.shed", what=what, total=self.tally.shed)
