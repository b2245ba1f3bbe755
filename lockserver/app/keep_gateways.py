"""A house's gateways as its landlord sees them: there or not, what they hear, and out of service."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lockserver.app.keep_house import own_house
from lockserver.app.ports import UnitOfWork
from lockserver.app.spend_wish import spend_wish
from lockserver.domain.errors import NotFoundError, PhoneUnknownError
from lockserver.domain.gateway import Gateway, Sighting
from lockserver.protocol.wish import WishOperation


@dataclass(frozen=True, slots=True)
class KnownGateway:
    """A gateway with what it heard last."""

    gateway: Gateway
    hears: tuple[Sighting, ...]


async def house_gateways(work: UnitOfWork, holder_id: UUID, house_id: UUID) -> Sequence[KnownGateway]:
    """Return the gateways in service of a landlord's own house. Raises NotFoundError."""
    await own_house(work, holder_id, house_id)
    heard = await work.gateways.sightings(house_id)
    return [
        KnownGateway(one, tuple(sight for sight in heard if sight.gateway_id == one.id))
        for one in await work.gateways.of_house(house_id)
    ]


async def retire_gateway(
    work: UnitOfWork, holder_id: UUID, gateway_id: UUID, wish: bytes, now: datetime
) -> None:
    """Take a gateway out of service, by its owner's wish: it is thrown off the broker, and locks are told.

    Its credentials go on the revocation lists; what it could still do until a lock has the newer one is carry.
    Raises NotFoundError, WishInvalidError, WishExpiredError, WishUsedError, PhoneUnknownError.
    """
    gateway = await work.gateways.get(gateway_id)
    if gateway is None or gateway.state != "active":
        raise NotFoundError
    await own_house(work, holder_id, gateway.house_id)
    taken = await spend_wish(work, now, holder_id, wish, WishOperation.RETIRE, gateway_id)
    if taken.phone.proved_by != "button":
        raise PhoneUnknownError  # else whoever has the owner's number could take his house off the air
    if not await work.gateways.retire(gateway_id):
        raise NotFoundError
    await work.audit.write(f"holder:{holder_id}", "retire_gateway", f"gateway:{gateway_id}")
    await work.notify("gateways", gateway_id.hex)
