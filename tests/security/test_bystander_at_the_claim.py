"""Who stands by while a lock's button is pressed gets an offer too, and voids nobody's claim with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from firmware_sim.core.events import RadioGone, RadioMessage
from lockserver.protocol.enrolment import read_e4, write_e3
from tests.support.database import Database
from tests.support.doorway import Doorway, Person, SimLock, b64, doorway, unb64

pytestmark = pytest.mark.e2e


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Doorway]:
    async with doorway(database, tmp_path) as made:
        yield made


async def claimed(world: Doorway, who: Person, lock: SimLock, door_id: UUID, offer: bytes) -> dict[str, str]:
    body = {
        "offer": b64(offer),
        "claim_code": b64(lock.driver.factory.claim_code if lock.door_id == door_id else bytes(16)),
        "door_id": str(door_id),
    }
    answer = await world.http.post("/v1/locks", json=body, headers=who.headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


async def test_a_bystanders_offer_does_not_void_the_owners_claim(world: Doorway) -> None:
    owner, bystander = await world.person(), await world.person()
    gate, _ = await world.house(owner)
    elsewhere, _ = await world.house(bystander)
    lock = world.unpack(gate.id)
    overheard = world.offer(lock, bystander.signer.public)  # the owner has just pressed the button
    lock.driver.feed(RadioGone(1))
    offer = world.offer(lock, owner.signer.public, button=False)
    made = await claimed(world, owner, lock, gate.id, offer)
    await claimed(world, bystander, lock, elsewhere.id, overheard)  # before the lock could report
    lock.driver.feed(RadioMessage(1, write_e3(unb64(made["document"]), unb64(made["mac"]))))
    report = read_e4(lock.radio.sent[-1])
    answer = await world.http.post(
        f"/v1/locks/{made['lock_id']}/enrolled", json={"report": b64(report)}, headers=owner.headers
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "active")
    states = world.database.execute("SELECT door_id, state FROM locks ORDER BY state")
    assert states == [(gate.id, "active"), (elsewhere.id, "retired")]
    late = {"offer": b64(overheard), "claim_code": b64(bytes(16)), "door_id": str(elsewhere.id)}
    answer = await world.http.post("/v1/locks", json=late, headers=bystander.headers)
    assert answer.json()["code"] == "lock_taken"
