"""BLE gateways as the server knows them: carriers with a name of their own, and no right to any door."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from lockserver.protocol.limits import GATEWAY_LIFE

GatewayState = Literal["active", "retired"]
LIFE: Final = timedelta(seconds=GATEWAY_LIFE)
"""Of a carrying credential; it is renewed at half of that."""
NAME_LENGTH: Final = 60
PER_HOUSE: Final = 32
"""Gateways of one house: more would hear each other's corridors."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway in a house. `id.hex` is its name on the broker. `free`: connections it said it has left."""

    id: UUID
    house_id: UUID
    name: str
    sign_pub: bytes
    ecdh_pub: bytes
    certificate: bytes | None
    shard: str
    state: GatewayState
    boot: int | None = None
    free: int | None = None
    last_seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GatewayCredential:
    """What lets a gateway carry to one lock; `id` is its `cti`, `door` the LK1-DOOR it pins."""

    id: UUID
    gateway_id: UUID
    lock_id: UUID
    not_before: datetime
    expires_at: datetime
    issued_at: datetime
    raw: bytes
    door: bytes
    revoked_at: datetime | None = None
    revoked_in: int | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """How loud (dBm) a gateway heard a lock, and when."""

    gateway_id: UUID
    lock_id: UUID
    rssi: int
    seen_at: datetime
