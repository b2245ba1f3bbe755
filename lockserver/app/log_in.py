"""Exchange a one-time code for a session."""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.authenticate import token_hash
from lockserver.app.ports import PhoneIndex, Random, UnitOfWork
from lockserver.app.send_login_code import code_hash
from lockserver.domain.account import Account, Holder, Session
from lockserver.domain.canonical import b64url
from lockserver.domain.errors import SessionInvalidError
from lockserver.domain.ids import new_secret, uuid7
from lockserver.domain.phone_number import mask

ATTEMPTS_MAX = 5
ACCESS_LIFE = timedelta(minutes=30)
REFRESH_LIFE = timedelta(days=60)


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """What a client keeps; the server keeps only hashes."""

    session_id: UUID
    access: str
    refresh: str
    access_expires_at: datetime


async def find_or_make_holder(
    work: UnitOfWork, index: PhoneIndex, random: Random, now: datetime, phone: str
) -> Holder:
    """Return the holder behind a normalised number; a number not seen before becomes an account."""
    phone_index = index.index(phone)
    account = await work.accounts.by_phone(phone_index)
    if account is None:
        account = Account(uuid7(now, random(10)), phone_index, mask(phone))
        await work.accounts.add(account)
    holder = await work.holders.of_account(account.id)
    if holder is None:
        holder = Holder(uuid7(now, random(10)), account.id, random(16))
        await work.holders.add(holder)
    return holder


async def log_in(
    work: UnitOfWork, index: PhoneIndex, random: Random, now: datetime, phone: str, code: str
) -> Tokens | None:
    """Return tokens, or None for a wrong, used, expired or exhausted code alike.

    It does not raise for a wrong code: the counted attempt must be committed.
    """
    phone_index = index.index(phone)
    sent = await work.accounts.last_code(phone_index)
    right = hmac.compare_digest(
        code_hash(phone_index, code), sent.code_hash if sent else code_hash(phone_index, "")
    )
    if sent is None or sent.used_at or now >= sent.expires_at or sent.attempts >= ATTEMPTS_MAX:
        return None
    if not right:
        await work.accounts.save_code(replace(sent, attempts=sent.attempts + 1))
        return None
    await work.accounts.save_code(replace(sent, attempts=sent.attempts + 1, used_at=now))
    holder = await find_or_make_holder(work, index, random, now, phone)
    if holder.account_id is None:  # pragma: no cover - made or found by its account above
        raise SessionInvalidError
    session, tokens = _fresh(uuid7(now, random(10)), holder.account_id, random, now)
    await work.sessions.add(session)
    await work.audit.write(f"holder:{holder.id}", "log_in", f"session:{session.id}")
    return tokens


async def refresh_session(work: UnitOfWork, random: Random, now: datetime, refresh: str) -> Tokens:
    """Return new tokens for a refresh token, which dies by it; raises SessionInvalidError."""
    session = await work.sessions.by_refresh(token_hash(refresh))
    if session is None or session.revoked_at is not None or now >= session.refresh_expires_at:
        raise SessionInvalidError
    renewed, tokens = _fresh(session.id, session.account_id, random, now)
    await work.sessions.save(renewed)
    return tokens


async def log_out(work: UnitOfWork, now: datetime, session_id: UUID) -> None:
    """Revoke a session; raises NotFoundError."""
    session = await work.sessions.lock(session_id)
    await work.sessions.save(replace(session, revoked_at=session.revoked_at or now))


def _fresh(session_id: UUID, account_id: UUID, random: Random, now: datetime) -> tuple[Session, Tokens]:
    access, refresh = b64url(new_secret(random)), b64url(new_secret(random))
    session = Session(
        id=session_id,
        account_id=account_id,
        access_hash=token_hash(access),
        access_expires_at=now + ACCESS_LIFE,
        refresh_hash=token_hash(refresh),
        refresh_expires_at=now + REFRESH_LIFE,
    )
    return session, Tokens(session_id, access, refresh, session.access_expires_at)
