"""Whether a grant stands on what it says it stands on: the issuer signs for no row that is only a row.

Grants are written by the role api, which a stolen session or an intruder reaches first. So what a
grant claims is looked up again where it cannot be made up beside it: who owns the house, who works in
it, which lease lives there and who is named in it.
"""

from typing import Final
from uuid import UUID

from lockserver.app.keep_house import OWNER_CAPABILITIES
from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_tenancy import TENANT_CAPABILITIES
from lockserver.domain.grant import Grant, GrantClass
from lockserver.domain.house import Door

MOST: Final[dict[GrantClass, int]] = {
    "owner": OWNER_CAPABILITIES,
    "staff": OWNER_CAPABILITIES,
    "tenant": TENANT_CAPABILITIES,
    "guest": 0,
}
"""What a class may convey at most. `entry` to an occupied room stands in none of them: that takes the
tenant's wish or a recorded emergency. A guest is named by a grantor's wish, and nobody takes one yet."""


async def is_founded(work: UnitOfWork, grant: Grant, door: Door) -> bool:
    """Tell whether house, staff list or lease bear the grant out."""
    if grant.capabilities & ~MOST[grant.class_]:
        return False
    if grant.class_ == "tenant":
        return grant.tenancy_id is not None and await _leased(work, grant, door, grant.tenancy_id)
    if grant.class_ == "owner":
        return (await work.houses.one(door.house_id)).owner_holder_id == grant.holder_id
    return grant.class_ == "staff" and await work.houses.is_staff(door.house_id, grant.holder_id)


async def _leased(work: UnitOfWork, grant: Grant, door: Door, tenancy_id: UUID) -> bool:
    """Tell whether the lease names this person, and lets this door for at least this window."""
    tenancy = await work.tenancies.one(tenancy_id)
    room = door if door.id == tenancy.door_id else await work.doors.one(tenancy.door_id)
    own = room.id == door.id
    lets = own or (door.kind == "gate" and room.house_id == door.house_id)
    if not lets or tenancy.state != "signed" or not grant.window.lies_in(tenancy.window):
        return False
    if grant.epoch != (tenancy.epoch if own else None):
        return False
    return grant.holder_id in {one.holder_id for one in await work.tenancies.occupants(tenancy_id)}
