"""A site without a server: the keys of issuer, root, bridge, and what they sign. For lock and phone tests."""

from __future__ import annotations

import random as seeded
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from firmware_sim.core.identity import FactoryIdentity
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.claims import Capability, Claims, HolderClass
from lockserver.protocol.commands import (
    ActBody,
    Body,
    CaptureBody,
    Command,
    CommandKind,
    DocumentsBody,
    HelloBody,
    InventoryBody,
    JournalAckBody,
)
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.documents import (
    AccessState,
    DoorDocument,
    KeySet,
    ReleaseOrder,
    ReleaseReason,
    RevocationList,
    TimeStatement,
    Trust,
    read_key_set,
    sign_access_state,
    sign_door,
    sign_key_set,
    sign_release,
    sign_revocation_list,
    sign_time,
)
from lockserver.protocol.enrolment import (
    DoorKind,
    EnrolDocument,
    EnrolOffer,
    claim_mac,
    peek_certificate,
    read_e2,
    read_offer,
    sign_enrolment,
    write_e1,
    write_e3,
)
from lockserver.protocol.envelope import Envelope, open_report, seal_command
from lockserver.protocol.journal import Entry, Head, head_after
from lockserver.protocol.reports import Report
from lockserver.protocol.sealed import Box, box_info, seal
from lockserver.protocol.topics import shard
from lockserver.protocol.wish import Wish, WishOperation, sign_wish

T0 = 1_800_000_000
Random = Callable[[int], bytes]


def source(seed: int) -> Random:
    return seeded.Random(seed).randbytes


@dataclass
class Enrolled:
    """What the server knows of one lock."""

    lock_id: bytes
    sign_public: bytes
    ecdh_public: bytes
    broker_secret: bytes
    door_seed: bytes = bytes(32)
    counter: int = 0
    numbers: int = 0


@dataclass
class Holder:
    """A person with a phone key."""

    key: ec.EllipticCurvePrivateKey
    subject: bytes

    @property
    def signer(self) -> EcdsaSigner:
        return EcdsaSigner(self.key)

    @property
    def public(self) -> bytes:
        return public_bytes(self.key)


