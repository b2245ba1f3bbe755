"""The bridge: owns shards, keeps a connection to the broker, runs both directions over it.

Its client id is secret and made anew at each connection: whoever connected under it would throw the
bridge out. A lost broker is come back to with a growing, jittered pause; a lost database ends the
ownership of shards, and with it everything, until they are owned again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID

import structlog

from lockserver.app.accept_report import Carried
from lockserver.app.bridging import Bridging
from lockserver.app.hear_gateway import gateway_gone
from lockserver.app.ports import Changes, Random
from lockserver.mqtt.inbound import Inbound
from lockserver.mqtt.link import BrokerAddress, BrokerLink, LinkLost
from lockserver.mqtt.offers import Offers
from lockserver.mqtt.outbound import Outbound
from lockserver.mqtt.topics import command_topic, filters, gateway_down, owns
from lockserver.protocol.topics import enrol_down

log = structlog.get_logger(__name__)

NAME = re.compile(r"[0-9a-f]{32}")
"""A lock's or a gateway's client id."""
PAUSE_S = (0.1, 10.0)
"""First and longest pause before the broker is tried again."""
CLIENT_ID_BYTES = 16
DRAIN_S = 3.0


class Ownership(Protocol):
    """Shards that are ours while it lives."""

    @property
    def shards(self) -> frozenset[str]:
        """What we own."""
        ...

    async def lost(self) -> None:
        """Return when the ownership is gone."""
        ...


Own = Callable[[frozenset[str]], AbstractAsyncContextManager[Ownership]]
"""Takes the shards that it can get of those that are wanted."""


class Bus:
    """The command bus over whatever link there is just now."""

    def __init__(self) -> None:
        self._link: BrokerLink | None = None

    @property
    def is_open(self) -> bool:
        """Whether a broker is there to take envelopes."""
        return self._link is not None and not self._link.lost.is_set()

    def use(self, link: BrokerLink | None) -> None:
        """Publish over this link from now on."""
        self._link = link

    def publish(self, lock_id: bytes, envelope: bytes) -> bool:
        """Hand one over. False: it certainly left nobody's hands."""
        return self._link is not None and self._link.publish(command_topic(lock_id), envelope)

    def publish_gateway(self, gateway_id: bytes, frame: bytes) -> bool:
        """Hand a frame over towards a gateway."""
        return self._link is not None and self._link.publish(gateway_down(gateway_id), frame)

    def publish_enrolling(self, serial: str, message: bytes) -> bool:
        """Hand an enrolment's message over towards a lock that has no identity yet."""
        return self._link is not None and self._link.publish(enrol_down(serial), message)


@dataclass(slots=True)
class Bridge:
    """One bridge process's work."""

    world: Bridging
    bus: Bus
    changes: Changes
    address: BrokerAddress
    own: Own
    wanted: frozenset[str]
    random: Random
    inbound: Inbound | None = None
    offers: Offers = field(init=False)
    _owned: frozenset[str] = frozenset()
    _leaving: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Enrolments go out over whatever link there is."""
        self.offers = Offers(self.bus.publish_enrolling)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled; `ready` is called when the first subscription stands."""
        while True:
            async with self.own(self.wanted) as ownership:
                log.info("bridge.owns", shards=len(ownership.shards))
                await self._serve(ownership, ready)
            log.warning("bridge.shards_lost")

    async def report(self, lock_id: UUID, payload: bytes) -> bool:
        """Take a report that a phone carried; tell whether it was this lock's."""
        inbound = self.inbound
        if inbound is None:
            return False
        heard = await inbound.take(lock_id, payload, Carried("phone"))
        return heard is not None

    def gone(self, name: str) -> None:
        """The broker says that a connection under this client id ended; never blocks, never raises."""
        if NAME.fullmatch(name) is None:
            return
        who = UUID(hex=name)
        if self.world.carrying.knows(who):
            task = asyncio.get_running_loop().create_task(self._gateway_gone(who))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        elif self.inbound is not None and owns(who, self._owned):
            self.inbound.left(who)

    async def _gateway_gone(self, gateway_id: UUID) -> None:
        try:
            await gateway_gone(self.world, gateway_id)
        except Exception:
            log.exception("bridge.leave_failed", gateway=gateway_id.hex)

    async def _serve(self, ownership: Ownership, ready: Callable[[], None]) -> None:
        """Run everything while the shards are ours."""
        shards = ownership.shards
        outbound = Outbound(self.world, self.changes, lambda lock_id: owns(lock_id, shards))
        inbound = Inbound(self.world, shards, outbound.reached, outbound.converge, self.offers)
        self.inbound, self._owned = inbound, shards
        work = [
            asyncio.create_task(inbound.run(), name="inbound"),
            asyncio.create_task(outbound.run(), name="outbound"),
            asyncio.create_task(self._stay_connected(inbound, outbound, shards, ready), name="link"),
        ]
        gone = asyncio.create_task(ownership.lost(), name="ownership")
        try:
            done, _ = await asyncio.wait([*work, gone], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {gone}:
                task.result()
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(inbound.drained(), DRAIN_S)
            raise
        finally:
            self.inbound, self._owned = None, frozenset()
            self.bus.use(None)
            await _end([*work, gone])

    async def _stay_connected(
        self,
        inbound: Inbound,
        outbound: Outbound,
        shards: frozenset[str],
        ready: Callable[[], None],
    ) -> None:
        pause = PAUSE_S[0]
        while True:
            try:
                await self._connected(inbound, outbound, shards, ready)
                pause = PAUSE_S[0]
            except LinkLost as lost:
                log.warning("bridge.broker_lost", reason=str(lost), pause_s=round(pause, 1))
            jitter = int.from_bytes(self.random(2)) / 65536
            await asyncio.sleep(pause * (0.5 + jitter))
            pause = min(pause * 2, PAUSE_S[1])

    async def _connected(
        self,
        inbound: Inbound,
        outbound: Outbound,
        shards: frozenset[str],
        ready: Callable[[], None],
    ) -> None:
        """Hold one connection until it is lost."""
        client_id = f"{self.address.client_id}-{self.random(CLIENT_ID_BYTES).hex()}"
        link = BrokerLink(replace(self.address, client_id=client_id), inbound.on_message)
        greeting: asyncio.Task[None] | None = None
        try:
            await link.connect()
            await link.subscribe(filters(shards))
            self.bus.use(link)
            log.info("bridge.connected", shards=len(shards))
            greeting = asyncio.create_task(outbound.greet(), name="greeting")
            ready()
            await link.lost.wait()
        finally:
            self.bus.use(None)
            if greeting is not None:
                await _end([greeting])
            await link.close()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
