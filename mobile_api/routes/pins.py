"""PINs, cards and fingers: each is somebody's own signed wish; digits pass here in boxes for a phone only."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.find_standing import find_standing
from lockserver.app.ports import UnitOfWork
from lockserver.app.remove_slot import find_slot
from lockserver.app.set_door import set_door
from lockserver.app.set_pin import TRIES
from lockserver.app.show_slots import ShownSlot, show_slots
from lockserver.app.spend_owners_wish import Wished
from lockserver.protocol.limits import MAX_ALL_SLOTS, MAX_SLOTS, PIN_DIGITS, PIN_LEAST
from lockserver.protocol.pin import WEAKNESSES
from mobile_api.access import refresh_access
from mobile_api.auth.session import Caller
from mobile_api.deps import Sent, Server
from mobile_api.idempotency import Done, Idempotent
from mobile_api.schemas.pins import (
    BackupPinOut,
    DoorSettingsIn,
    DoorSettingsOut,
    OfflinePinOut,
    PinRulesOut,
    SlotOut,
    SlotsOut,
    SlotWishIn,
)
from mobile_api.services import Services

router = APIRouter(tags=["pins"])

PATIENCE_S: Final = 10.0
"""For the issuer."""
RULES: Final = {
    "length": f"{PIN_LEAST} to {PIN_DIGITS} digits, and nothing but digits",
    "same_digit": "not one digit all over",
    "run": "no five digits up or down in a row, 9 and 0 being neighbours",
    "block": "no block of digits that is repeated",
    "date": "no date as YYYYMMDD from 1900 to 2099",
    "few_digits": "at least four different digits",
}


@router.get("/pin-rules", summary="What a chosen PIN must be")
async def pin_rules() -> PinRulesOut:
    """Public: an app can refuse a weak PIN while it is typed, by the same rules as the server."""
    rules = {name: RULES[name] for name in WEAKNESSES}
    return PinRulesOut(least_digits=PIN_LEAST, most_digits=PIN_DIGITS, rules=rules, tries_a_day=TRIES)


@router.post(
    "/locks/{lock_id}/pins/offline",
    status_code=201,
    response_model=OfflinePinOut,
    summary="Read out an offline PIN",
)
async def offline(
    lock_id: UUID, body: SlotWishIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """Wish `read_pin` {code, start}. The digits are sealed to the phone that signed, and kept by nobody."""
    await _stands(services, caller.holder_id, lock_id)

    async def ask() -> Done:
        made = await _ask(
            services, "pin", {"holder_id": caller.holder_id, "lock_id": lock_id, "wish": body.wish}
        )
        return Done(201, OfflinePinOut.model_validate(made).model_dump(by_alias=True, mode="json"))

    return await once.after(caller.actor, ask)


@router.post(
    "/locks/{lock_id}/pins/backup", status_code=201, response_model=BackupPinOut, summary="Take a backup PIN"
)
async def backup(
    lock_id: UUID, body: SlotWishIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """Wish `read_pin` {backup: 1}, by who lives there: the lock holds it already, offline or not."""
    await _stands(services, caller.holder_id, lock_id)

    async def ask() -> Done:
        made = await _ask(
            services, "backup", {"holder_id": caller.holder_id, "lock_id": lock_id, "wish": body.wish}
        )
        return Done(201, BackupPinOut.model_validate(made))

    return await once.after(caller.actor, ask)


@router.post(
    "/locks/{lock_id}/pins", status_code=202, response_model=SlotOut, summary="Choose a PIN of your own"
)
async def choose(
    lock_id: UUID, body: SlotWishIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """Wish `set_pin` {pin: box to the key in `GET /keys/pins`}. 202: it is `set` when the lock says so."""
    await _stands(services, caller.holder_id, lock_id)

    async def ask() -> Done:
        made = await _ask(
            services, "slot", {"holder_id": caller.holder_id, "lock_id": lock_id, "wish": body.wish}
        )
        return Done(202, await _slot(services, caller.holder_id, lock_id, UUID(made["slot_id"])))

    return await once.after(caller.actor, ask)


@router.get("/locks/{lock_id}/slots", summary="Your PINs, cards and fingers at a lock")
async def slots(lock_id: UUID, caller: Caller, services: Server) -> SlotsOut:
    """Yours and those you gave; of everybody else's only how many there are."""
    now = services.clock.now()
    async with services.transactions.begin() as work:
        shown = await show_slots(work, caller.holder_id, lock_id, now)
    return SlotsOut(
        slots=[slot_out(one, now) for one in shown.slots],
        taken={str(kind): count for kind, count in shown.taken.items()},
        most=MAX_SLOTS,
        most_in_all=MAX_ALL_SLOTS,
    )


