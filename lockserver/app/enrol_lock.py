"""Bring in a lock: its factory vouches for it, its button for its owner, its claim code for us.

The claim code from the QR proves nothing to us (anybody may photograph it); it lets the lock know
that the answer comes from whom its owner turned to. The press of the button is inside the offer: the
lock signs one only within 120 s of it, and names the phone key that asked.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from lockserver.app.issue_access_documents import first_documents
from lockserver.app.issuing import FactoryProof, Issuing
from lockserver.app.ports import UnitOfWork
from lockserver.domain.errors import ClaimRefusedError, LockTakenError, NotFoundError
from lockserver.domain.house import Door
from lockserver.domain.ids import new_secret, uuid7
from lockserver.domain.lock import Lock, hash_broker_secret
from lockserver.domain.times import whole_seconds
from lockserver.protocol.curve import private_key
from lockserver.protocol.enrolment import (
    DoorKind,
    EnrolDocument,
    EnrolOffer,
    claim_mac,
    peek_certificate,
    read_offer,
    sign_enrolment,
)
from lockserver.protocol.errors import LocalError, RemoteError
from lockserver.protocol.sealed import Box, box_info, seal
from lockserver.protocol.topics import shard


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """What the owner's phone brought from the lock and from its QR code."""

    holder_id: UUID
    door_id: UUID
    offer: bytes
    claim_code: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Enrolment:
    """What goes back to the lock: LK1-ENROL and its MAC under the claim code."""

    lock_id: UUID
    document: bytes
    mac: bytes


async def enrol_lock(world: Issuing, claim: Claim) -> Enrolment:
    """Check the claim, write the lock (`enrolling`), make its operational identity.

    A repeated claim of a lock that never said it was enrolled starts over with a new identity.
    Raises ClaimRefusedError, LockTakenError, NotFoundError.
    """
    now = world.clock.now()
    offer, factory = _read_offer(world, claim, now)
    async with world.transactions.begin() as work:
        door = await _owned_door(work, claim)
        await _prove_phone(work, claim, offer)
        await _make_room(work, door, offer.serial)
        lock = Lock(
            id=uuid7(now, world.random(10)),
            door_id=door.id,
            serial=offer.serial,
            sign_pub=offer.sign_public,
            ecdh_pub=offer.ecdh_public,
            factory_fingerprint=factory.fingerprint,
            certificate=None,
            shard="",
            state="enrolling",
        )
        certificate = world.devices.issue(lock.id, offer.sign_public, now)
        lock = replace(lock, certificate=certificate, shard=shard(lock.id.bytes))
        secret, seed = new_secret(world.random), new_secret(world.random)
        await work.locks.add(lock)
        await work.locks.keep_secrets(
            lock.id,
            hash_broker_secret(secret),
            world.seeds.seal(seed, table="locks", column="seed_sealed", row=lock.id.bytes),
        )
        epoch = await first_documents(world, work, lock, door, now)
        document = await _document(world, work, lock, door, offer, (secret, seed, epoch), now)
        await work.audit.write(
            f"holder:{claim.holder_id}", "enrol_lock", f"lock:{lock.id}", door=str(door.id)
        )
    mac = claim_mac(document, claim.claim_code, offer.nonce, offer.serial)
    return Enrolment(lock.id, document, mac)


def _read_offer(world: Issuing, claim: Claim, now: datetime) -> tuple[EnrolOffer, FactoryProof]:
    """Verify certificate and offer; the MAC is tried once so that a bad code fails before a write."""
    try:
        factory = world.factories.verify(peek_certificate(claim.offer), now)
        offer = read_offer(claim.offer, factory.public)
        claim_mac(b"", claim.claim_code, offer.nonce, offer.serial)
    except (RemoteError, LocalError) as error:
        raise ClaimRefusedError from error
    if offer.serial != factory.serial:
        raise ClaimRefusedError("the offer names another serial than its certificate")
    return offer, factory


async def _owned_door(work: UnitOfWork, claim: Claim) -> Door:
    """Return the door, held, if it stands in a house of the claimant's."""
    door = await work.doors.get(claim.door_id)
    house = await work.houses.get(door.house_id) if door else None
    if door is None or house is None or house.owner_holder_id != claim.holder_id:
        raise NotFoundError
    return door


async def _prove_phone(work: UnitOfWork, claim: Claim, offer: EnrolOffer) -> None:
    """The button proves the owner's phone key: the lock named it in what it signed.

    Anybody can buy a lock and press its button. So it proves an owner's first phone; while that one
    lives, a swapped SIM brings in no second one.
    """
    phone = await work.phones.by_sign_pub(offer.owner_public)
    if phone is None or phone.holder_id != claim.holder_id or phone.state == "revoked":
        raise ClaimRefusedError("the lock was claimed by another phone")
    if phone.proved_by != "button":
        others = await work.phones.of_holder(claim.holder_id)
        if any(one.state == "active" and one.proved_by == "button" for one in others):
            raise ClaimRefusedError("the owner has a phone that was proved already")
        await work.phones.save(replace(phone, state="active", proved_by="button"))
        await work.audit.write(f"holder:{claim.holder_id}", "prove_phone", f"phone:{phone.id}", by="button")


async def _make_room(work: UnitOfWork, door: Door, serial: str) -> None:
    """Refuse a taken door or lock.

    An enrolment that was never finished stays beside this one: whoever stood by when the button was
    pressed has an offer of his own, and must not void the owner's with it. Which one holds, the lock
    says by its first report: it took the one whose maker knew its claim code.
    """
    if await work.locks.at_door(door.id) is not None:
        raise LockTakenError
    before = await work.locks.by_serial(serial)
    if before is not None and before.state == "active":
        raise LockTakenError


async def _document(
    world: Issuing,
    work: UnitOfWork,
    lock: Lock,
    door: Door,
    offer: EnrolOffer,
    secrets: tuple[bytes, bytes, int | None],
    now: datetime,
) -> bytes:
    """Sign LK1-ENROL: who we are, who the lock is now, and its two secrets for its eyes only."""
    root = await work.site_keys.current("root")
    broker_secret, door_seed, epoch = secrets
    lock_id = lock.id.bytes

    def boxed(box: Box, secret: bytes) -> bytes:
        return seal(lock.ecdh_pub, secret, box_info(box, lock_id), private_key(world.random))

    return sign_enrolment(
        EnrolDocument(
            lock_id=lock_id,
            nonce=offer.nonce,
            site_root=root.public,
            key_set=root.key_set or b"",
            certificate=lock.certificate or b"",
            broker_secret=boxed(Box.BROKER, broker_secret),
            door_seed=boxed(Box.SEED, door_seed),
            shard=lock.shard,
            door_kind=DoorKind.SHARED if door.kind == "gate" else DoorKind.ROOM,
            epoch=epoch,
            iat=whole_seconds(now),
        ),
        world.signer,
    )
