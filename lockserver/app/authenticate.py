"""Who an access token belongs to."""

import hashlib
from datetime import datetime

from lockserver.app.ports import UnitOfWork
from lockserver.domain.account import Holder, Session
from lockserver.domain.canonical import unb64url
from lockserver.domain.errors import InvalidInputError, SessionInvalidError


def token_hash(token: str) -> bytes:
    """Return the hash under which a token is kept: 32 random bytes need no slow hash."""
    try:
        return hashlib.sha256(unb64url(token)).digest()
    except InvalidInputError:
        raise SessionInvalidError from None


async def authenticate(work: UnitOfWork, token: str, now: datetime) -> tuple[Session, Holder]:
    """Return the living session of an access token, and its holder; raises SessionInvalidError."""
    session = await work.sessions.by_access(token_hash(token))
    if session is None or not session.lives(now):
        raise SessionInvalidError
    holder = await work.holders.of_account(session.account_id)
    if holder is None:
        raise SessionInvalidError
    return session, holder