@dataclass
class Site:
    """Root, issuer, command and report keys in one hand. `now` is the server's clock."""

    random: Random = field(default_factory=lambda: source(1))
    now: int = T0
    certify: Callable[[bytes, bytes], bytes] = lambda _lock_id, _public: b"operational certificate"
    """The device CA: a certificate (DER) for (lock id, signing key)."""

    def __post_init__(self) -> None:
        self.root = EcdsaSigner(private_key(self.random))
        self.issuer = EcdsaSigner(private_key(self.random))
        self.commander = EcdsaSigner(private_key(self.random))
        self.report_key = private_key(self.random)
        self.key_number = 1
        self.pins_key: ec.EllipticCurvePrivateKey | None = None

    @property
    def key_set(self) -> bytes:
        return sign_key_set(
            KeySet(
                self.key_number,
                (self.issuer.public,),
                (self.commander.public,),
                public_bytes(self.report_key),
                self.now,
                None if self.pins_key is None else public_bytes(self.pins_key),
            ),
            self.root,
        )

    def trust(self) -> Trust:
        return Trust(self.root.public, read_key_set(self.key_set, self.root.public))

    # ---- enrolment

    def enrol(
        self, offer: bytes, claim_code: bytes, *, kind: DoorKind = DoorKind.ROOM, epoch: int = 0
    ) -> tuple[bytes, Enrolled]:
        """(E3, what the server then knows) for an LK1-OFFER."""
        certificate = x509.load_der_x509_certificate(peek_certificate(offer))
        factory_key = certificate.public_key()
        assert isinstance(factory_key, ec.EllipticCurvePublicKey)
        read: EnrolOffer = read_offer(offer, public_bytes(factory_key))
        lock_id, secret = self.random(16), self.random(32)
        broker_box = self._box(read.ecdh_public, secret, Box.BROKER, lock_id)
        seed = self.random(32)
        document = EnrolDocument(
            lock_id=lock_id,
            nonce=read.nonce,
            site_root=self.root.public,
            key_set=self.key_set,
            certificate=self.certify(lock_id, read.sign_public),
            broker_secret=broker_box,
            door_seed=self._box(read.ecdh_public, seed, Box.SEED, lock_id),
            shard=shard(lock_id),
            door_kind=kind,
            epoch=epoch if kind is DoorKind.ROOM else None,
            iat=self.now,
        )
        signed = sign_enrolment(document, self.issuer)
        mac = claim_mac(signed, claim_code, read.nonce, read.serial)
        return write_e3(signed, mac), Enrolled(lock_id, read.sign_public, read.ecdh_public, secret, seed)

    def _box(self, to: bytes, plain: bytes, purpose: Box, subject: bytes) -> bytes:
        return seal(to, plain, box_info(purpose, subject), private_key(self.random))

    # ---- documents

    def door(self, lock: Enrolled) -> bytes:
        return sign_door(DoorDocument(lock.lock_id, lock.sign_public, self.now), self.issuer)

    def holder(self) -> Holder:
        return Holder(private_key(self.random), self.random(16))

    def claims(self, lock: Enrolled, holder: Holder, **changes: object) -> Claims:
        fields: dict[str, object] = {
            "cti": self.random(16),
            "subject": holder.subject,
            "lock_id": lock.lock_id,
            "holder_public": holder.public,
            "nbf": self.now - 60,
            "exp": self.now + 3600,
            "iat": self.now,
            "capabilities": Capability.UNLOCK | Capability.LOCK,
            "holder_class": HolderClass.TENANT,
            "epoch": 0,
        }
        return Claims(**(fields | changes))  # type: ignore[arg-type]

    def credential(self, lock: Enrolled, holder: Holder, **changes: object) -> bytes:
        return issue_credential(self.claims(lock, holder, **changes), self.issuer)

    def revocation(self, lock: Enrolled, *ctis: bytes, number: int | None = None) -> SignedDocument:
        lock.numbers += 1
        document = RevocationList(
            lock.lock_id,
            lock.numbers if number is None else number,
            tuple((cti, self.now + 7200) for cti in ctis),
            self.now,
        )
        return SignedDocument(DocumentKind.REVOCATION, sign_revocation_list(document, self.issuer))

    def state(
        self,
        lock: Enrolled,
        *,
        version: int,
        epoch: int | None = 0,
        occupied: bool = False,
        **fields: object,
    ) -> SignedDocument:
        document = AccessState(lock.lock_id, version, epoch, occupied, self.now, **fields)  # type: ignore[arg-type]
        return SignedDocument(DocumentKind.STATE, sign_access_state(document, self.issuer))

    def release(
        self, lock: Enrolled, reason: ReleaseReason = ReleaseReason.RELEASED, *, iat: int | None = None
    ) -> SignedDocument:
        order = ReleaseOrder(lock.lock_id, reason, self.now if iat is None else iat)
        return SignedDocument(DocumentKind.RELEASE, sign_release(order, self.issuer))

    def time(self, lock: Enrolled, nonce: bytes, *, now: int | None = None) -> SignedDocument:
        statement = TimeStatement(self.now if now is None else now, nonce, lock.lock_id)
        return SignedDocument(DocumentKind.TIME, sign_time(statement, self.issuer))

    def keys(self) -> SignedDocument:
        return SignedDocument(DocumentKind.KEYS, self.key_set)

    # ---- commands and reports

    def wish(self, lock: Enrolled, holder: Holder, *, life: int = 20, **changes: object) -> bytes:
        fields: dict[str, object] = {
            "wish_id": self.random(16),
            "target_id": lock.lock_id,
            "operation": WishOperation.UNLOCK,
            "not_after": self.now + life,
        }
        return sign_wish(Wish(**(fields | changes)), holder.signer)  # type: ignore[arg-type]

    def unlock(
        self,
        lock: Enrolled,
        holder: Holder,
        *,
        credential: bytes | None = None,
        wish: bytes | None = None,
        life: int = 20,
        counter: int | None = None,
        kind: CommandKind = CommandKind.UNLOCK,
    ) -> tuple[bytes, Command]:
        """(sealed, command): a remote unlock as the bridge would send it."""
        lock.counter += 1
        command = Command(
            command_id=self.random(16),
            kind=kind,
            body=ActBody(
                wish or self.wish(lock, holder, life=life),
                credential or self.credential(lock, holder),
            ),
            counter=lock.counter if counter is None else counter,
            not_after=self.now + life,
        )
        return self.seal(lock, command), command

    def documents(self, lock: Enrolled, *documents: SignedDocument) -> bytes:
        return self._plain(lock, CommandKind.DOCUMENTS, DocumentsBody(documents))

    def acknowledge(self, lock: Enrolled, head: Head) -> bytes:
        return self._plain(lock, CommandKind.JOURNAL_ACK, JournalAckBody(head.number, head.hash))

    def say_hello(self, lock: Enrolled) -> bytes:
        return self._plain(lock, CommandKind.SAY_HELLO, HelloBody())

    def capture(
        self, lock: Enrolled, holder: Holder, *, credential: bytes | None = None, life: int = 20
    ) -> tuple[bytes, Command]:
        """(sealed, command): the holder wants the next card or finger at the door to become his."""
        lock.counter += 1
        wish = self.wish(lock, holder, life=life, operation=WishOperation.ENROL_CARD)
        command = Command(
            command_id=self.random(16),
            kind=CommandKind.CAPTURE,
            body=CaptureBody(wish, credential or self.credential(lock, holder)),
            counter=lock.counter,
            not_after=self.now + life,
        )
        return self.seal(lock, command), command

    def ask_inventory(self, lock: Enrolled) -> bytes:
        return self._plain(lock, CommandKind.INVENTORY, InventoryBody())

    def _plain(self, lock: Enrolled, kind: CommandKind, body: Body) -> bytes:
        return self.seal(lock, Command(self.random(16), kind, body))

    def seal(self, lock: Enrolled, command: Command) -> bytes:
        return seal_command(command, lock.lock_id, lock.ecdh_public, self.commander, private_key(self.random))

    def open(self, lock: Enrolled, data: bytes) -> Envelope:
        return open_report(data, lock.lock_id, self.report_key, lock.sign_public)

    def reports(self, lock: Enrolled, published: list[bytes]) -> list[Report]:
        return [self.open(lock, data).report for data in published]


def head_of(entries: list[Entry]) -> Head:
    return head_after(entries[-1])


def claim_offer(e2: bytes) -> bytes:
    return read_e2(e2)


def ask_claim(owner: Holder) -> bytes:
    return write_e1(owner.public)


def burn(factory_seed: int = 99, serial: str = "LSIM-TEST-0000000001") -> FactoryIdentity:
    """A factory identity without a CA: tests of the lock need only its key and a certificate for it."""
    import datetime as dt

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    random = source(factory_seed)
    key = private_key(random)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, serial)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2060, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA256())
    )
    return FactoryIdentity(serial, EcdsaSigner(key), certificate.public_bytes(Encoding.DER), random(16))
