"""BLE gateways, and locks that are enrolled over the broker."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from mobile_api.schemas.locks import Offer, Report
from mobile_api.schemas.parts import Bytes, In, Instant, Out, Point, Wish, WishedIn, example, octets

Proof = Annotated[Bytes, Field(min_length=64, max_length=512)]
Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
Serial = Annotated[str, Field(pattern=r"^[A-Z0-9-]{4,32}$")]


class GatewayIn(WishedIn):
    """A gateway's offer. The wish: operation 22 (name gateway), target the house.

    `proof`: LK1-REQ by the gateway's signing key, `phone_id` = the house's id, method and path
    `POST /v1/houses/gateways`, body hash SHA-256(sign_pub ‖ ecdh_pub).
    """

    model_config = example(
        name="楼道",
        sign_pub=octets(65),
        ecdh_pub=octets(65),
        proof=octets(200),
        wish=octets(200),
        salt=octets(16),
    )

    name: Name
    sign_pub: Point
    ecdh_pub: Point
    proof: Proof


class GatewayIdentityOut(Out):
    """For the gateway: its name on the broker, its certificate (DER), its secret, and whom to believe.

    `broker_secret` is a box to its ECDH key (purpose `broker`, subject its id).
    """

    gateway_id: UUID
    shard: str
    certificate: Bytes
    broker_secret: Bytes
    site_root: Bytes
    key_set: Bytes


class SightOut(Out):
    """How loud a lock was heard, and when."""

    lock_id: UUID
    rssi_dbm: int
    seen_at: Instant


class GatewayOut(Out):
    """A gateway in service and what it heard last. What is old is old: look at the instants."""

    id: UUID
    name: str
    last_seen_at: Instant | None
    free_connections: int | None
    hears: list[SightOut]


class RetireIn(In):
    """The owner's wish, operation 23 (retire), target this gateway."""

    model_config = example(wish=octets(160))

    wish: Wish


class LockOfferIn(In):
    """A lock that waits at the broker, and the key of the owner's phone that is to be named in its offer."""

    model_config = example(serial="LSIM-2026-0000000001", owner_key=octets(65))

    serial: Serial
    owner_key: Point


class LockOfferOut(Out):
    """The lock's LK1-OFFER: for `POST /v1/locks`, with the claim code off its QR."""

    offer: Offer


class LockEnrolIn(In):
    """Message E3: LK1-ENROL and its MAC, as `POST /v1/locks` answered."""

    model_config = example(e3=octets(900))

    e3: Annotated[Bytes, Field(min_length=100, max_length=4096)]


class LockEnrolOut(Out):
    """The lock's sealed first report: for `POST /v1/locks/{id}/enrolled`."""

    report: Report
