"""Tenancies with their occupants, duties, grants."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, or_, select, update

from lockserver.db.connection import driver
from lockserver.db.repositories.rows import Rows, refusals
from lockserver.db.risks import FADING
from lockserver.db.tables import (
    DoorRow,
    DutyRow,
    GrantRow,
    OccupantRow,
    TenancyRow,
    table_of,
)
from lockserver.domain.duties import Duty, DutyKind
from lockserver.domain.grant import Grant
from lockserver.domain.risk import Risk
from lockserver.domain.tenancy import Occupant, Tenancy

_doors = table_of(DoorRow)


class Occupants(Rows[Occupant]):
    """Who lives there; its key is the pair of tenancy and holder."""

    table = table_of(OccupantRow)
    record = Occupant


class Tenancies(Rows[Tenancy]):
    """Leases and their occupants."""

    table = table_of(TenancyRow)
    record = Tenancy

    async def add_occupant(self, occupant: Occupant) -> None:
        """Add somebody who lives there (in the transaction that writes his duty: L-23)."""
        await self.run(insert(Occupants.table).values(Occupants.values(occupant)))

    async def occupants(self, tenancy_id: UUID) -> Sequence[Occupant]:
        """Return who lives there, in the order they were added."""
        rows = Occupants(self.connection)
        return await rows.all(
            rows.select()
            .where(rows.table.c.tenancy_id == tenancy_id)
            .order_by(rows.table.c.created_at, rows.table.c.holder_id)
        )

    async def by_invite(self, invite_hash: bytes) -> Occupant | None:
        """Return and hold the occupant whom this invite was made out to."""
        rows = Occupants(self.connection)
        statement = rows.select().where(rows.table.c.invite_hash == invite_hash)
        return await rows.first(statement.with_for_update(key_share=True))

    async def save_occupant(self, occupant: Occupant) -> None:
        """Write the invite's state."""
        table = Occupants.table
        await self.run(
            update(table)
            .where(
                table.c.tenancy_id == occupant.tenancy_id,
                table.c.holder_id == occupant.holder_id,
            )
            .values(
                invite_hash=occupant.invite_hash,
                invite_accepted_at=occupant.invite_accepted_at,
            )
        )

    async def of_house(self, house_id: UUID) -> Sequence[Tenancy]:
        """Return the leases of a house, newest first."""
        doors = select(_doors.c.id).where(_doors.c.house_id == house_id)
        statement = self.select().where(self.table.c.door_id.in_(doors))
        return await self.all(statement.order_by(self.table.c.id.desc()))

    async def of_holder(self, holder_id: UUID) -> Sequence[Tenancy]:
        """Return the leases in which a holder lives, newest first."""
        lived = select(Occupants.table.c.tenancy_id).where(Occupants.table.c.holder_id == holder_id)
        statement = self.select().where(self.table.c.id.in_(lived))
        return await self.all(statement.order_by(self.table.c.id.desc()))

    async def living_in(self, door_id: UUID, at: datetime) -> Tenancy | None:
        """Return the lease of a room that lives at this instant."""
        table = self.table
        return await self.first(
            self.select().where(
                table.c.door_id == door_id,
                table.c.state == "signed",
                table.c.lower <= at,
                table.c.upper > at,
            )
        )

    async def over_at(self, at: datetime, limit: int = 100) -> Sequence[Tenancy]:
        """Return signed leases whose window has closed, oldest first."""
        table = self.table
        return await self.all(
            self.select()
            .where(table.c.state == "signed", table.c.upper <= at)
            .order_by(table.c.upper)
            .limit(limit)
        )


class Duties(Rows[Duty]):
    """What the law asks."""

    table = table_of(DutyRow)
    record = Duty

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Duty]:
        """Return all duties of a tenancy."""
        statement = self.select().where(self.table.c.tenancy_id == tenancy_id)
        return await self.all(statement.order_by(self.table.c.id))

    async def of_occupant(self, tenancy_id: UUID, holder_id: UUID, kind: DutyKind) -> Duty | None:
        """Return and hold the one duty of this kind."""
        table = self.table
        return await self.first(
            self.select()
            .where(
                table.c.tenancy_id == tenancy_id,
                table.c.holder_id == holder_id,
                table.c.kind == kind,
            )
            .with_for_update(key_share=True)
        )

    async def open_due_before(self, at: datetime, limit: int = 100) -> Sequence[Duty]:
        """Return unfulfilled required duties that are due before this instant."""
        table = self.table
        return await self.all(
            self.select()
            .where(
                table.c.state != "fulfilled",
                table.c.requirement == "required",
                table.c.due_at < at,
            )
            .order_by(table.c.due_at)
            .limit(limit)
        )


class Grants(Rows[Grant]):
    """Rights at doors."""

    table = table_of(GrantRow)
    record = Grant

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Grant]:
        """Return and hold every grant of a tenancy."""
        return await self.all(
            self.select()
            .where(self.table.c.tenancy_id == tenancy_id)
            .order_by(self.table.c.id)
            .with_for_update(key_share=True)
        )

    async def of_holder(self, holder_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return a holder's active grants that have not run out at this instant."""
        table = self.table
        return await self.all(
            self.select()
            .where(
                table.c.holder_id == holder_id,
                table.c.state == "active",
                or_(table.c.upper.is_(None), table.c.upper > at),
            )
            .order_by(table.c.id)
        )

    async def living(self, holder_id: UUID, door_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return a holder's grants for one door that live at this instant."""
        mine = await self.of_holder(holder_id, at)
        return [grant for grant in mine if grant.door_id == door_id and grant.lives(at)]

    async def fading(self, at: datetime, before: datetime) -> Sequence[Risk]:
        """Return living tenants whose newest key to their room is past its half and dies before this instant."""
        raw = await driver(self.connection)
        with refusals():
            rows = await (await raw.execute(FADING, {"now": at, "before": before})).fetchall()
        return [Risk(*row) for row in rows]

    async def naming(self, key: bytes) -> Sequence[Grant]:
        """Return the active grants that name the phone whose signing key has this SHA-256."""
        table = self.table
        return await self.all(
            self.select().where(table.c.guest_key == key, table.c.state == "active").order_by(table.c.id)
        )

    async def children(self, grant_ids: Sequence[UUID]) -> Sequence[Grant]:
        """Return and hold the grants that hang directly under these and are not revoked, by id."""
        table = self.table
        return await self.all(
            self.select()
            .where(table.c.parent_id.in_(grant_ids), table.c.state != "revoked")
            .order_by(table.c.id)
            .with_for_update(key_share=True)
        )

    async def shown_to(self, holder_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return his own grants and those given by him or by whom he gave one, newest first."""
        table = self.table
        mine = select(table.c.id).where(table.c.holder_id == holder_id)
        given = select(table.c.id).where(table.c.parent_id.in_(mine))
        return await self.all(
            self.select()
            .where(
                or_(
                    table.c.holder_id == holder_id, table.c.parent_id.in_(mine), table.c.parent_id.in_(given)
                ),
                or_(table.c.upper.is_(None), table.c.upper > at),
            )
            .order_by(table.c.id.desc())
        )
