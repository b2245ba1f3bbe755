"""Ask the issuer to bring locks' documents up to the present, once what changed has committed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from lockserver.domain.errors import DomainError
from mobile_api.services import Services

PATIENCE_S = 5.0
_log = structlog.get_logger("mobile_api")


async def refresh_access(services: Services, lock_ids: Sequence[UUID]) -> bool:
    """Return whether the issuer answered; where it did not, its own sweep finds the change later.

    Nothing hangs on this answer: the grants are ended already, and a list only tells locks so.
    """
    if not lock_ids:
        return True
    try:
        await services.requests.ask(
            "issuer", "access", {"lock_ids": [str(one) for one in lock_ids]}, PATIENCE_S
        )
    except DomainError as silent:
        _log.warning("access.refresh_waits", code=silent.code, locks=len(lock_ids))
        return False
    return True
