"""A landlord's houses, their doors and staff."""

from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.keep_house import NewDoor, NewStaff, add_door, create_house, name_staff, own_house
from lockserver.app.ports import UnitOfWork
from lockserver.app.spend_owners_wish import Wished
from lockserver.domain.errors import NotFoundError
from lockserver.domain.house import Door, House
from lockserver.domain.phone_number import normalise
from mobile_api.auth.session import Caller
from mobile_api.deps import Sent, Server
from mobile_api.idempotency import Done, Idempotent
from mobile_api.schemas.houses import DoorIn, DoorOut, HouseIn, HouseOut, StaffIn, StaffOut

router = APIRouter(prefix="/houses", tags=["houses"])


def door_out(door: Door) -> DoorOut:
    """Show a door."""
    return DoorOut(id=door.id, house_id=door.house_id, kind=door.kind, name=door.name, capacity=door.capacity)


async def _house_out(work: UnitOfWork, house: House, holder_id: UUID) -> HouseOut:
    doors = await work.doors.of_house(house.id)
    return HouseOut(
        id=house.id,
        name=house.name,
        address_id=house.address_id,
        station_code=house.station_code,
        role="owner" if house.owner_holder_id == holder_id else "staff",
        doors=[door_out(door) for door in doors],
    )


@router.post("", status_code=201, response_model=HouseOut, summary="Create a house")
async def create(body: HouseIn, caller: Caller, services: Server, once: Idempotent) -> Response:
    """The caller becomes its landlord."""

    async def act(work: UnitOfWork) -> Done:
        house = await create_house(
            work,
            services.random,
            services.clock.now(),
            caller.holder_id,
            body.name,
            body.address_id,
            body.station_code,
        )
        out = await _house_out(work, house, caller.holder_id)
        return Done(201, out, {"Location": f"/v1/houses/{house.id}"})

    return await once(caller.actor, act)


@router.get("", summary="Houses I own or work in")
async def houses(caller: Caller, services: Server) -> list[HouseOut]:
    """Own ones first."""
    async with services.transactions.begin() as work:
        own = await work.houses.of_owner(caller.holder_id)
        staffed = await work.houses.staffed_by(caller.holder_id)
        seen = {house.id: house for house in (*own, *staffed)}
        return [await _house_out(work, house, caller.holder_id) for house in seen.values()]


@router.get("/{house_id}", summary="One house")
async def house(house_id: UUID, caller: Caller, services: Server) -> HouseOut:
    """For its landlord and its staff."""
    async with services.transactions.begin() as work:
        found = await work.houses.get(house_id)
        if found is None or (
            found.owner_holder_id != caller.holder_id
            and not await work.houses.is_staff(house_id, caller.holder_id)
        ):
            raise NotFoundError
        return await _house_out(work, found, caller.holder_id)


@router.post("/{house_id}/doors", status_code=201, response_model=DoorOut, summary="Add a door")
async def add(house_id: UUID, body: DoorIn, caller: Caller, services: Server, once: Idempotent) -> Response:
    """A gate is shared; a room is leased."""

    async def act(work: UnitOfWork) -> Done:
        new = NewDoor(body.kind, body.name, body.capacity)
        now = services.clock.now()
        door = await add_door(work, services.random, now, caller.holder_id, house_id, new)
        return Done(201, door_out(door))

    return await once(caller.actor, act)


@router.post("/{house_id}/staff", status_code=201, response_model=StaffOut, summary="Name a member of staff")
async def staff(
    house_id: UUID, body: StaffIn, caller: Caller, services: Server, once: Idempotent, sent: Sent
) -> Response:
    """Staff may check identities in this house; it conveys no key.

    It takes the signature of an active phone of the landlord's, under all of this body.
    """

    async def act(work: UnitOfWork) -> Done:
        await own_house(work, caller.holder_id, house_id)
        holder_id = await name_staff(
            work,
            services.phone_index,
            services.random,
            services.clock.now(),
            caller.holder_id,
            house_id,
            NewStaff(normalise(body.phone), Wished(body.wish, body.salt, sent), body.staff_key),
        )
        return Done(201, StaffOut(house_id=house_id, holder_id=holder_id))

    return await once(caller.actor, act)
