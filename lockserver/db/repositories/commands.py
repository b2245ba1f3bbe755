"""Commands and the wishes they carry; credentials; verdicts; journals."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.db.connection import driver
from lockserver.db.repositories.locks import useless
from lockserver.db.repositories.rows import Rows, refusals
from lockserver.db.tables import (
    CaseRow,
    CommandRow,
    CredentialRow,
    DutyRow,
    GrantRow,
    PhoneRow,
    RegistrationRow,
    VerdictRow,
    WishRow,
    WishTermsRow,
    table_of,
)
from lockserver.domain.command import GRACE, Command
from lockserver.domain.errors import ConflictError, WishUsedError
from lockserver.domain.grant import Capability, GrantClass
from lockserver.domain.lock import (
    ArrivalFiling,
    IssuedCredential,
    KeyOwner,
    SpentWish,
    Verdict,
    WishTerms,
)

_NOTE: Final = """
UPDATE commands SET via = n.via, fault = n.fault
  FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS n (id, via, fault)
 WHERE commands.id = n.id AND commands.state IN ('queued', 'sent', 'unknown')
"""

_grants = table_of(GrantRow)
_phones = table_of(PhoneRow)
_terms = table_of(WishTermsRow)
_NO_ACT = text("operation NOT IN ('unlock', 'lock', 'hold_open')")
"""In the words of the index `wishes_target_idx`: nobody asks for remote acts by their target."""


class Commands(Rows[Command]):
    """Commands and their steps."""

    table = table_of(CommandRow)
    record = Command

    async def open_locks(self) -> Sequence[UUID]:
        """Return the locks that have a queued command."""
        table = self.table
        statement = select(table.c.lock_id).distinct().where(table.c.state == "queued")
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]

    async def overdue(self, now: datetime, limit: int = 200) -> Sequence[Command]:
        """Return and hold commands of which time alone makes something, oldest first."""
        table = self.table
        return await self.all(
            self.select()
            .where(
                or_(
                    and_(table.c.state == "queued", table.c.not_after <= now),
                    and_(table.c.state == "sent", table.c.not_after <= now - GRACE),
                )
            )
            .order_by(table.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )

    async def unproven(self, lock_ids: Sequence[UUID]) -> Sequence[Command]:
        """Return and hold these locks' commands that only their own word can settle."""
        table = self.table
        return await self.all(
            self.select()
            .where(table.c.lock_id.in_(lock_ids), table.c.state.in_(("sent", "unknown")))
            .order_by(table.c.lock_id, table.c.counter)
            .with_for_update()
        )

    async def attempts(
        self, lock_id: UUID, reader: UUID, also: Sequence[GrantClass], limit: int
    ) -> Sequence[tuple[Command, GrantClass]]:
        """Return the newest commands of the reader and of these classes, with the class of their grant."""
        table = self.table
        statement = (
            select(*self.columns(), _grants.c.class_)
            .join(_grants, _grants.c.id == table.c.grant_id)
            .where(
                table.c.lock_id == lock_id,
                or_(table.c.holder_id == reader, _grants.c.class_.in_(also)),
            )
            .order_by(table.c.id.desc())
            .limit(limit)
        )
        with refusals():
            rows = (await self.connection.execute(statement)).all()
        return [(Command(*row[:-1]), row[-1]) for row in rows]

    async def note_ways(self, notes: Sequence[tuple[UUID, str | None, str | None]]) -> None:
        """Write how commands under way went last and what stands in their way: (id, via, fault)."""
        raw = await driver(self.connection)
        await raw.execute(_NOTE, [list(column) for column in zip(*notes, strict=True)])

    async def carried_out_or_refused(self, lock_ids: Sequence[UUID], since: datetime) -> Sequence[Command]:
        """Return these locks' commands that are `done` or `refused` and could live until `since` or later."""
        table = self.table
        return await self.all(
            self.select().where(
                table.c.lock_id.in_(lock_ids),
                table.c.state.in_(("done", "refused")),
                table.c.not_after >= since,
            )
        )


