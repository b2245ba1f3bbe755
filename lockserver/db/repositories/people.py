"""Accounts, sessions, holders, phones."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update

from lockserver.db.repositories.rows import Rows
from lockserver.db.tables import (
    AccountRow,
    HolderRow,
    LoginCodeRow,
    PhoneRow,
    SessionRow,
    table_of,
)
from lockserver.domain.account import Account, Holder, LoginCode, Phone, Session


class LoginCodes(Rows[LoginCode]):
    """One-time codes, as hashes."""

    table = table_of(LoginCodeRow)
    record = LoginCode


class Accounts(Rows[Account]):
    """Accounts and their one-time codes."""

    table = table_of(AccountRow)
    record = Account

    async def by_phone(self, phone_index: bytes) -> Account | None:
        """Return the account of this keyed hash."""
        return await self.first(self.select().where(self.table.c.phone_index == phone_index))

    async def add_code(self, code: LoginCode) -> None:
        """Keep a one-time code's hash."""
        await self.run(insert(LoginCodes.table).values(LoginCodes.values(code)))

    async def last_code(self, phone_index: bytes) -> LoginCode | None:
        """Return and hold the newest code that was sent to this number."""
        codes = LoginCodes(self.connection)
        return await codes.first(
            codes.select()
            .where(codes.table.c.phone_index == phone_index)
            .order_by(codes.table.c.id.desc())
            .limit(1)
            .with_for_update()
        )

    async def codes_since(self, phone_index: bytes, since: datetime) -> int:
        """Return how many codes were sent to this number since then; who asks next waits his turn.

        Asked a hundred times at once, the number would else get a hundred messages.
        """
        turn = int.from_bytes(phone_index[:8], "big", signed=True)
        await self.scalar(select(func.pg_advisory_xact_lock(turn)))
        codes = LoginCodes.table
        counted = select(func.count()).select_from(codes)
        return int(
            await self.scalar(counted.where(codes.c.phone_index == phone_index, codes.c.created_at >= since))
        )

    async def save_code(self, code: LoginCode) -> None:
        """Write attempts and use."""
        codes = LoginCodes.table
        await self.run(
            update(codes).where(codes.c.id == code.id).values(attempts=code.attempts, used_at=code.used_at)
        )


class Sessions(Rows[Session]):
    """Logins."""

    table = table_of(SessionRow)
    record = Session

    async def by_access(self, access_hash: bytes) -> Session | None:
        """Return the session of this access token's hash, living or not."""
        return await self.first(self.select().where(self.table.c.access_hash == access_hash))

    async def by_refresh(self, refresh_hash: bytes) -> Session | None:
        """Return and hold the session of this refresh token's hash, living or not."""
        statement = self.select().where(self.table.c.refresh_hash == refresh_hash)
        return await self.first(statement.with_for_update())


class Holders(Rows[Holder]):
    """Natural persons."""

    table = table_of(HolderRow)
    record = Holder

    async def of_account(self, account_id: UUID) -> Holder | None:
        """Return the holder behind an account."""
        return await self.first(self.select().where(self.table.c.account_id == account_id))

    async def by_subject(self, subject: bytes) -> Holder | None:
        """Return the holder of this pseudonym."""
        return await self.first(self.select().where(self.table.c.subject == subject))


class Phones(Rows[Phone]):
    """Phones and their keys."""

    table = table_of(PhoneRow)
    record = Phone

    async def by_sign_pub(self, sign_pub: bytes) -> Phone | None:
        """Return the phone that has this signing key."""
        return await self.first(self.select().where(self.table.c.sign_pub == sign_pub))

    async def of_holder(self, holder_id: UUID) -> Sequence[Phone]:
        """Return a holder's phones, oldest first."""
        statement = self.select().where(self.table.c.holder_id == holder_id)
        return await self.all(statement.order_by(self.table.c.id))

    async def by_key(self, key: bytes) -> Phone | None:
        """Return the phone whose signing key has this SHA-256: how a grantor names it."""
        return await self.first(self.select().where(func.sha256(self.table.c.sign_pub) == key))
