"""Towards the locks: wakes on notices, sends commands, converges documents, lets time take its due.

Everything here can be asked for twice without harm, so a lost notice costs a moment and a crash
nothing: at the start, and every second, the rows themselves say what is still to be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from lockserver.app.ask_inventory import ask_inventory
from lockserver.app.bridging import Bridging
from lockserver.app.converge_access import ask_hello, converge_access, hello_command, pause
from lockserver.app.converge_firmware import repeat_firmware
from lockserver.app.hear_gateway import greet_gateways, seat_gateway
from lockserver.app.ports import Changes, Channel
from lockserver.app.send_commands import send_commands, try_other_ways
from lockserver.app.settle_command import settle_overdue
from lockserver.app.watch_connections import ask_the_silent, correct_connections, visit_the_carried

log = structlog.get_logger(__name__)

Act = Callable[[UUID], Awaitable[None]]

TICK_S = 0.5
WATCH_S = 1.0
DOUBT_TRIES = 4
"""Hellos asked for after a command became `unknown`, with a doubling pause: half a minute in all."""
CORRECT_EVERY = timedelta(seconds=45)
"""How often it is looked at whether locks that are said to be connected still are; first, after a start's hellos."""
HELLO_PACE_S = 0.002
"""Pause between two hellos asked for at the start: 500 a second, so that 10,000 take 20 s."""


class Outbound:
    """What a bridge does by itself, for the locks of its shards."""

    def __init__(self, world: Bridging, changes: Changes, owns: Callable[[UUID], bool]) -> None:
        self._world = world
        self._changes = changes
        self._owns = owns
        self._tries: dict[UUID, tuple[int, datetime]] = {}
        """Lock → how often documents were sent, and when they may be sent again."""
        self._doubts: dict[UUID, tuple[int, datetime]] = {}
        """Lock with an `unknown` command → how often it was asked, and when it may be asked again."""
        self._correct_at = world.clock.now() + CORRECT_EVERY

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._on_commands())
            group.create_task(self._on_documents())
            group.create_task(self._watch("gateways", self._new_gateway, of_all=True))
            group.create_task(self._watch("inventory", self._ask_inventory))
            group.create_task(self._tick())

    def reached(self, lock_id: UUID) -> None:
        """The lock has just spoken: whatever it lacks may be sent at once."""
        self._tries.pop(lock_id, None)
        self._doubts.pop(lock_id, None)

    async def converge(self, lock_id: UUID) -> None:
        """Send what the lock lacks, unless it was sent a moment ago."""
        now = self._world.clock.now()
        tries, not_before = self._tries.get(lock_id, (0, now))
        if now < not_before:
            return
        # The next date is set first: a broken lock must not be met again at every tick.
        self._tries[lock_id] = (tries + 1, now + pause(tries + 1))
        if not await converge_access(self._world, lock_id):
            self._tries.pop(lock_id, None)

    async def _on_commands(self) -> None:
        await self._watch("commands", self._send)

    async def _on_documents(self) -> None:
        await self._watch("lock_state", self._new_document)

    async def _ask_inventory(self, lock_id: UUID) -> None:
        await ask_inventory(self._world, lock_id)

    async def _send(self, lock_id: UUID) -> None:
        await send_commands(self._world, lock_id)

    async def _new_gateway(self, gateway_id: UUID) -> None:
        """It was equipped anew, or taken out of service."""
        await seat_gateway(self._world, gateway_id, keeper=self._owns(gateway_id))

    async def _new_document(self, lock_id: UUID) -> None:
        self._world.forget(lock_id)
        self.reached(lock_id)
        if await self._world.lock(lock_id) is None:  # retired: its name at the broker ends with it
            self._world.carrying.gone(lock_id)
            await self._world.expel(lock_id)
            return
        await self.converge(lock_id)

    async def _watch(self, channel: Channel, act: Act, *, of_all: bool = False) -> None:
        """Act on each notice of a lock of ours (or `of_all`); one that fails takes no other with it."""
        running: set[asyncio.Task[None]] = set()
        async with self._changes.watch(channel) as hints:
            while True:
                hint = await hints.next(WATCH_S)
                lock_id = _read_id(hint)
                if lock_id is None or not (of_all or self._owns(lock_id)):
                    continue
                task = asyncio.create_task(self._guarded(channel, act, lock_id))
                running.add(task)
                task.add_done_callback(running.discard)

    async def _guarded(self, name: str, act: Act, lock_id: UUID) -> None:
        try:
            await act(lock_id)
        except Exception:
            log.exception("bridge.act_failed", act=name, lock=lock_id.hex)

    async def _tick(self) -> None:
        """Every moment: what time settles, what a lost notice left, which lock still lags."""
        while True:
            try:
                await self._sweep()
            except Exception:
                log.exception("bridge.sweep_failed")
            await asyncio.sleep(TICK_S)

    async def _sweep(self) -> None:
        world = self._world
        async with world.transactions.begin() as work:
            settled = await settle_overdue(work, world.clock.now())
            waiting = await work.commands.open_locks()
            lagging = await work.lock_documents.lagging()
        for command in settled:
            log.info("command.overdue", command=str(command.id), state=command.state)
            if command.state == "unknown" and self._owns(command.lock_id):
                self._doubts[command.lock_id] = (0, world.clock.now())
        await self._ask_about_doubts()
        await try_other_ways(world)
        await repeat_firmware(world)
        for lock_id in filter(self._owns, waiting):
            await send_commands(world, lock_id)
        for lock_id in filter(self._owns, lagging):
            await self.converge(lock_id)
        now = world.clock.now()
        if now >= self._correct_at:
            self._correct_at = now + CORRECT_EVERY
            await ask_the_silent(world)
            await visit_the_carried(world)
            await correct_connections(world, self._owns)

    async def _ask_about_doubts(self) -> None:
        """Ask locks what became of commands nobody heard of: a lock that is there can say at once.

        One that is away says it at its next hello by itself, so asking ends after a few times.
        """
        now = self._world.clock.now()
        for lock_id, (tries, not_before) in list(self._doubts.items()):
            if now < not_before:
                continue
            if tries >= DOUBT_TRIES:
                del self._doubts[lock_id]
                continue
            self._doubts[lock_id] = (tries + 1, now + pause(tries + 1))
            lock = await self._world.lock(lock_id)
            if lock is not None:
                ask_hello(self._world, lock)

    async def greet(self) -> None:
        """Ask every gateway, and every lock of ours, where it stands: it does not know that we were away."""
        world = self._world
        await greet_gateways(world)
        async with world.transactions.begin() as work:
            locks = [lock for lock in await work.locks.active() if self._owns(lock.id)]
        for lock in locks:
            # On its own topic, whatever else we think of the way: this is how we learn it.
            world.bus.publish(lock.id.bytes, world.seal(lock, hello_command(world)))
            await asyncio.sleep(HELLO_PACE_S)


def _read_id(hint: str | None) -> UUID | None:
    if hint is None:
        return None
    try:
        return UUID(hex=hint)
    except ValueError:
        return None
