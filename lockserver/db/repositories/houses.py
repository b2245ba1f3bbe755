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

    async def add_staff(self, house_id: UUID, holder_id: UUID, wish_id: UUID | None) -> None:
        """Make a holder staff of a house by the owner's wish; where he is, the newer wish counts."""
        values = {"house_id": house_id, "holder_id": holder_id, "wish_id": wish_id}
        named = insert(_staff).values(values)
        if wish_id is None:
            await self.run(named.on_conflict_do_nothing())
            return
        row = [_staff.c.house_id, _staff.c.holder_id]
        await self.run(named.on_conflict_do_update(index_elements=row, set_={"wish_id": wish_id}))

    async def staff_wishes(self, holder_id: UUID) -> Sequence[tuple[UUID, UUID]]:
        """Return (house, the wish that named him) wherever a holder is staff by a kept wish."""
        named = (_staff.c.holder_id == holder_id) & _staff.c.wish_id.is_not(None)
        rows = await self.connection.execute(select(_staff.c.house_id, _staff.c.wish_id).where(named))
        return [(row[0], row[1]) for row in rows]

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
