"""Enrolment over the broker: the same four messages as over Bluetooth, carried by the server (docs/protocol.md).

Nothing that passes here is believed by who carries it: the offer is signed after the lock's button, the document is
MACed under its claim code.
"""

from fastapi import APIRouter

from lockserver.app.claim_over_broker import own_phone
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.schemas.gateways import LockEnrolIn, LockEnrolOut, LockOfferIn, LockOfferOut, Serial

router = APIRouter(prefix="/lock-offers", tags=["locks"])

BUTTON_S = 30.0
ENROL_S = 12.0


@router.post("", summary="Wait for a lock's button, and fetch its offer")
async def offer(body: LockOfferIn, caller: Caller, services: Server) -> LockOfferOut:
    """At most 30 s. 409 `no_button`: the lock is not at the broker, or nobody pressed its button."""
    async with services.transactions.begin() as work:
        await own_phone(work, caller.holder_id, body.owner_key)
    asked = {"serial": body.serial, "owner_key": body.owner_key}
    return LockOfferOut.model_validate(await services.requests.ask("bridge", "offer", asked, BUTTON_S))


@router.post("/{serial}/enrol", summary="Carry the enrolment to the lock")
async def enrol(serial: Serial, body: LockEnrolIn, caller: Caller, services: Server) -> LockEnrolOut:
    """The lock takes it only under its claim code, and only while its button's time runs."""
    async with services.transactions.begin() as work:
        await own_phone(work, caller.holder_id, None)
    asked = {"serial": serial, "e3": body.e3}
    answer = await services.requests.ask("bridge", "enrol_over_broker", asked, ENROL_S)
    return LockEnrolOut.model_validate(answer)
