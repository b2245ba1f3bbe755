"""A tenant meets his duty: the invite opens only in a session of the number it was made out to."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_tenancy import invite_hash
from lockserver.domain.duties import Duty
from lockserver.domain.errors import InviteInvalidError
from lockserver.domain.house import Door, House
from lockserver.domain.tenancy import Occupant, Tenancy


@dataclass(frozen=True, slots=True)
class Invited:
    """What an invite shows."""

    occupant: Occupant
    tenancy: Tenancy
    door: Door
    house: House
    duty: Duty


async def read_invite(work: UnitOfWork, holder_id: UUID, token: str) -> Invited:
    """Return what the invite is about; raises InviteInvalidError, also for somebody else's."""
    occupant = await work.tenancies.by_invite(invite_hash(token))
    if occupant is None or occupant.holder_id != holder_id:
        raise InviteInvalidError
    tenancy = await work.tenancies.one(occupant.tenancy_id)
    door = await work.doors.one(tenancy.door_id)
    house = await work.houses.one(door.house_id)
    duty = await work.duties.of_occupant(tenancy.id, holder_id, "arrival")
    if duty is None:  # L-23 forbids it
        raise InviteInvalidError
    return Invited(occupant, tenancy, door, house, duty)


async def accept_invite(work: UnitOfWork, now: datetime, holder_id: UUID, token: str) -> Invited:
    """Note that the tenant saw his lease and duty; once is enough, twice is the same."""
    invited = await read_invite(work, holder_id, token)
    if invited.occupant.invite_accepted_at is None:
        accepted = replace(invited.occupant, invite_accepted_at=now)
        await work.tenancies.save_occupant(accepted)
        await work.audit.write(f"holder:{holder_id}", "accept_invite", f"tenancy:{invited.tenancy.id}")
        return replace(invited, occupant=accepted)
    return invited
