"""Who an access token belongs to."""

import hashlib
from datetime import datetime

from lockserver.app.ports import Steps
from lockserver.domain.account import Holder, Session
from lockserver.domain.canonical import unb64url
from lockserver.domain.errors import InvalidInputError, SessionInvalidError


def token_hash(token: str) -> bytes:
    """Return the hash under which a token is kept: 32 random bytes need no slow hash."""
    try:
        return hashlib.sha256(unb64url(token)).digest()
    except InvalidInputError:
        raise SessionInvalidError from None


async def authenticate(steps: Steps, token: str, now: datetime) -> tuple[Session, Holder]:
    """Return the living session of an access token, and its holder; raises SessionInvalidError."""
    found = await steps.caller(token_hash(token))
    if found is None or not found[0].lives(now):
        raise SessionInvalidError
    return found
