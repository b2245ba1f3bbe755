"""Registrations and the tenant's ledger."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert, select, update

from lockserver.db.repositories.rows import Rows
from lockserver.db.tables import (
    DoorRow,
    HouseRow,
    LedgerRow,
    RegistrationRow,
    TenancyRow,
    table_of,
)
from lockserver.domain.registration import LedgerEntry, Registration

_houses = table_of(HouseRow)
_doors = table_of(DoorRow)
_tenancies = table_of(TenancyRow)


class Filings(Rows[Registration]):
    """Registrations, without the column that only verify may read."""

    table = table_of(RegistrationRow)
    record = Registration

    async def file(self, registration: Registration, number_index: bytes) -> None:
        """Insert a filing with its blind index; raises ConflictError for a duty that has one."""
        values = {**self.values(registration), "number_index": number_index}
        await self.run(insert(self.table).values(values))

    async def of_duty(self, duty_id: UUID) -> Registration | None:
        """Return the filing that answers a duty."""
        return await self.first(self.select().where(self.table.c.duty_id == duty_id))

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Registration]:
        """Return the filings of a tenancy."""
        statement = self.select().where(self.table.c.tenancy_id == tenancy_id)
        return await self.all(statement.order_by(self.table.c.id))

    async def of_holder(self, holder_id: UUID) -> Sequence[Registration]:
        """Return a tenant's own filings, newest first."""
        statement = self.select().where(self.table.c.holder_id == holder_id)
        return await self.all(statement.order_by(self.table.c.id.desc()))

    async def of_owner(self, holder_id: UUID) -> Sequence[Registration]:
        """Return the filings of everybody who lives in a landlord's houses, newest first."""
        his = (
            select(_tenancies.c.id)
            .join(_doors, _doors.c.id == _tenancies.c.door_id)
            .join(_houses, _houses.c.id == _doors.c.house_id)
            .where(_houses.c.owner_holder_id == holder_id)
        )
        statement = self.select().where(self.table.c.tenancy_id.in_(his))
        return await self.all(statement.order_by(self.table.c.id.desc()))

    async def raise_version(self, registration_id: UUID, version: int) -> None:
        """Note the version of the last filing written for it."""
        await self.run(update(self.table).where(self.table.c.id == registration_id).values(version=version))


class Ledger(Rows[LedgerEntry]):
    """The tenant's own ledger of what left."""

    table = table_of(LedgerRow)
    record = LedgerEntry

    async def write(self, entry: LedgerEntry) -> None:
        """Add a line; it is never changed."""
        await self.add(entry)

    async def of_holder(self, holder_id: UUID) -> Sequence[LedgerEntry]:
        """Return a tenant's lines, newest first."""
        statement = self.select().where(self.table.c.holder_id == holder_id)
        return await self.all(statement.order_by(self.table.c.id.desc()))
