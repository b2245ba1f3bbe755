"""A house whose locks have keypads: the API, the issuer answering it, the bridge, and simulated locks.

Everything is real but the air between bridge and lock: what the bridge publishes is handed to the lock while
it is `online`, and what the lock published is handed to the bridge when the test lets it be heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from firmware_sim.core.events import CardPresented, KeypadAnswer, KeypadEntered, Sign
from lockserver.app.accept_report import ITSELF, Carried, accept_report
from lockserver.app.bridging import Bridging
from lockserver.app.converge_access import converge_access
from lockserver.app.ingest_journal import ingest_journals
from lockserver.app.issue_access_documents import refresh_access
from lockserver.app.phone_sync import DoorKit
from lockserver.db.changes import PostgresChanges
from lockserver.db.requests import serve_requests
from lockserver.domain.canonical import b64url, unb64url
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.curve import private_key
from lockserver.protocol.errors import AirCode, Denial, RemoteError
from lockserver.protocol.handshake import REFUSAL
from lockserver.protocol.sealed import Box, box_info, seal, unseal
from lockserver.protocol.wish import WishOperation
from lockserver.run.roles.issuer import handlers
from tests.support.app_door import App, Door
from tests.support.house_party import HungLock, Party, a_party

GOOD = "2749163"
BETTER = "58301946"


class Nobody:
    """The bridge asks nobody here."""

    async def ask(self, *_: Any) -> dict[str, Any]:
        raise AssertionError


@dataclass
class Air:
    """The broker of one lock: delivers while the lock is online, else loses."""

    desk: HungLock
    online: bool = True
    sent: list[bytes] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return True

    def publish(self, lock_id: bytes, envelope: bytes) -> bool:
        self.sent.append(envelope)
        if self.online:
            self.desk.deliver(envelope)
        return True

    def publish_gateway(self, gateway_id: bytes, frame: bytes) -> bool:
        raise AssertionError


@dataclass
class KeypadHouse:
    """`party` with keypads. Doors are named by id, as in the party."""

    party: Party
    bridges: dict[str, Bridging] = field(default_factory=dict)
    airs: dict[str, Air] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)

    @property
    def room(self) -> str:
        return self.party.room

    @property
    def gate(self) -> str:
        return self.party.gate

    @property
    def door(self) -> Door:
        return self.party.door

    def lock(self, door: str) -> str:
        return str(self.party.locks[door])

    def desk(self, door: str) -> HungLock:
        return self.party.desks[door]

    def rig(self) -> None:
        """Give the server the locks' door seeds, sealed as at their enrolment, and each lock a bridge."""
        for door, lock_id in self.party.locks.items():
            sealed = self.party.issuing.seeds.seal(
                self.seed(door), table="locks", column="seed_sealed", row=lock_id.bytes
            )
            self.door.database.execute("UPDATE locks SET seed_sealed = %s WHERE id = %s", sealed, lock_id)
            desk = self.desk(door)
            self.airs[door] = Air(desk)
            self.bridges[door] = Bridging(
                transactions=self.door.database.transactions("bridge"),
                clock=self.door.clock,
                random=secrets.token_bytes,
                requests=Nobody(),
                bus=self.airs[door],
                command_key=desk.site.commander,
                report_key=desk.site.report_key,
            )
            self.heard[door] = 0

    def seed(self, door: str) -> bytes:
        lock = self.desk(door).lock.lock
        assert lock is not None
        assert lock._core.held is not None
        return lock._core.held.identity.door_seed

    # ---- between server and lock

    async def hear(self, door: str) -> None:
        """Let the bridge take what the lock has published since."""
        published = self.desk(door).lock.published
        while self.heard[door] < len(published):
            sealed = published[self.heard[door]]
            self.heard[door] += 1
            await self.take(door, sealed, ITSELF)

    async def take(self, door: str, sealed: bytes, by: Carried) -> None:
        """What the bridge does with one report, its journal included; one that was overtaken it drops."""
        try:
            heard = await accept_report(self.bridges[door], self.party.locks[door], sealed, by)
        except RemoteError as error:
            if error.code is not Denial.REPLAYED:
                raise
            return
        if heard.batch is not None:
            await ingest_journals(self.bridges[door], [heard.batch])

    async def converge(self, door: str) -> None:
        """Bring the documents up to the present, send what the lock lacks, and hear what it says to that."""
        await refresh_access(self.party.issuing, [self.party.locks[door]])
        await self.hear(door)
        await converge_access(self.bridges[door], self.party.locks[door])
        await self.hear(door)

    async def connect(self, door: str) -> None:
        """The lock's broker comes up; it says hello, and its clock is attested."""
        self.desk(door).site.now = int(self.door.clock.now().timestamp())
        self.desk(door).broker_up()
        await self.converge(door)

    def unplug(self, door: str) -> None:
        """The lock loses its connection: what is sent is lost, what it says stays with it."""
        from firmware_sim.core.events import BrokerDown

        self.airs[door].online = False
        self.desk(door).lock.feed(BrokerDown())

    async def visit(self, app: App, door: str) -> str:
        """His phone syncs, goes to the door, brings its documents in and the lock's reports back."""
        kit = await self.party.at(app, door)
        assert kit is not None
        assert kit.credential is not None
        return await self.visit_with(app, door, kit)

    async def visit_with(
        self, app: App, door: str, kit: DoorKit, operation: Operation = Operation.SYNC
    ) -> str:
        desk = self.desk(door)
        assert kit.credential is not None
        documents = [
            SignedDocument(kind, raw)
            for kind, raw in ((DocumentKind.REVOCATION, kit.revocation), (DocumentKind.STATE, kit.state))
            if raw is not None
        ]
        connection, phone = desk.connect(), desk.phone()
        phone.receive_m2(desk.say(connection, phone.hello())[0])
        said = desk.say(connection, phone.request(kit.credential.raw, operation, app.signer, documents))
        if not said or said[0] == REFUSAL:
            return "burnt"
        code = phone.receive_m4(said[0]).code
        if code is AirCode.GRANTED:
            desk.lock.wait(3, step=0.1)  # parcels come one after the other
            channel = phone.channel()
            for data in desk.lock.said[connection][2:]:
                await self.take(door, channel.unpack(data).content, Carried("phone"))
        desk.hang_up(connection)
        return code.name.lower()

    # ---- at the door

    def key_in(self, door: str, digits: str) -> Sign:
        """What the keypad answers to an entry."""
        return self._shown(door, KeypadEntered(digits))

    def present(self, door: str, uid: bytes) -> Sign:
        """What the card reader answers."""
        return self._shown(door, CardPresented(uid))

    def _shown(self, door: str, event: Any) -> Sign:
        lock = self.desk(door).lock
        before = len(lock.effects)
        lock.feed(event)
        answers = [one for one in lock.effects[before:] if isinstance(one, KeypadAnswer)]
        return answers[-1].answer

    # ---- what apps ask

    def pin_box(self, door: str, digits: str) -> bytes:
        """A chosen PIN, sealed to the issuer."""
        info = box_info(Box.PIN_SET, UUID(self.lock(door)).bytes)
        to = self.party.issuing.pins.public
        return seal(to, digits.encode(), info, private_key(secrets.token_bytes))

    def chosen(self, app: App, door: str, digits: str, **given: Any) -> dict[str, str]:
        """A wish for a PIN of one's own."""
        box = self.pin_box(door, digits)
        return {"wish": app.wish(WishOperation.SET_PIN, self.lock(door), args={"pin": box}, **given)}

    async def choose(self, app: App, door: str, digits: str) -> Any:
        return await app.send("POST", f"/locks/{self.lock(door)}/pins", self.chosen(app, door, digits))

    async def read_out(
        self, app: App, door: str, code: int, begins: timedelta = timedelta(), **given: Any
    ) -> Any:
        start = int((self.door.clock.now() + begins).timestamp())
        wish = app.wish(WishOperation.READ_PIN, self.lock(door), args={"code": code, "start": start}, **given)
        return await app.send("POST", f"/locks/{self.lock(door)}/pins/offline", {"wish": wish})

    async def backup(self, app: App, door: str) -> Any:
        wish = app.wish(WishOperation.READ_PIN, self.lock(door), args={"backup": 1})
        return await app.send("POST", f"/locks/{self.lock(door)}/pins/backup", {"wish": wish})

    async def remove(self, app: App, slot_id: str) -> Any:
        wish = app.wish(WishOperation.REMOVE_SLOT, slot_id)
        return await app.send("POST", f"/slots/{slot_id}/remove", {"wish": wish})

    def digits(self, app: App, door: str, answer: Any) -> str:
        """Open the box with the asking phone's key."""
        info = box_info(Box.PIN, UUID(self.lock(door)).bytes)
        return unseal(app.ecdh_key, unb64url(answer.json()["box"]), info).decode()

    async def end_lease(self) -> None:
        """The tenant wishes his lease ended, now."""
        tenant, lease = self.party.tenant, self.party.lease["id"]
        wish = tenant.wish(WishOperation.END_TENANCY, lease)
        await tenant.ok("POST", f"/tenancies/{lease}/end", {"wish": wish})

    async def slots(self, app: App, door: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await app.ok("GET", f"/locks/{self.lock(door)}/slots"))["slots"]
        return found

    async def states(self, app: App, door: str) -> list[str]:
        return [one["state"] for one in await self.slots(app, door) if one["whose"] == "mine"]

    async def debt(self, app: App, door: str) -> dict[str, Any]:
        found: dict[str, Any] = await app.ok("GET", f"/locks/{self.lock(door)}/debt")
        return found

    async def start_issuer(self, stop: asyncio.Event) -> asyncio.Task[None]:
        """The role issuer's own answers, over its own database user."""
        database = self.door.database
        changes = PostgresChanges(database.url("issuer"), "requests_issuer")
        ready = asyncio.Event()

        async def serve() -> None:
            async with changes:
                ready.set()
                await serve_requests(
                    "issuer",
                    handlers(self.party.issuing),
                    stop,
                    pool=database.pool("issuer"),
                    changes=changes,
                )

        task = asyncio.create_task(serve(), name="issuer")
        await ready.wait()
        return task


@contextlib.asynccontextmanager
async def a_keypad_house(door: Door, tenants: int = 1) -> AsyncIterator[KeypadHouse]:
    """The house with its issuer at work; gate and room connected and converged."""
    party = await a_party(door, tenants=tenants)
    house = KeypadHouse(party)
    house.rig()
    stop = asyncio.Event()
    task = await house.start_issuer(stop)
    await party.pass_time(timedelta(minutes=1))  # the lease has begun by every clock
    try:
        for name in party.locks:
            await house.connect(name)
        yield house
    finally:
        stop.set()
        await task


__all__ = ["BETTER", "GOOD", "KeypadHouse", "a_keypad_house", "b64url"]