class Wishes(Rows[SpentWish]):
    """Wishes that were used."""

    table = table_of(WishRow)
    record = SpentWish

    async def spent_at(
        self, holder_id: UUID, operation: str, target: UUID, since: datetime
    ) -> Sequence[datetime]:
        """Return until when the wishes of this holder for this were good, of those that were after `since`."""
        table = self.table
        found = await self.all(
            self.select().where(
                table.c.holder_id == holder_id,
                table.c.operation == operation,
                table.c.target == target,
                table.c.not_after > since,
            )
        )
        return [wish.not_after for wish in found]

    async def spend(self, wish: SpentWish) -> None:
        """Use it; raises WishUsedError where it was."""
        try:
            await self.run(insert(self.table).values(self.values(wish)))
        except ConflictError as used:
            raise WishUsedError from used

    async def wishers(self, operation: str, target: UUID, since: datetime) -> Sequence[UUID]:
        """Return the holders who wished this for this target, by wishes that were good until after `since`."""
        table = self.table
        young = (table.c.operation == operation) & (table.c.not_after > since)
        wishes = await self.all(self.select().where(table.c.target == target, young, _NO_ACT))
        return list({wish.holder_id for wish in wishes})

    async def about(self, target: UUID) -> Sequence[SpentWish]:
        """Return the wishes about this target in the order in which they were kept; no remote acts."""
        table = self.table
        statement = self.select().where(table.c.target == target, _NO_ACT)
        return await self.all(statement.order_by(table.c.created_at, table.c.id))

    async def keep_terms(self, terms: WishTerms) -> None:
        """Keep what a wish that was spent covers."""
        await self.run(insert(_terms).values(asdict(terms)))

    async def terms(self, wish_id: UUID) -> WishTerms | None:
        """Return what a wish covers, where that was kept."""
        wanted = select(_terms.c.wish_id, _terms.c.body, _terms.c.salt).where(_terms.c.wish_id == wish_id)
        with refusals():
            row = (await self.connection.execute(wanted)).first()
        return None if row is None else WishTerms(*row)


