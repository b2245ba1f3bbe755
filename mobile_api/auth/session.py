"""A session's caller, from the access token in the Authorization header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from lockserver.app.authenticate import authenticate
from lockserver.domain.errors import SessionInvalidError
from mobile_api.deps import Server

_bearer = HTTPBearer(scheme_name="access_token", description="From `POST /v1/login`.", auto_error=False)


@dataclass(frozen=True, slots=True)
class Session:
    """Who asks: a login, its account and the person behind it."""

    id: UUID
    account_id: UUID
    holder_id: UUID

    @property
    def actor(self) -> str:
        """The name of this caller in the audit log and in idempotency."""
        return f"holder:{self.holder_id}"


async def session_of(
    services: Server,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Session:
    """Return the caller; raises SessionInvalidError for every reason alike."""
    if given is None:
        raise SessionInvalidError
    async with services.transactions.steps() as steps:
        session, holder = await authenticate(steps, given.credentials, services.clock.now())
    return Session(session.id, session.account_id, holder.id)


Caller = Annotated[Session, Depends(session_of)]
"""Give a route this parameter and it asks for a session."""
