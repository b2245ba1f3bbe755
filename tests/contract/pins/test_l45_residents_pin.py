"""L-45: nothing that a landlord, an office or an illness does takes a resident's PIN out of his door."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_sim.core.events import Sign
from lockserver.app import tend_slots
from lockserver.protocol.pin import PinCode
from lockserver.protocol.wish import WishOperation
from tests.support.keypad_house import GOOD, KeypadHouse

pytestmark = pytest.mark.contract

ILLS = {
    "the province returned the registration": "UPDATE registrations SET state = 'returned', return_field = 'name',"
    " return_code = 'F01'",
    "it is looked at by hand": "UPDATE registrations SET state = 'manual_review'",
    "nothing ever came back": "UPDATE tenancies SET key_policy = 'on_receipt'",
    "a later verdict declined": "INSERT INTO verdicts (id, case_id, holder_id, phone_id, outcome, route, reasons)"
    " SELECT gen_random_uuid(), case_id, holder_id, phone_id, 'declined', 'staff', '[]' FROM verdicts LIMIT 1",
    "his phone is lost": "UPDATE phones SET state = 'revoked', revoked_at = now() WHERE proved_by = 'staff'",
}


async def tried(house: KeypadHouse) -> dict[str, str]:
    """All of it, one after the other; what the keypad answers to his PIN after each."""
    room, owner, execute = house.room, house.party.landlord, house.door.database.execute
    slot = (await house.choose(house.party.tenant, room, GOOD)).json()["id"]
    await house.converge(room)
    answers = {}
    for ill, statement in ILLS.items():
        execute(statement)
        await house.converge(room)
        answers[ill] = house.key_in(room, GOOD).value
    [(grant,)] = execute("SELECT id::text FROM grants WHERE class = 'tenant' AND door_id = %s", room)
    refused = [await house.remove(owner, slot), await house.read_out(owner, room, int(PinCode.CLEAR))]
    for verb, operation in (("freeze", WishOperation.FREEZE), ("revoke", WishOperation.REVOKE)):
        wish = {"wish": owner.wish(operation, grant)}
        refused.append(await owner.send("POST", f"/grants/{grant}/{verb}", wish))
    lease = house.party.lease["id"]
    end = {"wish": owner.wish(WishOperation.END_TENANCY, lease)}
    refused.append(await owner.send("POST", f"/tenancies/{lease}/end", end))
    assert all(one.status_code >= 400 for one in refused), [one.text for one in refused]
    await house.converge(room)
    answers["his landlord wished it"] = house.key_in(room, GOOD).value
    return answers


async def test_L45_a_residents_pin_outlives_them_all(house: KeypadHouse) -> None:
    assert set((await tried(house)).values()) == {Sign.OPEN.value}


async def test_L45_mutant_a_pin_that_asks_for_papers_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = tend_slots.fault_of

    async def fussy(work: Any, slot: Any, *rest: Any) -> Any:
        why, grant = await honest(work, slot, *rest)
        if why is None and grant is not None and grant.tenancy_id is not None:
            arrival = await work.receipts_awaited.arrival(grant.tenancy_id, grant.holder_id)
            tenancy = await work.tenancies.one(grant.tenancy_id)
            if tenancy.key_policy == "on_receipt" and not arrival.receipted:
                return "ended", grant
        return why, grant

    monkeypatch.setattr(tend_slots, "fault_of", fussy)
    assert set((await tried(house)).values()) != {Sign.OPEN.value}