class Credentials(Rows[IssuedCredential]):
    """E-keys as they were signed."""

    table = table_of(CredentialRow)
    record = IssuedCredential

    async def of_grant(
        self, grant_id: UUID, phone_id: UUID, lock_id: UUID, at: datetime
    ) -> IssuedCredential | None:
        """Return the newest credential cut from this grant for this phone that lives then."""
        table = self.table
        return await self.first(
            self.select()
            .where(
                table.c.grant_id == grant_id,
                table.c.phone_id == phone_id,
                table.c.lock_id == lock_id,
                table.c.revoked_at.is_(None),
                table.c.expires_at > at,
            )
            .order_by(table.c.id.desc())
            .limit(1)
        )

    async def stale(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return and hold living credentials that nobody may use any more and no list names."""
        table = self.table
        return await self.all(
            self.select()
            .join(_grants, _grants.c.id == table.c.grant_id)
            .join(_phones, _phones.c.id == table.c.phone_id)
            .where(table.c.lock_id == lock_id, useless(at))
            .order_by(table.c.id)
            .with_for_update(of=table)
        )

    async def void(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return living credentials that nobody may use any more, whether or not a list names them."""
        table = self.table
        withdrawn = and_(table.c.revoked_at.is_not(None), table.c.expires_at > at)
        return await self.all(
            self.select()
            .join(_grants, _grants.c.id == table.c.grant_id)
            .join(_phones, _phones.c.id == table.c.phone_id)
            .where(table.c.lock_id == lock_id, or_(useless(at), withdrawn))
            .order_by(table.c.id)
        )

    async def without_entry(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return living, good credentials of owner and staff that do not convey `entry`."""
        table = self.table
        return await self.all(
            self.select()
            .join(_grants, _grants.c.id == table.c.grant_id)
            .where(
                table.c.lock_id == lock_id,
                table.c.expires_at > at,
                table.c.revoked_at.is_(None),
                _grants.c.class_.in_(("owner", "staff")),
                table.c.capabilities.bitwise_and(int(Capability.ENTRY)) == 0,
            )
            .order_by(table.c.id)
        )

    async def revoked(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return revoked credentials that would live otherwise: what the list must name."""
        table = self.table
        return await self.all(
            self.select()
            .where(
                table.c.lock_id == lock_id,
                table.c.revoked_at.is_not(None),
                table.c.expires_at > at,
            )
            .order_by(table.c.id)
        )

    async def owners(self, ids: Sequence[UUID]) -> dict[UUID, KeyOwner]:
        """Return whose credentials these are, by credential id."""
        table, parent = self.table, _grants.alias()
        statement = (
            select(
                table.c.id, _grants.c.holder_id, _grants.c.class_, _grants.c.tenancy_id, parent.c.holder_id
            )
            .join(_grants, _grants.c.id == table.c.grant_id)
            .outerjoin(parent, parent.c.id == _grants.c.parent_id)
            .where(table.c.id.in_(ids))
        )
        with refusals():
            return {row[0]: KeyOwner(*row[1:]) for row in await self.connection.execute(statement)}

    async def ever(self, grant_id: UUID) -> IssuedCredential | None:
        """Return the newest credential that was ever cut from this grant, living or not."""
        table = self.table
        cut = self.select().where(table.c.grant_id == grant_id)
        return await self.first(cut.order_by(table.c.id.desc()).limit(1))

    async def withdraw(self, grant_ids: Sequence[UUID], at: datetime) -> None:
        """Mark the living credentials of these grants as revoked; the next list will name them."""
        await self._withdraw(self.table.c.grant_id.in_(grant_ids), at)

    async def withdraw_entry(self, lock_id: UUID, at: datetime) -> None:
        """Mark the living credentials of this lock that convey `entry` as revoked."""
        table = self.table
        enters = table.c.capabilities.bitwise_and(int(Capability.ENTRY)) != 0
        await self._withdraw(and_(table.c.lock_id == lock_id, enters), at)

    async def _withdraw(self, which: ColumnElement[bool], at: datetime) -> None:
        table = self.table
        living = and_(which, table.c.revoked_at.is_(None), table.c.expires_at > at)
        await self.run(update(table).where(living).values(revoked_at=at))

    async def oldest_usable(self, lock_id: UUID, at: datetime) -> datetime | None:
        """Return when the oldest credential was issued that lives and is not revoked."""
        table = self.table
        found: datetime | None = await self.scalar(
            select(func.min(table.c.issued_at)).where(
                table.c.lock_id == lock_id,
                table.c.revoked_at.is_(None),
                table.c.expires_at > at,
            )
        )
        return found

    async def revoke(self, ids: Sequence[UUID], at: datetime, number: int) -> None:
        """Note that the list of this number names them."""
        table = self.table
        since = func.coalesce(table.c.revoked_at, at)  # who withdrew it by his wish did so before the list
        await self.run(update(table).where(table.c.id.in_(ids)).values(revoked_at=since, revoked_in=number))


class Verdicts(Rows[Verdict]):
    """What role verify concluded; read only."""

    table = table_of(VerdictRow)
    record = Verdict

    async def newest(self, tenancy_id: UUID, holder_id: UUID, phone_id: UUID) -> Verdict | None:
        """Return the last verdict about this very phone in this holder's hands, for this very lease."""
        table, cases, duties = self.table, table_of(CaseRow), table_of(DutyRow)
        return await self.first(
            self.select()
            .join(cases, cases.c.id == table.c.case_id)
            .join(duties, duties.c.id == cases.c.duty_id)
            .where(
                duties.c.tenancy_id == tenancy_id,
                table.c.holder_id == holder_id,
                table.c.phone_id == phone_id,
            )
            .order_by(table.c.created_at.desc(), table.c.id.desc())
            .limit(1)
        )


class Registrations:
    """The little that the issuer asks of registrations."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def arrival(self, tenancy_id: UUID, holder_id: UUID) -> ArrivalFiling | None:
        """Return how far an occupant's arrival has come; None for who does not live there."""
        duties, registrations = table_of(DutyRow), table_of(RegistrationRow)
        statement = (
            select(
                duties.c.requirement,
                registrations.c.submitted_at,
                registrations.c.receipt_no,
            )
            .outerjoin(registrations, registrations.c.duty_id == duties.c.id)
            .where(
                duties.c.tenancy_id == tenancy_id,
                duties.c.holder_id == holder_id,
                duties.c.kind == "arrival",
            )
        )
        with refusals():
            row = (await self.connection.execute(statement)).first()
        if row is None:
            return None
        return ArrivalFiling(row[0] == "required", row[1], row[2] is not None)