@router.post(
    "/slots/{slot_id}/remove", status_code=202, response_model=SlotOut, summary="Take one out of the lock"
)
async def remove(
    slot_id: UUID, body: SlotWishIn, caller: Caller, services: Server, once: Idempotent
) -> Response:
    """Wish `remove_slot`, by who has it or who gave it to a guest. 202: it is gone when the lock says so."""
    async with services.transactions.begin() as work:
        slot, _ = await find_slot(work, caller.holder_id, slot_id, services.clock.now())

    async def ask() -> Done:
        await _ask(services, "slot", {"holder_id": caller.holder_id, "slot_id": slot_id, "wish": body.wish})
        return Done(202, await _slot(services, caller.holder_id, slot.lock_id, slot_id))

    return await once.after(caller.actor, ask)


@router.put(
    "/doors/{door_id}/settings", response_model=DoorSettingsOut, summary="Hold-open hours and auto-lock"
)
async def settings(
    door_id: UUID, body: DoorSettingsIn, caller: Caller, services: Server, once: Idempotent, sent: Sent
) -> Response:
    """Both at once, under the owner's signature: hours in which a gate stands open let everybody in."""
    lock_ids: list[UUID] = []

    async def act(work: UnitOfWork) -> Done:
        wished = Wished(body.wish, body.salt, sent)
        door = await set_door(work, services.clock.now(), caller.holder_id, door_id, wished)
        lock = await work.locks.at_door(door_id)
        lock_ids.extend([] if lock is None else [lock.id])
        out = DoorSettingsOut.model_validate(
            {"door_id": door.id, "hold_open": door.hold_open, "auto_lock": door.auto_lock}
        )
        return Done(200, out)

    answer = await once(caller.actor, act)
    await refresh_access(services, lock_ids)
    return answer


def slot_out(shown: ShownSlot, now: datetime) -> SlotOut:
    """Show a slot."""
    slot = shown.slot
    waited = slot.unconfirmed(now)
    return SlotOut.model_validate(
        {
            "id": slot.id,
            "number": slot.number,
            "kind": slot.kind,
            "purpose": slot.purpose,
            "class": slot.class_,
            "whose": shown.whose,
            "state": slot.state,
            "why": slot.why,
            "unconfirmed_s": None if waited is None else int(waited.total_seconds()),
            "asked_at": slot.asked_at,
            "settled_at": slot.settled_at,
            "from": slot.lower,
            "until": slot.upper,
        }
    )


async def _stands(services: Services, holder_id: UUID, lock_id: UUID) -> None:
    """Ask the issuer nothing for who has nothing to do with the lock; raises NotFoundError."""
    async with services.transactions.begin() as work:
        await find_standing(work, holder_id, lock_id, services.clock.now())


async def _ask(services: Services, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return await services.requests.ask("issuer", kind, body, PATIENCE_S)


async def _slot(services: Services, holder_id: UUID, lock_id: UUID, slot_id: UUID) -> dict[str, Any]:
    now = services.clock.now()
    async with services.transactions.begin() as work:
        shown = await show_slots(work, holder_id, lock_id, now)
    found = next(one for one in shown.slots if one.slot.id == slot_id)
    return slot_out(found, now).model_dump(by_alias=True, mode="json")
