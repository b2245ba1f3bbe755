"""L-38: who holds a person's number, and owns a house of his own, gets none of that person's doors.

Everything he can do lawfully with the number he does: log in, enrol a phone, have it vouched for by his
own staff in his own house. What that proves counts there and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from lockserver.app import remove_phone
from lockserver.app.issuing import Issuing
from lockserver.app.phone_sync import SeenRequests, phone_sync
from lockserver.db.repositories.commands import Verdicts
from lockserver.domain.ids import new_id
from lockserver.keys.boxes import OpeningKey
from lockserver.protocol.curve import EcdsaSigner, private_key, public_bytes
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from lockserver.protocol.wish import WishOperation
from tests.contract.api.test_cases import a_staff_member, check_by
from tests.contract.api.test_registration_api import duty_of, moved_in
from tests.contract.locks.test_issue import Nobody
from tests.support.app_door import App, Door, fields
from tests.support.database import Database
from tests.support.doorway import Doorway, doorway

pytestmark = pytest.mark.contract


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Doorway]:
    async with doorway(database, tmp_path) as made:
        yield made


def a_point() -> bytes:
    return public_bytes(private_key(secrets.token_bytes))


def a_lock(door: Door, door_id: str) -> None:
    lock = new_id(door.clock, secrets.token_bytes)
    door.database.execute(
        "INSERT INTO locks (id, door_id, serial, sign_pub, ecdh_pub, factory_fingerprint, shard, state)"
        " VALUES (%s, %s, %s, %s, %s, %s, '00', 'active')",
        lock, door_id, f"SN-{lock.hex[-8:]}", a_point(), a_point(), bytes(32),
    )  # fmt: skip


async def keys_of(door: Door, app: App) -> dict[str, str]:
    """What the issuer gives this phone: door id → `key`, or why there is none."""
    nobody = Nobody()
    signer = EcdsaSigner(private_key(secrets.token_bytes))
    pins = OpeningKey(private_key(secrets.token_bytes))
    transactions = door.database.transactions("issuer")
    world = Issuing(transactions, door.clock, secrets.token_bytes, signer, nobody, nobody, nobody, pins)
    told = PhoneRequest(
        UUID(app.phone_id).bytes,
        "POST /v1/phone/sync",
        hash_body(b"{}"),
        int(door.clock.now().timestamp()),
        secrets.token_bytes(8),
    )
    kit = await phone_sync(world, SeenRequests(), sign_request(told, app.signer), b"{}")
    return {str(one.door.id): one.withheld.reason if one.withheld else "key" for one in kit.doors}


async def a_registered_tenant(door: Door) -> tuple[App, App, dict[str, Any]]:
    landlord, tenant, signed = await moved_in(door)
    card = fields()
    await tenant.declare(await tenant.capture(duty_of(signed), card), card)
    a_lock(door, signed["door_id"])
    assert (await keys_of(door, tenant))[signed["door_id"]] == "key"
    return landlord, tenant, signed


async def a_thief_with_the_number_of(door: Door, victim: App) -> tuple[App, str]:
    """A second phone on the victim's number, vouched for in the thief's own house; his room there."""
    crook = await door.person()
    house = await crook.house()
    room = house["rooms"][0]
    signed = await crook.ok("POST", "/tenancies", crook.lease(room, victim.number))
    accomplice = await a_staff_member(door, crook, house["id"])
    thief = App(door, victim.number)
    await thief.log_in()
    await thief.enrol_phone()
    card = fields()
    case_id = (await thief.open_case(duty_of(signed), route="staff"))["id"]
    assert (await check_by(accomplice, thief, case_id, card)).status_code == 202
    assert (await thief.declare(case_id, card))["state"] == "submitted"
    a_lock(door, room)
    return thief, room


async def what_the_thief_opens(door: Door) -> str:
    _, tenant, signed = await a_registered_tenant(door)
    thief, own_room = await a_thief_with_the_number_of(door, tenant)
    keys = await keys_of(door, thief)
    assert keys[own_room] == "key"  # his own house is his own affair
    return keys[signed["door_id"]]


async def test_L38_a_staff_check_in_a_house_of_ones_own_opens_no_other_door(door: Door) -> None:
    assert await what_the_thief_opens(door) == "verdict_missing"


async def test_L38_mutant_a_verdict_of_any_lease_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def of_any_lease(self: Verdicts, _tenancy: UUID, holder: UUID, phone: UUID) -> Any:
        table = self.table
        return await self.first(self.select().where(table.c.holder_id == holder, table.c.phone_id == phone))

    monkeypatch.setattr(Verdicts, "newest", of_any_lease)
    with pytest.raises(AssertionError):
        await test_L38_a_staff_check_in_a_house_of_ones_own_opens_no_other_door(door)


async def test_L38_a_phone_proved_elsewhere_neither_ends_the_lease_nor_removes_the_tenants_phone(
    door: Door,
) -> None:
    _, tenant, signed = await a_registered_tenant(door)
    thief, _ = await a_thief_with_the_number_of(door, tenant)
    end = thief.wish(WishOperation.END_TENANCY, signed["id"])
    answer = await thief.send("POST", f"/tenancies/{signed['id']}/end", {"wish": end})
    assert answer.json()["code"] == "phone_unknown"
    lose = thief.wish(WishOperation.REMOVE_PHONE, tenant.phone_id)
    answer = await thief.send("DELETE", f"/phones/{tenant.phone_id}", {"wish": lose})
    assert answer.status_code == 403, answer.text
    assert (await keys_of(door, tenant))[signed["door_id"]] == "key"


async def test_L38_mutant_a_removal_by_any_active_phone_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def always(*_: Any) -> bool:
        return True

    monkeypatch.setattr(remove_phone, "_reaches_as_far", always)
    with pytest.raises(AssertionError):
        await test_L38_a_phone_proved_elsewhere_neither_ends_the_lease_nor_removes_the_tenants_phone(door)


async def test_L38_a_tenants_proof_makes_no_owners_phone(door: Door) -> None:
    """A landlord's number, swapped, and passed as a tenant elsewhere: none of his doors opens."""
    landlord = await door.person()
    house = await landlord.house()
    for one in (house["gate"], *house["rooms"]):
        a_lock(door, one)
    assert set((await keys_of(door, landlord)).values()) == {"key"}
    thief, _ = await a_thief_with_the_number_of(door, landlord)
    keys = await keys_of(door, thief)
    assert {keys[one] for one in (house["gate"], *house["rooms"])} == {"phone_unproven"}


async def test_L38_a_bought_locks_button_brings_no_second_phone_to_a_landlord(world: Doorway) -> None:
    owner = await world.person()
    gate, (room,) = await world.house(owner)
    await world.settled_lock(owner, gate)
    thief = await world.person()
    world.database.execute(
        "UPDATE sessions SET account_id = (SELECT account_id FROM holders WHERE id = %s) WHERE id = %s",
        owner.holder_id, thief.session_id,
    )  # fmt: skip
    world.database.execute("ALTER TABLE phones DISABLE TRIGGER phone_proof")
    world.database.execute("UPDATE phones SET holder_id = %s WHERE id = %s", owner.holder_id, thief.phone_id)
    answer = await world.claim(thief, world.unpack(room.id))
    assert (answer.status_code, answer.json()["code"]) == (422, "claim_refused")
    ((state,),) = world.database.execute("SELECT state FROM phones WHERE id = %s", thief.phone_id)
    assert state == "pending"
    assert (await world.claim(owner, world.unpack(room.id))).status_code == 200, "the owner's own still can"
