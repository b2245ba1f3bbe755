"""Public keys that phones seal to."""

from fastapi import APIRouter

from mobile_api.deps import Server
from mobile_api.schemas.cases import KeyOut

router = APIRouter(prefix="/keys", tags=["site"])


@router.get("/verify", summary="The key that opens what phones seal for identity capture")
async def verify_key(services: Server) -> KeyOut:
    """Held by the role verify alone; the process that answers you cannot open a box to it."""
    async with services.transactions.begin() as work:
        key = await work.site_keys.current("verify")
        return KeyOut(kid=key.kid, public=key.public)


@router.get("/pins", summary="The key that opens PINs which people choose")
async def pins_key(services: Server) -> KeyOut:
    """Held by the role issuer alone: a chosen PIN travels sealed to it, inside its holder's signed wish."""
    async with services.transactions.begin() as work:
        key = await work.site_keys.current("pins")
        return KeyOut(kid=key.kid, public=key.public)
