"""Accounts, sessions, holders, phones, houses, doors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from lockserver.domain.account import Account, Holder, LoginCode, Phone, Session
from lockserver.domain.house import Door, House
from tests.sim.memory.rows import Rows, by, some
from tests.sim.memory.transaction import ADVISORY, UPDATE


class LoginCodes(Rows[LoginCode]):
    """One-time codes, as hashes."""

    table = "login_codes"
    record = LoginCode


class Accounts(Rows[Account]):
    """Accounts and their one-time codes."""

    table = "accounts"
    record = Account

    async def by_phone(self, phone_index: bytes) -> Account | None:
        """Return the account of this keyed hash."""
        return await self.first(phone_index=phone_index)

    async def add_code(self, code: LoginCode) -> None:
        """Keep a one-time code's hash."""
        await LoginCodes(self.connection).add(code)

    async def last_code(self, phone_index: bytes) -> LoginCode | None:
        """Return and hold the newest code that was sent to this number."""
        codes = LoginCodes(self.connection)
        return some(
            await codes.holding(order=by("id", newest=True), limit=1, mode=UPDATE, phone_index=phone_index)
        )

    async def codes_since(self, phone_index: bytes, since: datetime) -> int:
        """Return how many codes were sent to this number since then; who asks next waits his turn."""
        async with self.statement() as work:
            await work.hold(ADVISORY, ("number", phone_index), UPDATE)
            sent = work.rows("login_codes", phone_index=phone_index)
            return sum(code["created_at"] >= since for code in sent)

    async def save_code(self, code: LoginCode) -> None:
        """Write attempts and use."""
        codes = LoginCodes(self.connection)
        await codes.change("save", code.id, attempts=code.attempts, used_at=code.used_at)


class Sessions(Rows[Session]):
    """Logins."""

    table = "sessions"
    record = Session

    async def by_access(self, access_hash: bytes) -> Session | None:
        """Return the session of this access token's hash, living or not."""
        return await self.first(access_hash=access_hash)

    async def by_refresh(self, refresh_hash: bytes) -> Session | None:
        """Return and hold the session of this refresh token's hash, living or not."""
        return some(await self.holding(mode=UPDATE, refresh_hash=refresh_hash))


class Holders(Rows[Holder]):
    """Natural persons."""

    table = "holders"
    record = Holder

    async def of_account(self, account_id: UUID) -> Holder | None:
        """Return the holder behind an account."""
        return await self.first(account_id=account_id)

    async def by_subject(self, subject: bytes) -> Holder | None:
        """Return the holder of this pseudonym."""
        return await self.first(subject=subject)


class Phones(Rows[Phone]):
    """Phones and their keys."""

    table = "phones"
    record = Phone

    async def by_sign_pub(self, sign_pub: bytes) -> Phone | None:
        """Return the phone that has this signing key."""
        return await self.first(sign_pub=sign_pub)

    async def of_holder(self, holder_id: UUID) -> Sequence[Phone]:
        """Return a holder's phones, oldest first."""
        return await self.find(order=by("id"), holder_id=holder_id)

    async def by_key(self, key: bytes) -> Phone | None:
        """Return the phone whose signing key has this SHA-256: how a grantor names it."""
        return await self.first(lambda row: hashlib.sha256(row["sign_pub"]).digest() == key)


class Houses(Rows[House]):
    """Houses and who works there."""

    table = "houses"
    record = House

    async def of_owner(self, holder_id: UUID) -> Sequence[House]:
        """Return the houses that this holder owns, oldest first."""
        return await self.find(order=by("id"), owner_holder_id=holder_id)

    async def add_staff(self, house_id: UUID, holder_id: UUID, wish_id: UUID | None) -> None:
        """Make a holder staff of a house by the owner's wish; where he is, the newer wish counts."""
        async with self.statement("add_staff") as work:
            row = {"house_id": house_id, "holder_id": holder_id, "wish_id": wish_id}
            if wish_id is None:
                await work.insert("house_staff", row, or_nothing=True)
            else:
                await work.upsert("house_staff", row)

    async def staff_wishes(self, holder_id: UUID) -> Sequence[tuple[UUID, UUID]]:
        """Return (house, the wish that named him) wherever a holder is staff by a kept wish."""
        async with self.statement() as work:
            rows = work.rows("house_staff", holder_id=holder_id)
            return [(row["house_id"], row["wish_id"]) for row in rows if row["wish_id"] is not None]

    async def is_staff(self, house_id: UUID, holder_id: UUID) -> bool:
        """Tell whether a holder is staff of a house."""
        return holder_id in await self.staff(house_id)

    async def staff(self, house_id: UUID) -> Sequence[UUID]:
        """Return the holders who are staff of a house."""
        async with self.statement() as work:
            return sorted(row["holder_id"] for row in work.rows("house_staff", house_id=house_id))

    async def staffed_by(self, holder_id: UUID) -> Sequence[House]:
        """Return the houses where this holder is staff."""
        async with self.statement() as work:
            mine = [row["house_id"] for row in work.rows("house_staff", holder_id=holder_id)]
            rows = [work.row("houses", house_id) for house_id in sorted(mine)]
            return [self.read(row) for row in rows if row is not None]


class Doors(Rows[Door]):
    """Gates and rooms."""

    table = "doors"
    record = Door

    async def of_house(self, house_id: UUID) -> Sequence[Door]:
        """Return a house's doors, oldest first."""
        return await self.find(order=by("id"), house_id=house_id)

    async def gates(self, house_id: UUID) -> Sequence[Door]:
        """Return a house's gates."""
        return [door for door in await self.of_house(house_id) if door.kind == "gate"]
