"""The server's roles in the world: the same use cases as in the processes, without their loops.

What `lockserver.mqtt` and `lockserver.run.roles` do with queues and tasks is done here with tasks of a
`Process`, in the same order: a lock's reports one after the other, a commit before an acknowledgement.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.app.accept_report import ITSELF, Carried, Heard, accept_report, follow_up
from lockserver.app.bridging import Bridging
from lockserver.app.converge_access import ask_hello, converge_access, pause
from lockserver.app.end_tenancy import end_over_tenancies
from lockserver.app.enrol_gateway import equip_gateways
from lockserver.app.hear_gateway import greet_gateways
from lockserver.app.ingest_journal import Batch, acknowledge, ingest_journals
from lockserver.app.issue_access_documents import refresh_access
from lockserver.app.send_commands import send_commands
from lockserver.app.settle_command import settle_overdue
from lockserver.domain.canonical import dumps, loads, unb64url
from lockserver.domain.errors import DomainError, RoleSilentError
from lockserver.protocol.errors import RemoteError
from lockserver.run.roles.issuer import handlers
from tests.sim.broker import Bus
from tests.sim.memory.pausing import Wait
from tests.sim.memory.unit_of_work import MemoryTransactions
from tests.sim.process import Process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.sim.world import World

DOUBT_TRIES = 4


class Asking:
    """The port `Requests`: a row that outlives who asked and who answers."""

    def __init__(self, world: World, asker: str) -> None:
        self._world = world
        self._asker = asker

    async def ask(self, role: str, kind: str, body: Mapping[str, Any], within: float) -> dict[str, Any]:
        """Have another role do something; RoleSilentError at the deadline."""
        world = self._world
        until = world.agenda.now() + timedelta(seconds=within)
        asked = Asked(kind, dumps(body), until)
        world.desk(role).take(asked)
        await Wait(lambda: asked.answered or world.agenda.now() >= until, f"an answer of {role}", until)
        if not asked.answered:
            asked.void = True
            raise RoleSilentError
        if isinstance(asked.answer, BaseException):
            raise asked.answer
        return loads(dumps(asked.answer or {}))


@dataclass(eq=False, slots=True)
class Asked:
    """One request row."""

    kind: str
    body: bytes
    until: datetime
    answered: bool = False
    void: bool = False
    answer: Any = None


class Desk:
    """The requests of one role. They wait while it is down; one that it had begun is lost with it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.handlers: Mapping[str, Callable[[dict[str, Any]], Awaitable[Mapping[str, Any] | None]]] = {}
        self.waiting: deque[Asked] = deque()

    def take(self, asked: Asked) -> None:
        """A new row."""
        self.waiting.append(asked)
        self.serve()

    def serve(self) -> None:
        """Begin whatever waits, if the role is there."""
        while self.process.up and self.waiting:
            asked = self.waiting.popleft()
            if asked.void:
                continue

            def done(value: Any, asked: Asked = asked) -> None:
                asked.answered, asked.answer = True, value

            self.process.start(f"answers {asked.kind}", self._answer(asked), done)

    async def _answer(self, asked: Asked) -> Mapping[str, Any] | None:
        return await self.handlers[asked.kind](loads(asked.body))


