"""BLE gateways of a house: carriers that its owner names, sees and takes out of service."""

from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.keep_gateways import KnownGateway, house_gateways, retire_gateway
from lockserver.app.keep_house import own_house
from lockserver.app.ports import UnitOfWork
from mobile_api.auth.session import Caller
from mobile_api.deps import Sent, Server
from mobile_api.idempotency import Done, Idempotent
from mobile_api.schemas.gateways import GatewayIdentityOut, GatewayIn, GatewayOut, RetireIn, SightOut

router = APIRouter(tags=["gateways"])

PATIENCE_S = 10.0
"""For the issuer."""


def gateway_out(known: KnownGateway) -> GatewayOut:
    """Show a gateway."""
    gateway = known.gateway
    return GatewayOut(
        id=gateway.id,
        name=gateway.name,
        last_seen_at=gateway.last_seen_at,
        free_connections=gateway.free,
        hears=[SightOut(lock_id=one.lock_id, rssi_dbm=one.rssi, seen_at=one.seen_at) for one in known.hears],
    )


@router.post(
    "/houses/{house_id}/gateways",
    status_code=201,
    response_model=GatewayIdentityOut,
    summary="Bring in a BLE gateway",
)
async def name(
    house_id: UUID, body: GatewayIn, caller: Caller, services: Server, once: Idempotent, sent: Sent
) -> Response:
    """It opens nothing: it carries what is sealed between server and locks, and may be removed at any time."""
    async with services.transactions.begin() as work:
        await own_house(work, caller.holder_id, house_id)

    async def ask() -> Done:
        made = await services.requests.ask(
            "issuer",
            "gateway",
            {
                "holder_id": caller.holder_id,
                "house_id": house_id,
                "sent": sent,
                "salt": body.salt,
                "wish": body.wish,
            },
            PATIENCE_S,
        )
        return Done(201, GatewayIdentityOut.model_validate(made))

    return await once.after(caller.actor, ask)


@router.get("/houses/{house_id}/gateways", summary="A house's gateways")
async def gateways(house_id: UUID, caller: Caller, services: Server) -> list[GatewayOut]:
    """For its landlord."""
    async with services.transactions.begin() as work:
        return [gateway_out(one) for one in await house_gateways(work, caller.holder_id, house_id)]


@router.post("/gateways/{gateway_id}/retire", status_code=204, summary="Take a gateway out of service")
async def retire(
    gateway_id: UUID, body: RetireIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """It is thrown off the broker at once; locks refuse it as soon as they have the newer list."""

    async def act(work: UnitOfWork) -> Done:
        await retire_gateway(work, caller.holder_id, gateway_id, body.wish, services.clock.now())
        return Done(204)

    return await once(caller.actor, act)
