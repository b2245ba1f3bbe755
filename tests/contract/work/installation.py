"""Server and lock in one hand: the use cases over any unit of work, real keys, a real lock core.

Nothing here knows an event loop; what it awaits are the use cases themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from firmware_sim.core.events import (
    BrokerMessage,
    BrokerUp,
    ButtonPressed,
    RadioConnected,
    RadioGone,
    RadioMessage,
)
from firmware_sim.core.identity import FactoryIdentity
from firmware_sim.links.memory import MemoryLock
from lockserver.app.accept_report import accept_report, follow_up
from lockserver.app.bridging import Bridging
from lockserver.app.enrol_lock import Claim, enrol_lock
from lockserver.app.enrol_phone import METHOD_PATH, Enrolment, enrol_phone
from lockserver.app.ingest_journal import acknowledge, ingest_journals
from lockserver.app.issuing import Issuing
from lockserver.app.log_in import find_or_make_holder
from lockserver.app.state_time import state_time
from lockserver.domain.account import Phone, Session
from lockserver.domain.canonical import b64url, dumps
from lockserver.domain.ids import new_id
from lockserver.domain.times import whole_seconds
from lockserver.keys.boxes import KeyedIndex
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.documents import KeySet, sign_key_set
from lockserver.protocol.enrolment import read_e2, read_e4, write_e1, write_e3
from lockserver.protocol.limits import CLAIM_CODE
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.wish import OF, SALT, Arg, Wish, WishOperation, digest_of, sign_wish
from tests.support.database import FakeClock
from tests.support.workbench import Workbench

CERTIFICATE = b"a certificate"
KNOCK = 1
NOBODY = UUID(int=0)
INDEX = KeyedIndex(bytes(32))


@dataclass(frozen=True)
class Vouched:
    serial: str
    public: bytes
    fingerprint: bytes


@dataclass
class Authorities:
    """The manufacturer and the device authority; a certificate is a stand-in here."""

    factory: FactoryIdentity

    def verify(self, certificate: bytes, now: datetime) -> Vouched:
        assert certificate == CERTIFICATE
        return Vouched(self.factory.serial, self.factory.signer.public, bytes(32))

    def issue(self, lock_id: UUID, sign_public: bytes, now: datetime) -> bytes:
        return CERTIFICATE


class Plainly:
    """Seals nothing: this is not what is tried here."""

    public = b""

    def seal(self, plaintext: bytes, *, table: str, column: str, row: bytes) -> bytes:
        return plaintext

    def open(self, sealed: bytes, *_: object, **__: object) -> bytes:
        return sealed


@dataclass
class Bus:
    """A broker that hands everything to the one lock there is."""

    installation: Installation
    is_open: bool = True

    def publish(self, lock_id: bytes, envelope: bytes) -> bool:
        self.installation.lock.feed(BrokerMessage(envelope))
        return True

    def publish_gateway(self, gateway_id: bytes, frame: bytes) -> bool:
        raise AssertionError("there is no gateway here")


@dataclass
class Asking:
    """The issuer answers at once."""

    installation: Installation

    async def ask(self, role: str, kind: str, body: Any, within: float) -> dict[str, Any]:
        assert (role, kind) == ("issuer", "time")
        lock_id = UUID(hex=str(body["lock_id"]))
        return {"statement": b64url(await state_time(self.installation.issuing, lock_id, body["nonce"]))}


@dataclass
class Person:
    """A holder with his session and the phone in his hand."""

    number: str
    key: ec.EllipticCurvePrivateKey
    holder_id: UUID = NOBODY
    session_id: UUID = NOBODY
    phone: Phone | None = None

    @property
    def signer(self) -> EcdsaSigner:
        return EcdsaSigner(self.key)


@dataclass
class Installation:
    """All of it. `random` is seeded: the same seed takes the same way."""

    workbench: Workbench
    clock: FakeClock
    random: Random = field(default_factory=lambda: Random(7))

    def __post_init__(self) -> None:
        make = self.random.randbytes
        self.root, self.issuer, self.command = (EcdsaSigner(private_key(make)) for _ in range(3))
        self.report, self.relay = private_key(make), private_key(make)
        factory = FactoryIdentity("LSIM-0001", EcdsaSigner(private_key(make)), CERTIFICATE, make(CLAIM_CODE))
        self.lock = MemoryLock(factory, make)
        self.lock_id = NOBODY
        self.factory = factory
        self.taken = 0
        authorities, plainly = Authorities(factory), Plainly()
        self.api = self.workbench.transactions("api")
        self.issuing = Issuing(
            self.workbench.transactions("issuer"), self.clock, make, self.issuer, authorities, authorities,
            plainly, plainly,
        )  # fmt: skip
        self.bridging = Bridging(
            self.workbench.transactions("bridge"), self.clock, make, Asking(self), Bus(self), self.command,
            self.report,
        )  # fmt: skip

    def id(self) -> UUID:
        return new_id(self.clock, self.random.randbytes)

    def pass_time(self, seconds: float) -> None:
        """Server and lock live on."""
        self.clock.move(timedelta(seconds=seconds))
        self.lock.wait(seconds)

    async def lay_keys(self) -> None:
        """The public halves, as set-up lays them."""
        signing = (self.issuer.public,), (self.command.public,), public_bytes(self.report)
        key_set = sign_key_set(KeySet(1, *signing, whole_seconds(self.clock.now())), self.root)
        halves = {"root": self.root.public, "issuer": self.issuer.public, "relay": public_bytes(self.relay)}
        for kind, public in halves.items():
            extra = {"key_set": key_set, "key_set_number": 1} if kind == "root" else {}
            self.workbench.plant(
                "site_keys", id=self.id(), kind=kind, kid=public[1:9], public=public, state="current", **extra
            )

    async def person(self, number: str) -> Person:
        """Somebody logs in, and brings a phone that nothing has proved yet."""
        one = Person(number, private_key(self.random.randbytes))
        now, far = self.clock.now(), self.clock.now() + timedelta(days=400)
        async with self.api.begin() as work:
            holder = await find_or_make_holder(work, INDEX, self.random.randbytes, now, number)
            assert holder.account_id is not None
            one.holder_id, one.session_id = holder.id, self.id()
            make = self.random.randbytes
            await work.sessions.add(Session(one.session_id, holder.account_id, make(32), far, make(32), far))
        ecdh = public_bytes(private_key(self.random.randbytes))
        keys = one.signer.public + ecdh
        proof = self.signed(one, one.session_id, METHOD_PATH, keys)
        async with self.api.begin() as work:
            enrolment = Enrolment(one.signer.public, ecdh, proof)
            one.phone = await enrol_phone(
                work, self.random.randbytes, now, one.holder_id, one.session_id, enrolment
            )
        return one

    def signed(self, one: Person, phone_id: UUID, path: str, body: bytes) -> bytes:
        """A request that this phone signs."""
        now = whole_seconds(self.clock.now())
        request = PhoneRequest(phone_id.bytes, path, hash_body(body), now, self.random.randbytes(8))
        return sign_request(request, one.signer)

    def wish(self, one: Person, operation: WishOperation, target: UUID, **args: Arg) -> bytes:
        """A wish of this person, for the next 15 seconds."""
        until = whole_seconds(self.clock.now()) + 15
        wish = Wish(self.random.randbytes(16), target.bytes, operation, until, args=args)
        return sign_wish(wish, one.signer)

    def covering(
        self, one: Person, operation: WishOperation, target: UUID, body: dict[str, Any], **args: Arg
    ) -> tuple[bytes, bytes, bytes]:
        """(wish, salt, body): a wish over a whole request."""
        salt = self.random.randbytes(SALT)
        args[OF] = digest_of(salt, dumps(body))
        return self.wish(one, operation, target, **args), salt, dumps(body)

    async def claim(self, landlord: Person, door_id: UUID) -> None:
        """Button, offer, document, first report: the wire's enrolment."""
        lock = self.lock
        lock.feed(ButtonPressed())
        lock.feed(RadioConnected(KNOCK))
        lock.feed(RadioMessage(KNOCK, write_e1(landlord.signer.public)))
        offer = read_e2(lock.said[KNOCK][-1])
        claim = Claim(landlord.holder_id, door_id, offer, self.factory.claim_code)
        made = await enrol_lock(self.issuing, claim)
        self.lock_id = made.lock_id
        lock.feed(RadioMessage(KNOCK, write_e3(made.document, made.mac)))
        await accept_report(self.bridging, self.lock_id, read_e4(lock.said[KNOCK][-1]))
        lock.feed(RadioGone(KNOCK))

    async def connect(self) -> None:
        """The lock reaches its broker, and is heard out."""
        self.lock.feed(BrokerUp())
        await self.hear()

    async def hear(self) -> None:
        """Take what the lock has reported, and do what follows, until it says nothing more."""
        while self.taken < len(self.lock.published):
            sealed = self.lock.published[self.taken]
            self.taken += 1
            heard = await accept_report(self.bridging, self.lock_id, sealed)
            if heard.batch is not None:
                done = await ingest_journals(self.bridging, [heard.batch])
                for kept in done.kept:
                    acknowledge(self.bridging, kept, self.clock.now())
            if heard.acknowledge is not None:
                acknowledge(self.bridging, heard.acknowledge, self.clock.now())
            await follow_up(self.bridging, self.lock_id, heard)
