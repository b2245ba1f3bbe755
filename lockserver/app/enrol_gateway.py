"""Bring in a BLE gateway: its own key asks, its house's owner wishes it, the site certifies it.

A gateway is a carrier. What it gets opens no door: a name on the broker, and per lock of its house a credential
that conveys `carry` and nothing else, for three days at most, renewed at half of that.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from lockserver.app.issuing import Issuing
from lockserver.app.keep_house import own_house
from lockserver.app.ports import UnitOfWork
from lockserver.app.spend_owners_wish import Wished, spend_owners_wish
from lockserver.domain.errors import ConflictError, GatewayTakenError, InvalidInputError, ProofInvalidError
from lockserver.domain.gateway import LIFE, NAME_LENGTH, PER_HOUSE, Gateway, GatewayCredential
from lockserver.domain.ids import new_secret, uuid7
from lockserver.domain.lock import Lock, hash_broker_secret
from lockserver.domain.times import from_seconds, whole_seconds
from lockserver.protocol.claims import Capability, Claims, HolderClass
from lockserver.protocol.credential import issue_credential
from lockserver.protocol.curve import parse_public, private_key
from lockserver.protocol.documents import DoorDocument, sign_door
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.limits import REQUEST_SKEW
from lockserver.protocol.request import hash_body, read_request
from lockserver.protocol.sealed import Box, box_info, seal
from lockserver.protocol.topics import shard
from lockserver.protocol.wish import WishOperation

METHOD_PATH: Final = "POST /v1/houses/gateways"
BACKDATED_S: Final = 60
"""A credential holds from a little before it was made, for locks whose clock lags."""


@dataclass(frozen=True, slots=True, repr=False)
class GatewayOffer:
    """What a gateway says of itself, carried by the owner's phone, and the owner's wish over all of it.

    `proof`: LK1-REQ by the gateway's signing key; its `phone_id` is the house's id, its `body_hash`
    SHA-256(sign_pub ‖ ecdh_pub), so that no offer serves another house or other keys.
    """

    holder_id: UUID
    house_id: UUID
    name: str
    sign_pub: bytes
    ecdh_pub: bytes
    proof: bytes
    wished: Wished


@dataclass(frozen=True, slots=True, repr=False)
class GatewayIdentity:
    """What goes back to the gateway. `broker_secret`: a box for its ECDH key, subject its id."""

    gateway: Gateway
    broker_secret: bytes
    site_root: bytes
    key_set: bytes


async def enrol_gateway(world: Issuing, offer: GatewayOffer) -> GatewayIdentity:
    """Check offer and wish, write the gateway, certify its key, cut its credentials.

    Raises NotFoundError (no house of his), ProofInvalidError, GatewayTakenError, InvalidInputError, and what a
    wish may be: WishInvalidError, WishExpiredError, WishUsedError, PhoneUnknownError.
    """
    now = world.clock.now()
    _check(offer, now)
    gateway_id = uuid7(now, world.random(10))
    secret = new_secret(world.random)
    async with world.transactions.begin() as work:
        await own_house(work, offer.holder_id, offer.house_id)
        await spend_owners_wish(
            work, now, offer.holder_id, offer.wished, WishOperation.NAME_GATEWAY, offer.house_id
        )
        if len(await work.gateways.of_house(offer.house_id)) >= PER_HOUSE:
            raise GatewayTakenError
        gateway = Gateway(
            id=gateway_id,
            house_id=offer.house_id,
            name=offer.name,
            sign_pub=offer.sign_pub,
            ecdh_pub=offer.ecdh_pub,
            certificate=world.devices.issue(gateway_id, offer.sign_pub, now),
            shard=shard(gateway_id.bytes),
            state="active",
        )
        try:
            await work.gateways.add(gateway)
        except ConflictError:
            raise GatewayTakenError from None
        await work.gateways.keep_secret(gateway_id, hash_broker_secret(secret))
        await _equip(world, work, gateway, now)
        await work.audit.write(
            f"holder:{offer.holder_id}", "name_gateway", f"gateway:{gateway_id}", house=str(offer.house_id)
        )
        root = await work.site_keys.current("root")
    info = box_info(Box.BROKER, gateway_id.bytes)
    boxed = seal(offer.ecdh_pub, secret, info, private_key(world.random))
    return GatewayIdentity(gateway, boxed, root.public, root.key_set or b"")


async def equip_gateways(world: Issuing) -> list[UUID]:
    """Cut what gateways in service lack; return those that got something."""
    now = world.clock.now()
    async with world.transactions.begin() as work:
        wanting = await work.gateway_credentials.wanting(now)
    equipped = []
    for gateway_id in wanting:
        async with world.transactions.begin() as work:
            gateway = await work.gateways.lock(gateway_id)
            if gateway.state == "active" and await _equip(world, work, gateway, now):
                await work.notify("gateways", gateway_id.hex)
                equipped.append(gateway_id)
    return equipped


def _check(offer: GatewayOffer, now: datetime) -> None:
    if not 1 <= len(offer.name.strip()) <= NAME_LENGTH:
        raise InvalidInputError(field="name")
    try:
        parse_public(offer.sign_pub)
        parse_public(offer.ecdh_pub)
        said = read_request(offer.proof, offer.sign_pub)
    except RemoteError:
        raise ProofInvalidError from None
    fresh = abs(said.issued_at - whole_seconds(now)) <= REQUEST_SKEW
    named = said.phone_id == offer.house_id.bytes and said.method_path == METHOD_PATH
    if not fresh or not named or said.body_hash != hash_body(offer.sign_pub + offer.ecdh_pub):
        raise ProofInvalidError


async def _equip(world: Issuing, work: UnitOfWork, gateway: Gateway, now: datetime) -> int:
    """Give it a credential for each lock of its house for which it has none that lasts."""
    held = {one.lock_id: one for one in await work.gateway_credentials.living(gateway.id, now)}
    made = 0
    for lock in await work.gateway_credentials.locks_of(gateway.id):
        one = held.get(lock.id)
        if one is not None and one.expires_at - now > LIFE / 2:
            continue
        await work.gateway_credentials.add(_cut(world, gateway, lock, now))
        made += 1
    return made


def _cut(world: Issuing, gateway: Gateway, lock: Lock, now: datetime) -> GatewayCredential:
    cti = uuid7(now, world.random(10))
    seconds = whole_seconds(now)
    nbf = seconds - BACKDATED_S
    exp = nbf + int(LIFE.total_seconds())
    claims = Claims(
        cti=cti.bytes,
        subject=gateway.id.bytes,
        lock_id=lock.id.bytes,
        holder_public=gateway.sign_pub,
        nbf=nbf,
        exp=exp,
        iat=seconds,
        capabilities=Capability.CARRY,
        holder_class=HolderClass.GATEWAY,
    )
    return GatewayCredential(
        id=cti,
        gateway_id=gateway.id,
        lock_id=lock.id,
        not_before=from_seconds(nbf),
        expires_at=from_seconds(exp),
        issued_at=from_seconds(seconds),
        raw=issue_credential(claims, world.signer),
        door=sign_door(DoorDocument(lock.id.bytes, lock.sign_pub, seconds), world.signer),
    )
