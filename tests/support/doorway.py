"""Everything between a holder's phone and a bolt, for real: database, broker, issuer, bridge, API, locks.

All in one event loop, so that a test can stand between any two parts: PostgreSQL and NATS are the real
programs, roles are started by their own `run`, locks are the firmware's core on its MQTT link.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from firmware_sim.core.events import ButtonPressed, RadioConnected, RadioGone, RadioMessage
from firmware_sim.factory import FactoryCa, make_lock, open_ca
from firmware_sim.links.drive import Driver
from firmware_sim.links.memory import MemoryMedium
from firmware_sim.links.mqtt import BrokerAddress as LockBroker
from firmware_sim.links.mqtt import MqttLink
from lockserver.db.changes import PostgresChanges
from lockserver.db.requests import PostgresRequests
from lockserver.db.site_keys import lay_site_keys
from lockserver.domain.account import Account, Holder, Session
from lockserver.domain.grant import Grant
from lockserver.domain.house import Door, House
from lockserver.domain.ids import new_id
from lockserver.keys.boxes import KeyedIndex
from lockserver.keys.keyring import create_site, load_bridge, public_keys
from lockserver.mqtt.authorise import CalloutSigner
from lockserver.mqtt.embedded import EmbeddedNats, Passwords
from lockserver.mqtt.link import BrokerAddress
from lockserver.protocol.curve import EcdsaSigner, private_key
from lockserver.protocol.enrolment import read_e2, read_e4, write_e1, write_e3
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.wish import Wish, WishOperation, sign_wish
from lockserver.run.roles import bridge as bridge_role
from lockserver.run.roles import issuer as issuer_role
from lockserver.run.world import SystemClock, system_random
from lockserver.settings import Role, Settings
from mobile_api.app import create_app
from mobile_api.services import Services
from tests.support.database import Database

HOUR = timedelta(hours=1)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Sms:
    sent: list[tuple[str, str]] = field(default_factory=list)

    async def send_code(self, phone: str, code: str) -> None:
        self.sent.append((phone, code))


@dataclass
class FieldRadio:
    """A radio without air: what the lock sends to a phone lands in a list."""

    sent: list[bytes] = field(default_factory=list)

    def send(self, connection: int, data: bytes) -> None:
        self.sent.append(data)

    def close(self, connection: int) -> None:
        return

    def advertise(self, tag: bytes, *, claimable: bool) -> None:
        return


@dataclass
class Person:
    """A holder with a session and a phone."""

    holder_id: UUID
    session_id: UUID
    token: str
    signer: EcdsaSigner
    ecdh_public: bytes
    phone_id: UUID | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.token}",
            "Idempotency-Key": secrets.token_urlsafe(24),
        }

    def wish(
        self,
        target: UUID,
        operation: WishOperation = WishOperation.UNLOCK,
        *,
        life: int = 20,
        signer: EcdsaSigner | None = None,
    ) -> bytes:
        not_after = int(datetime.now(UTC).timestamp()) + life
        wish = Wish(secrets.token_bytes(16), target.bytes, operation, not_after)
        return sign_wish(wish, signer or self.signer)


@dataclass
class SimLock:
    """A simulated lock at a door, with its link."""

    driver: Driver
    link: MqttLink
    radio: FieldRadio
    door_id: UUID
    id: UUID = field(default_factory=lambda: UUID(int=0))

    @property
    def openings(self) -> int:
        return self.driver.mechanics.openings

    async def online(self) -> None:
        async with asyncio.timeout(10):
            while not self.link.up:
                await asyncio.sleep(0.01)


class Doorway:
    """The running installation."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.keys = folder / "keys"
        self.factory: FactoryCa = open_ca(folder / "factory")
        self.stop = asyncio.Event()
        self.locks: list[SimLock] = []
        self.http: httpx.AsyncClient
        self.services: Services
        self._tasks: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    # ---- parts

    async def start(self) -> None:
        create_site(self.keys, datetime.now(UTC), factory_ca=self.factory.pem)
        lay_site_keys(self.database.url("migrate"), public_keys(self.keys), SystemClock(), system_random)
        self.bridge_keys = load_bridge(self.keys / "bridge")
        await self.start_broker()
        await self.start_role(Role.ISSUER)
        await self.start_role(Role.BRIDGE)

    async def start_broker(self) -> None:
        words = self.bridge_keys.passwords
        self.nats = EmbeddedNats(
            self.folder / "nats",
            callout_issuer=CalloutSigner(self.bridge_keys.callout_seed).public,
            passwords=Passwords(words["auth"], words["bridge"], words["sys"]),
        )
        await asyncio.to_thread(self.nats.start)

    async def stop_broker(self) -> None:
        await asyncio.to_thread(self.nats.stop)

    def lock_broker(self) -> LockBroker:
        """Where a lock connects."""
        return LockBroker("127.0.0.1", self.nats.mqtt_port)

    def settings(self, role: Role) -> Settings:
        return Settings(
            role=role,
            keys_dir=self.keys,
            data_dir=self.folder,
            database_url=self.database.url(role.value),
            broker_url=f"mqtt://127.0.0.1:{self.nats.mqtt_port}",
            nats_url=self.nats.nats_url if role is Role.BRIDGE else None,
        )

    async def start_role(self, role: Role) -> None:
        run = {Role.ISSUER: issuer_role.run, Role.BRIDGE: bridge_role.run}[role]
        ready, stop = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(run(self.settings(role), ready.set, stop), name=role.value)
        self._tasks[role.value] = task, stop
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        assert ready.is_set(), f"{role} did not become ready"

    async def stop_role(self, role: Role) -> None:
        task, stop = self._tasks.pop(role.value)
        stop.set()
        async with asyncio.timeout(15):
            await task

    async def kill_role(self, role: Role) -> None:
        """End it where it stands, as a kill would: nothing is finished."""
        task, _ = self._tasks.pop(role.value)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def close(self) -> None:
        for lock in self.locks:
            await lock.link.stop()
            lock.driver.power_off()
        for name in list(self._tasks):
            await self.stop_role(Role(name))
        await self.stop_broker()

    def bridge_address(self) -> BrokerAddress:
        """The bridge's own credentials: for tests that play a hostile bridge or broker."""
        return BrokerAddress(
            "127.0.0.1",
            self.nats.mqtt_port,
            f"hostile-{secrets.token_hex(6)}",
            "bridge",
            self.bridge_keys.passwords["bridge"],
        )

    # ---- people and places

    async def person(self) -> Person:
        """A logged-in holder with a pending phone."""
        now = datetime.now(UTC)
        token = secrets.token_bytes(32)
        account = Account(new_id(SystemClock(), system_random), secrets.token_bytes(32), "138****")
        holder = Holder(new_id(SystemClock(), system_random), account.id, secrets.token_bytes(16))
        session = Session(
            new_id(SystemClock(), system_random),
            account.id,
            hashlib.sha256(token).digest(),
            now + timedelta(hours=1),
            secrets.token_bytes(32),
            now + timedelta(days=1),
        )
        async with self.services.transactions.begin() as work:
            await work.accounts.add(account)
            await work.holders.add(holder)
            await work.sessions.add(session)
        signer = EcdsaSigner(private_key(secrets.token_bytes))
        ecdh = EcdsaSigner(private_key(secrets.token_bytes)).public
        person = Person(holder.id, session.id, b64(token), signer, ecdh)
        proof = sign_request(
            PhoneRequest(
                session.id.bytes,
                "POST /v1/phones",
                hash_body(signer.public + ecdh),
                int(now.timestamp()),
                secrets.token_bytes(8),
            ),
            signer,
        )
        answer = await self.http.post(
            "/v1/phones",
            json={"sign_pub": b64(signer.public), "ecdh_pub": b64(ecdh), "proof": b64(proof)},
            headers=person.headers,
        )
        assert answer.status_code == 201, answer.text
        person.phone_id = UUID(answer.json()["id"])
        return person

    async def house(self, owner: Person, *, rooms: int = 1) -> tuple[Door, list[Door]]:
        """A house with a gate and rooms, and the owner's grants."""
        now = datetime.now(UTC)

        def fresh() -> UUID:
            return new_id(SystemClock(), system_random)

        house = House(fresh(), owner.holder_id, "Lane 7", "ADDR-1", "330106000000")
        gate = Door(fresh(), house.id, "gate", "gate", None, None)
        doors = [Door(fresh(), house.id, "room", f"room {n}", 2, 0) for n in range(1, rooms + 1)]
        async with self.services.transactions.begin() as work:
            await work.houses.add(house)
            for door in (gate, *doors):
                await work.doors.add(door)
                await work.grants.add(Grant(fresh(), owner.holder_id, door.id, "owner", 31, now - HOUR, None))
        return gate, doors

    # ---- locks

    def unpack(self, door_id: UUID, *, motor_ms: int = 0) -> SimLock:
        """A new lock from its box, powered, before a door."""
        identity = make_lock(self.folder / "boxes", self.factory)
        driver = Driver(identity, MemoryMedium(), motor_ms=motor_ms)
        radio = FieldRadio()
        link = MqttLink(self.lock_broker(), driver.feed)
        driver.radio, driver.broker = radio, link
        driver.power_on()
        lock = SimLock(driver, link, radio, door_id)
        self.locks.append(lock)
        return lock

    def offer(self, lock: SimLock, owner_public: bytes, *, button: bool = True) -> bytes:
        """E1 to the lock, its button, and the LK1-OFFER that comes back."""
        driver, radio = lock.driver, lock.radio
        driver.feed(RadioConnected(1))
        if button:
            driver.feed(ButtonPressed())
        driver.feed(RadioMessage(1, write_e1(owner_public)))
        return read_e2(radio.sent[-1])

    async def claim(self, owner: Person, lock: SimLock) -> httpx.Response:
        """Claim the lock for the owner, all the way into service."""
        driver, radio = lock.driver, lock.radio
        offer = self.offer(lock, owner.signer.public)
        answer = await self.http.post(
            "/v1/locks",
            json={
                "offer": b64(offer),
                "claim_code": b64(driver.factory.claim_code),
                "door_id": str(lock.door_id),
            },
            headers=owner.headers,
        )
        if answer.status_code != 201:
            return answer
        made = answer.json()
        lock.id = UUID(made["lock_id"])
        driver.feed(RadioMessage(1, write_e3(unb64(made["document"]), unb64(made["mac"]))))
        report = read_e4(radio.sent[-1])
        driver.feed(RadioGone(1))
        return await self.http.post(
            f"/v1/locks/{lock.id}/enrolled",
            json={"report": b64(report)},
            headers=owner.headers,
        )

    async def settled_lock(self, owner: Person, door: Door) -> SimLock:
        """A lock in service at the door: claimed, online, converged."""
        lock = self.unpack(door.id)
        answer = await self.claim(owner, lock)
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "active"
        await lock.online()
        await self.converged(owner, lock)
        return lock

    async def converged(self, owner: Person, lock: SimLock, within: float = 15) -> None:
        async with asyncio.timeout(within):
            while True:
                answer = await self.http.get(f"/v1/locks/{lock.id}", headers=owner.headers)
                seen = answer.json()
                if not seen["documents_pending"] and seen["clock_attested"]:
                    return
                if not seen["documents_pending"] and lock.driver.lock is not None:
                    core = lock.driver.lock._core
                    if core.rtc.bound(core.at) is not None:
                        return
                await asyncio.sleep(0.05)

    # ---- what a phone does

    async def sync(self, person: Person, **nonces: str) -> dict[str, Any]:
        asks = b"{}"
        request = sign_request(
            PhoneRequest(
                person.phone_id.bytes if person.phone_id else bytes(16),
                "POST /v1/phone/sync",
                hash_body(asks),
                int(datetime.now(UTC).timestamp()),
                secrets.token_bytes(8),
            ),
            person.signer,
        )
        answer = await self.http.post("/v1/phone/sync", json={"request": b64(request), "asks": b64(asks)})
        assert answer.status_code == 200, answer.text
        kit: dict[str, Any] = answer.json()
        return kit

    async def unlock(self, person: Person, lock: SimLock, wish: bytes | None = None) -> httpx.Response:
        return await self.http.post(
            f"/v1/locks/{lock.id}/unlock",
            json={"wish": b64(wish or person.wish(lock.id))},
            headers=person.headers,
            timeout=40,
        )


@asynccontextmanager
async def doorway(database: Database, folder: Path, kind: type[Doorway] = Doorway) -> AsyncIterator[Doorway]:
    """Start everything; stop everything."""
    made = kind(database, folder)
    api = database.pool("api")
    from lockserver.db.unit_of_work import PostgresTransactions

    async with contextlib.AsyncExitStack() as stack:
        changes = await stack.enter_async_context(PostgresChanges(database.url("api")))
        made.services = Services(
            transactions=PostgresTransactions(api),
            requests=PostgresRequests(api, changes, lambda: new_id(SystemClock(), system_random)),
            changes=changes,
            clock=SystemClock(),
            random=system_random,
            sms=Sms(),
            phone_index=KeyedIndex(secrets.token_bytes(32)),
        )
        app = create_app(made.services)
        made.http = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door.test")
        )
        stack.push_async_callback(made.close)
        await made.start()
        yield made
