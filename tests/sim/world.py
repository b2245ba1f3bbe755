"""One world: a house with its locks, its people, its server and its broker, in virtual time, from one seed.

    world = World(seed)
    world.run()            # every step judged by every law; raises BrokenLawError

Everything that happens is an event of `agenda`; a step is one of them. What befalls the world stands in its
plan (`plan.py`), drawn from the seed before anything happens, so that a failing one can be shrunk.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch
from uuid import UUID

from firmware_sim.core import ring
from lockserver.app import issue_access_documents
from lockserver.app.issuing import Issuing
from lockserver.domain.errors import DomainError
from lockserver.keys.boxes import OpeningKey
from tests.sim.acts import ACTS, sync
from tests.sim.agenda import Agenda, Entry, clock_face
from tests.sim.api import Api
from tests.sim.broker import Broker
from tests.sim.chance import Chance
from tests.sim.gateways import Gateways
from tests.sim.heal import heal
from tests.sim.impostors import IMPOSTURES, Harm
from tests.sim.laws.book import BrokenLawError
from tests.sim.memory.store import MemoryStore
from tests.sim.memory.unit_of_work import MemoryTransactions
from tests.sim.oracle import Intent, Oracle
from tests.sim.plan import Item, make_plan
from tests.sim.process import Machine, Process
from tests.sim.roles import BridgeRole, Desk, IssuerRole, JobsRole
from tests.sim.site import Devices, Factories, Seeds, site_keys
from tests.sim.town import identify, settle
from tests.sim.watch import Book
from tests.sim.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from tests.sim.guests import Given
    from tests.sim.locks import LockActor
    from tests.sim.people import Person, PhoneActor
    from tests.sim.visits import Visit

#: Milliseconds after an act during which every timer is kept to.
BUSY_MS = 25_000
#: Milliseconds between looks of bridge, issuer and jobs while something goes on, and while nothing does.
SWEEP_MS = 5_000
IDLE_SWEEP_MS = 6 * 3_600_000
HTTP = (10, 60)
#: Worlds in which memory is small, so that what takes months elsewhere happens here: a ring, a list.
SMALL: Final[dict[str, tuple[tuple[Any, str, int], ...]]] = {
    "flood": ((ring, "SLOTS", 8), (ring, "RESERVED", 5), (ring, "COALESCE", 1)),
    "lists": ((issue_access_documents, "MAX_REVOKED", 6),),
}
TIMEOUT_MS = 30_000
RESTART_MS = (500, 8_000)
MOST_STEPS = 30_000


class WorldStore(MemoryStore):
    """The database: whoever listens is told at once."""

    def __init__(self, world: World) -> None:
        super().__init__(world.agenda, world.boundary)
        self._world = world

    def deliver(self, notices: list[Any]) -> None:
        """Wake watchers and the bridge."""
        super().deliver(notices)
        for channel, payload in dict.fromkeys(notices):
            if channel in {"commands", "lock_state"} and self._world.bridge.process.up:
                self._world.bridge.on_notice(channel, payload)
            elif channel == "gateways":
                self._world.gateways.changed(UUID(hex=payload))


class World:
    """One seed's world. `profile`: which acts are likely; drawn from the seed if not given."""

    def __init__(self, seed: int, *, profile: str | None = None, plan: list[Item] | None = None) -> None:
        self.seed = seed
        self.dice = Chance("world", seed)
        self.profile, drawn = make_plan(seed, profile)
        self.plan = drawn if plan is None else plan
        self.agenda = Agenda()
        self.began = self.agenda.now()
        self.weather = Weather()
        self.oracle = Oracle()
        self.book = Book(self)
        self.laws = self.book
        self.history: list[str] = []
        self.steps = 0
        self.visits = 0
        self.busy_until = 0
        self.healing = False
        self.auto_lock = self.dice.one((0, 5))
        self.rooms = self.dice.between(1, 2)
        self.refused_reports: Counter[str] = Counter()
        self.people: dict[str, Person] = {}
        self.locks: list[LockActor] = []
        self.by_id: dict[UUID, LockActor] = {}
        self.landlord: Person
        self.house_id = UUID(int=0)
        self.tenancies: list[Any] = []
        self.ended_by_all: dict[UUID, float] = {}
        self.wishes: list[tuple[Person, LockActor, bytes]] = []
        self._wished_end: dict[UUID, set[str]] = {}
        self._sweeping: Entry | None = None
        self.harm = Harm()
        self.gateways = Gateways(self)
        self.air: list[Visit] = []
        """Visits that somebody overheard."""
        self.at_doors: list[Visit] = []
        self.walked: dict[str, datetime] = {}
        """When a phone last fetched what it then carried to a lock."""
        self.shut_out: list[tuple[str, str]] = []
        self.let_in: list[tuple[str, str]] = []
        self.given: list[Given] = []
        self.widened: list[str] = []
        self.storms = 0
        self.comebacks: dict[int, list[int]] = {}
        """Storm → after how many milliseconds each lock dialled, and was let in."""
        self.made: dict[tuple[int, str], bytes] = {}
        """Images that the manufacturer signed: counter and version → image."""
        self._build()

    def _build(self) -> None:
        self.machine = Machine(self.agenda, self.dice.of("machine"))
        self.store: WorldStore = WorldStore(self)
        self.machine.struck = self._struck
        self.machine.crashed = self._crashed
        self.site = site_keys()
        self.site.lay(self.store, self.dice.of("site"))
        self.issuing = Issuing(
            transactions=MemoryTransactions(self.store, "issuer"),
            clock=self.agenda,
            random=self.dice.of("issuer").bytes,
            signer=self.site.issuer,
            factories=Factories(),
            devices=Devices(),
            seeds=Seeds(),
            pins=OpeningKey(self.site.others["pins"]),
        )
        names = ("api", "issuer", "bridge", "jobs")
        self.processes = {name: Process(name, self.machine) for name in names}
        self.broker = Broker(self)
        self.bridge = BridgeRole(self, self.processes["bridge"])
        self.issuer = IssuerRole(self, self.processes["issuer"])
        self.jobs = JobsRole(self, self.processes["jobs"])
        self.api = Api(self)

    # ---- running

    def run(self) -> World:
        """Live through the plan, heal, and be judged. Raises BrokenLawError."""
        with ExitStack() as small:
            for where, name, value in SMALL.get(self.profile, ()):
                small.enter_context(patch.object(where, name, value))
            small.callback(self._close)
            return self._run()

    def _close(self) -> None:
        """Let go of whatever was still under way."""
        for process in self.processes.values():
            process.die()

    def _run(self) -> World:
        settle(self)
        self.book.quiet = False
        self.book.committed()
        self.agenda.at(3_000, "first syncs", self._first_syncs)
        for item in self.plan:
            self.agenda.at(item.at, f"[{item.number}] {item.kind}", partial(self._act, item))
        self.stir()
        end = (self.plan[-1].at if self.plan else 0) + BUSY_MS
        self.live(end)
        heal(self)
        self.book.ended()
        return self

    def _first_syncs(self) -> None:
        for person in self.people.values():
            sync(self, person.phone)

    def live(self, until: int) -> None:
        """Take every step up to a moment."""
        while (entry := self.agenda.next(until)) is not None:
            self.steps += 1
            entry.do()
            self.machine.look()
            if self.machine.faults:
                self._unforeseen()
            if self.steps > MOST_STEPS:
                raise BrokenLawError("L-17", "the world never comes to rest")

    def _unforeseen(self) -> None:
        """What no use case may let out: a refusal is fine, anything else is a fault of the product."""
        faults, self.machine.faults = self.machine.faults, []
        for name, fault in faults:
            if not isinstance(fault, DomainError):
                raise fault
            self.say(f"{name}: {fault.code}")

    def _act(self, item: Item) -> None:
        self.stir()
        (ACTS | IMPOSTURES)[item.kind](self, item)

    def stir(self, ms: int = BUSY_MS) -> None:
        """Something goes on: from now on every timer is kept to for a while."""
        calm = self.agenda.ms >= self.busy_until
        self.busy_until = max(self.busy_until, self.agenda.ms + ms)
        if calm:
            for lock in self.locks:
                lock.wake()
            self.gateways.wake()
        if self._sweeping is None or self._sweeping.at > self.agenda.ms + SWEEP_MS:
            self._sweep_at(self.agenda.ms + 50)

    def _sweep_at(self, ms: int) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._sweeping = self.agenda.at(ms, "sweep", self._sweep)

    def _sweep(self) -> None:
        self.bridge.sweep()
        self.issuer.sweep()
        self.jobs.sweep()
        busy = self.agenda.ms < self.busy_until
        self._sweep_at(self.agenda.ms + (SWEEP_MS if busy else IDLE_SWEEP_MS))

    # ---- machines

    async def boundary(self, name: str) -> None:
        """An effect of the store."""
        if name == "committed" and not self.book.quiet:
            self.book.committed()
        await self.machine.boundary(name)

    def _struck(self, kind: str) -> None:
        self.weather.struck[kind] += 1
        self.say(kind)

    def _crashed(self, process: Process) -> None:
        self.agenda.after(self.dice.between(*RESTART_MS), f"{process.name} starts", process.boot)

    def desk(self, role: str) -> Desk:
        """Where requests to a role go."""
        return {"issuer": self.issuer.desk, "bridge": self.bridge.desk}[role]

    # ---- people

    def call(
        self,
        phone: PhoneActor,
        name: str,
        make: Callable[[], Coroutine[Any, Any, Any]],
        then: Callable[[Any], None] | None = None,
    ) -> None:
        """A phone asks the API. `then` gets the answer, a refusal, or None where none came."""
        answered = False

        def answer(value: Any) -> None:
            nonlocal answered
            if answered:
                return
            answered = True
            if isinstance(value, DomainError):
                self.say(f"{phone.name}: {name} refused: {value.code}")
            elif isinstance(value, BaseException):
                self.machine.faults.append((name, value))
            if then is not None:
                then(value)

        if phone.offline:
            self.weather.struck["phone.offline"] += 1
            answer(None)
            return
        fate = self.weather.fate("http", self.agenda.ms)
        mode = "" if fate is None else fate[0]
        late = fate[1].between(500, 20_000) if fate is not None and mode == "delay" else 0

        def begin() -> None:
            self.processes["api"].start(name, make(), done)

        def done(value: Any) -> None:
            if mode != "cut":
                self.agenda.after(self.dice.between(*HTTP), f"{name} answered", lambda: answer(value))

        if mode != "drop":
            self.agenda.after(self.dice.between(*HTTP) + late, name, begin)
            if mode == "duplicate":
                self.agenda.after(self.dice.between(*HTTP) + late + 5, name, begin)
        self.agenda.after(TIMEOUT_MS + late, "timeout", lambda: answer(None))

    def intends(self, visit: Visit) -> Intent:
        """A phone is about to sign for a door."""
        cti = visit.cti
        intent = Intent(
            "ble", visit.phone.person.name, visit.phone.name, visit.lock.name, cti, self.agenda.ms, visit.own
        )
        self.oracle.intents.append(intent)
        return intent

    def visited(self, visit: Visit) -> None:
        """A phone has got its answer, or none."""
        if visit in self.at_doors:
            self.at_doors.remove(visit)
        self.say(f"{visit.phone.name} at {visit.lock.name}: {visit.kind} {visit.outcome}")
        if visit.kind == "visit" and visit.outcome == "granted":
            self.air = [*self.air[-8:], visit]
        self.book.visited(visit)

    def others_at(self, visit: Visit) -> bool:
        """Whether somebody else stands at the same door."""
        return any(one.lock is visit.lock and one is not visit for one in self.at_doors)

    def wished_end(self, tenancy: UUID, person: Person, tenants: list[Person]) -> None:
        """Somebody who lives there wishes the lease ended; when all have, it may be."""
        wished = self._wished_end.setdefault(tenancy, set())
        wished.add(person.name)
        if wished >= {one.name for one in tenants}:
            self.ended_by_all[tenancy] = self.agenda.seconds

    def over(self, tenancy: UUID) -> None:
        """A lease has ended early, by the server's word to those who lived there."""
        self.say("a lease has ended early")
        for right in self.oracle.rights:
            if right.tenancy == tenancy and right.ended is None:
                right.ended = self.agenda.seconds

    def removed(self, phone: PhoneActor) -> bool:
        """Whether the server has taken a phone out."""
        return any(row["state"] == "revoked" for row in self.store.rows("phones", id=phone.id))

    def identify(self, person: Person, tenancy: UUID) -> None:
        """The identity step."""
        identify(self, person, tenancy)

    # ---- looking things up

    def door(self, name: str) -> LockActor:
        """The lock at a door."""
        return next(one for one in self.locks if one.name == name)

    def lock_of(self, lock_id: UUID) -> LockActor | None:
        """The lock with an id."""
        return self.by_id.get(lock_id)

    # ---- the history

    def say(self, what: str) -> None:
        """Write a line of the history."""
        self.history.append(f"{clock_face(self.agenda.ms)}  {what}")

    def digest(self) -> str:
        """SHA-256 of the whole history: equal for equal seeds, in every process."""
        return hashlib.sha256("\n".join(self.history).encode()).hexdigest()
