"""A phone fetches what opens its doors offline. Its own key is the caller: no session is asked for."""

from uuid import UUID

import structlog
from fastapi import APIRouter

from lockserver.app.phone_sync import prove
from lockserver.domain.errors import DomainError
from mobile_api.deps import Server
from mobile_api.schemas.locks import CarriedReport, KitOut, SyncIn
from mobile_api.services import Services

router = APIRouter(prefix="/phone", tags=["phones"])

PATIENCE_S = 10.0
REPORT_PATIENCE_S = 3.0

log = structlog.get_logger(__name__)


@router.post("/sync", summary="Everything that this phone needs to open its doors")
async def sync(body: SyncIn, services: Server) -> KitOut:
    """Credentials, revocation lists, access states, key set, and time for nonces that it brings.

    All of it is signed by the issuer; this process can withhold it and nothing more. The phone's
    signature over the request stands in for a session.
    """
    now = services.clock.now()
    async with services.transactions.begin() as work:
        phone = await prove(work, body.request, body.asks, now)
    services.limits.try_once(f"sync:{phone.id}", now)
    kit = await services.requests.ask(
        "issuer", "sync", {"request": body.request, "asks": body.asks}, PATIENCE_S
    )
    taken = [await _carry(services, one) for one in body.reports]
    return KitOut.model_validate({**kit, "reports_taken": taken})


async def _carry(services: Services, one: CarriedReport) -> bool:
    """Hand a carried report to the bridge; what fails is kept by its lock, and comes again."""
    try:
        answer = await services.requests.ask(
            "bridge",
            "report",
            {"lock_id": UUID(str(one.lock_id)), "report": one.report},
            REPORT_PATIENCE_S,
        )
    except DomainError as error:
        log.warning("sync.report_untaken", code=error.code)
        return False
    return bool(answer.get("taken"))