class BridgeRole:
    """Role bridge: reports in, commands and documents out."""

    def __init__(self, world: World, process: Process) -> None:
        self.world = world
        self.process = process
        self.desk = Desk(process)
        self.desk.handlers = {"report": self._carried}
        process.on_boot = self._boot
        process.on_death = self._death
        self.bridging: Bridging = self._fresh()
        self._queues: dict[UUID, deque[tuple[bytes, Carried]]] = {}
        self._busy: set[UUID] = set()
        self._tries: dict[UUID, tuple[int, datetime]] = {}
        self._doubts: dict[UUID, tuple[int, datetime]] = {}

    def _fresh(self) -> Bridging:
        world = self.world
        return Bridging(
            transactions=MemoryTransactions(world.store, "bridge"),
            clock=world.agenda,
            random=world.dice.of("bridge", self.process.boots).bytes,
            requests=Asking(world, "bridge"),
            bus=Bus(world),
            command_key=world.site.command,
            report_key=world.site.report,
        )

    def _boot(self) -> None:
        self.bridging = self._fresh()
        self._queues, self._busy, self._tries, self._doubts = {}, set(), {}, {}
        self.broker_back()
        self.desk.serve()

    def _death(self) -> None:
        self.world.broker.bridge = None

    # ---- the broker

    def broker_gone(self) -> None:
        """The connection is lost."""
        self.world.broker.bridge = None

    def broker_back(self) -> None:
        """Connect, and ask every lock where it stands."""
        if self.process.up and self.world.broker.up:
            self.world.broker.bridge = self._on_message
            self.process.start("greets", self._greet())

    def _on_message(self, lock_id: UUID, payload: bytes, retained: bool) -> None:
        if retained:
            return
        self.take_in(lock_id, payload, ITSELF)

    def take_in(self, lock_id: UUID, payload: bytes, by: Carried) -> None:
        """Queue a lock's report, whoever brought it: one lock's are dealt with in order."""
        self._queues.setdefault(lock_id, deque()).append((payload, by))
        self._serve(lock_id)

    def _serve(self, lock_id: UUID) -> None:
        queue = self._queues.get(lock_id)
        if not queue or lock_id in self._busy:
            return
        self._busy.add(lock_id)
        payload, by = queue.popleft()

        def done(value: Any) -> None:
            self._busy.discard(lock_id)
            if isinstance(value, BaseException) and not isinstance(value, DomainError):
                self.world.machine.faults.append((f"report of {lock_id}", value))
            self._serve(lock_id)

        self.process.start("a report", self._deal(lock_id, payload, by), done)

    async def _deal(self, lock_id: UUID, payload: bytes, by: Carried) -> None:
        heard = await self._take(lock_id, payload, by)
        if heard is None:
            return
        if heard.acknowledge is not None:
            acknowledge(self.bridging, heard.acknowledge, self.world.agenda.now())
        if heard.time_nonce is not None:
            await follow_up(self.bridging, lock_id, heard)
        if heard.converge:
            await self.converge(lock_id)

    async def _take(self, lock_id: UUID, payload: bytes, by: Carried) -> Heard | None:
        try:
            heard = await accept_report(self.bridging, lock_id, payload, by)
        except RemoteError as error:
            self.world.refused_reports[error.code.word] += 1
            return None
        self._tries.pop(lock_id, None)
        self._doubts.pop(lock_id, None)
        if heard.batch is not None:
            await self._commit([heard.batch])
        return heard

    async def _commit(self, batches: list[Batch]) -> None:
        done = await ingest_journals(self.bridging, batches)
        for one in done.kept:
            acknowledge(self.bridging, one, self.world.agenda.now())
        for lock in done.asked:
            ask_hello(self.bridging, lock)

    async def _carried(self, body: dict[str, Any]) -> dict[str, Any]:
        heard = await self._take(UUID(str(body["lock_id"])), unb64url(str(body["report"])), Carried("phone"))
        return {"taken": heard is not None}

    # ---- towards the locks

    def on_notice(self, channel: str, payload: str) -> None:
        """Somebody committed something that concerns a lock."""
        lock_id = UUID(hex=payload)
        if channel == "commands":
            self.process.start("sends", self._send(lock_id))
        elif channel == "lock_state":
            self.bridging.forget(lock_id)
            self._tries.pop(lock_id, None)
            self.process.start("converges", self.converge(lock_id))

    async def _send(self, lock_id: UUID) -> None:
        await send_commands(self.bridging, lock_id)

    async def converge(self, lock_id: UUID) -> None:
        """Send what the lock lacks, unless it was sent a moment ago."""
        now = self.world.agenda.now()
        tries, not_before = self._tries.get(lock_id, (0, now))
        if now < not_before:
            return
        self._tries[lock_id] = (tries + 1, now + pause(tries + 1))
        if not await converge_access(self.bridging, lock_id):
            self._tries.pop(lock_id, None)

    def sweep(self) -> None:
        """The tick: what time settles, what a lost notice left, which lock lags."""
        self.process.start("sweeps", self._sweep())

    async def _sweep(self) -> None:
        bridging, now = self.bridging, self.world.agenda.now()
        async with bridging.transactions.begin() as work:
            settled = await settle_overdue(work, now)
            waiting = await work.commands.open_locks()
            lagging = await work.lock_documents.lagging()
        for command in settled:
            if command.state == "unknown":
                self._doubts[command.lock_id] = (0, now)
        for lock_id, (tries, not_before) in list(self._doubts.items()):
            if now >= not_before:
                await self._doubt(lock_id, tries, now)
        for lock_id in waiting:
            await send_commands(bridging, lock_id)
        for lock_id in lagging:
            await self.converge(lock_id)

    async def _doubt(self, lock_id: UUID, tries: int, now: datetime) -> None:
        if tries >= DOUBT_TRIES:
            self._doubts.pop(lock_id, None)
            return
        self._doubts[lock_id] = (tries + 1, now + pause(tries + 1))
        lock = await self.bridging.lock(lock_id)
        if lock is not None:
            ask_hello(self.bridging, lock)

    async def _greet(self) -> None:
        if self.world.gateways.all:
            await greet_gateways(self.bridging)
        async with self.bridging.transactions.begin() as work:
            locks = list(await work.locks.active())
        for lock in locks:
            ask_hello(self.bridging, lock)


@dataclass(slots=True)
class IssuerRole:
    """Role issuer: answers with signatures, and finds by itself what nobody told it."""

    world: World
    process: Process
    desk: Desk = field(init=False)
    since: datetime | None = None

    def __post_init__(self) -> None:
        self.desk = Desk(self.process)
        self.process.on_boot = self._boot

    def _boot(self) -> None:
        self.desk.handlers = handlers(self.world.issuing)
        self.since = None
        self.desk.serve()

    def sweep(self) -> None:
        """As the role's own sweep does."""
        self.process.start("sweeps", self._sweep())

    async def _sweep(self) -> None:
        world, now = self.world.issuing, self.world.agenda.now()
        since = self.since or self.world.began
        async with world.transactions.begin() as work:
            turned = set(await work.locks.at_turning_doors(since, now))
            turned |= set(await work.locks.with_stale_access(now))
        if turned:
            await refresh_access(world, sorted(turned))
        if self.world.gateways.all:
            await equip_gateways(world)
        self.since = now - timedelta(seconds=30)


@dataclass(slots=True)
class JobsRole:
    """Role jobs: what happens because time passes."""

    world: World
    process: Process

    def sweep(self) -> None:
        """One tick of its schedule."""
        self.process.start("ends leases", self._end())
        self.process.start("settles", self._settle())

    async def _end(self) -> None:
        transactions = MemoryTransactions(self.world.store, "jobs")
        now = self.world.agenda.now()
        async with transactions.begin() as work:
            await end_over_tenancies(work, self.world.dice.of("jobs", self.world.agenda.ms).bytes, now)

    async def _settle(self) -> None:
        async with MemoryTransactions(self.world.store, "jobs").begin() as work:
            await settle_overdue(work, self.world.agenda.now())
