"""Houses and doors."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert

from lockserver.db.repositories.rows import Rows
from lockserver.db.tables import DoorRow, HouseRow, HouseStaffRow, table_of
from lockserver.domain.house import Door, House

_staff = table_of(HouseStaffRow)


class Houses(Rows[House]):
    """Houses and who works there."""

    table = table_of(HouseRow)
    record = House

    async def of_owner(self, holder_id: UUID) -> Sequence[House]:
        """Return the houses that this holder owns, oldest first."""
        statement = self.select().where(self.table.c.owner_holder_id == holder_id)
        return await self.all(statement.order_by(self.table.c.id))

    async def add_staff(self, house_id: UUID, holder_id: UUID) -> None:
        """Make a holder staff of a house; nothing happens where he is."""
        values = {"house_id": house_id, "holder_id": holder_id}
        await self.run(insert(_staff).values(values).on_conflict_do_nothing())

    async def is_staff(self, house_id: UUID, holder_id: UUID) -> bool:
        """Tell whether a holder is staff of a house."""
        row = (_staff.c.house_id == house_id) & (_staff.c.holder_id == holder_id)
        return bool(await self.scalar(select(exists().where(row))))

    async def staff(self, house_id: UUID) -> Sequence[UUID]:
        """Return the holders who are staff of a house."""
        statement = select(_staff.c.holder_id).where(_staff.c.house_id == house_id)
        rows = await self.connection.execute(statement.order_by(_staff.c.holder_id))
        return [row[0] for row in rows]

    async def staffed_by(self, holder_id: UUID) -> Sequence[House]:
        """Return the houses where this holder is staff."""
        mine = select(_staff.c.house_id).where(_staff.c.holder_id == holder_id)
        return await self.all(self.select().where(self.table.c.id.in_(mine)).order_by(self.table.c.id))


class Doors(Rows[Door]):
    """Gates and rooms."""

    table = table_of(DoorRow)
    record = Door

    async def of_house(self, house_id: UUID) -> Sequence[Door]:
        """Return a house's doors, oldest first."""
        statement = self.select().where(self.table.c.house_id == house_id)
        return await self.all(statement.order_by(self.table.c.id))

    async def gates(self, house_id: UUID) -> Sequence[Door]:
        """Return a house's gates."""
        return [door for door in await self.of_house(house_id) if door.kind == "gate"]
