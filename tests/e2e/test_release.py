"""Letting a lock go: signed by its owner's wish, obeyed by the lock, believed only by its own word. L-45, L-22."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from firmware_sim.core import release as firmware
from lockserver.app import release_lock
from lockserver.domain.tenancy import Tenancy
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.wish import Arg, Wish, WishOperation, sign_wish
from tests.support.database import Database
from tests.support.doorway import Person, SimLock, b64
from tests.support.gateways import Lane, lane
from tests.support.people import Place, fresh, sign

pytestmark = [pytest.mark.e2e]

REASON = "the bolt is stuck and must be drilled open"


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lane]:
    monkeypatch.setattr(firmware, "LINGER_MS", 1_500)
    async with lane(database, tmp_path) as made:
        yield made


def wish_of(owner: Person, lock_id: UUID, **args: Arg) -> bytes:
    made = Wish(fresh().bytes, lock_id.bytes, WishOperation.RELEASE_LOCK, int(time.time()) + 60, dict(args))
    return sign_wish(made, owner.signer)


async def ask(world: Lane, owner: Person, lock: SimLock, **args: Arg) -> tuple[int, dict[str, str]]:
    answer = await world.http.post(
        f"/v1/locks/{lock.id}/release",
        json={"wish": b64(wish_of(owner, lock.id, **args))},
        headers=owner.headers,
    )
    return answer.status_code, answer.json()


async def let(world: Lane, owner: Person) -> tuple[SimLock, UUID]:
    """A lock at a room in which somebody lives; the lock knows it."""
    gate, (room,) = await world.house(owner)
    lock = await world.settled_lock(owner, room)
    now = datetime.now(UTC)
    tenancy = Tenancy(
        fresh(), room.id, now - timedelta(hours=1), now + timedelta(days=30), 1, "signed", owner.holder_id
    )
    async with world.services.transactions.begin() as work:
        house = await work.houses.one(gate.house_id)
    tenants = await sign(world.services.transactions, Place(owner.holder_id, house, gate, room), tenancy)
    await world.services.requests.ask("issuer", "access", {"lock_ids": [str(lock.id)]}, 5)
    return lock, tenants[0]


def state(world: Lane, lock: SimLock) -> str:
    ((found,),) = world.database.execute("SELECT state FROM locks WHERE id = %s", lock.id)
    return str(found)


async def becomes(world: Lane, lock: SimLock, wanted: str) -> None:
    async with asyncio.timeout(20):
        while state(world, lock) != wanted:
            await asyncio.sleep(0.05)


async def test_a_released_lock_forgets_its_door_and_may_be_claimed_anew(world: Lane) -> None:
    owner = await world.person()
    gate, (room,) = await world.house(owner)
    lock = await world.settled_lock(owner, gate)
    first = lock.id
    await world.sync(owner)
    status, answer = await ask(world, owner, lock)
    assert (status, answer["state"]) == (202, "releasing")
    await becomes(world, lock, "retired")
    async with asyncio.timeout(20):  # it lingers for who can carry its last word, and then it forgets
        while lock.driver.lock is None or lock.driver.lock.identity is not None:
            await asyncio.sleep(0.05)
    ((via,),) = world.database.execute("SELECT via FROM journal WHERE lock_id = %s AND what = 18", first)
    assert via == "mqtt"
    assert (await world.unlock(owner, lock)).status_code in (404, 409)
    async with asyncio.timeout(10):  # what was cut for it is void
        while world.database.execute("SELECT 1 FROM credentials WHERE revoked_at IS NULL"):
            await asyncio.sleep(0.1)
    lock.door_id = room.id
    assert (await world.claim(owner, lock)).json()["state"] == "active"
    assert lock.id != first
    await lock.online()


async def test_a_release_that_no_lock_has_heard_is_no_release(world: Lane) -> None:
    """The order waits, is carried by a phone, and until then the lock's keys open it."""
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = await world.settled_lock(owner, gate)
    lock.link.cut_network()
    status, answer = await ask(world, owner, lock)
    assert status == 202
    await asyncio.sleep(1)
    shown = (await world.http.get(f"/v1/locks/{lock.id}", headers=owner.headers)).json()
    assert shown["state"] == "releasing"
    (kit,) = (await world.sync(owner))["doors"]
    assert kit["release"] == answer["document"]
    assert kit["credential"] is not None
    assert SignedDocument(DocumentKind.RELEASE, b"x").kind == 5
    lock.link.heal()
    await becomes(world, lock, "retired")


async def refused(world: Lane) -> str:
    """The landlord asks for the lock of a room in which somebody lives."""
    owner = await world.person()
    lock, _ = await let(world, owner)
    _, answer = await ask(world, owner, lock)
    assert lock.driver.lock is not None
    await asyncio.sleep(0.5)
    assert lock.driver.lock.identity is not None
    return answer.get("code", "")


async def test_L45_a_living_tenants_lock_is_not_released(world: Lane) -> None:
    assert await refused(world) == "tenancy_lives"


async def test_L45_mutant_an_issuer_that_does_not_look_who_lives_there(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: object) -> list[Tenancy]:
        return []

    monkeypatch.setattr(release_lock, "living_behind", nobody)
    assert await refused(world) == ""


async def test_L45_a_gate_is_everybodys_way_in(world: Lane) -> None:
    owner = await world.person()
    gate, (room,) = await world.house(owner)
    lock = await world.settled_lock(owner, gate)
    now = datetime.now(UTC)
    tenancy = Tenancy(
        fresh(), room.id, now - timedelta(hours=1), now + timedelta(days=3), 1, "signed", owner.holder_id
    )
    async with world.services.transactions.begin() as work:
        house = await work.houses.one(gate.house_id)
    await sign(world.services.transactions, Place(owner.holder_id, house, gate, room), tenancy)
    assert (await ask(world, owner, lock))[1]["code"] == "tenancy_lives"


async def test_an_emergency_gives_its_reason_and_they_are_told(world: Lane) -> None:
    owner = await world.person()
    lock, tenant = await let(world, owner)
    assert (await ask(world, owner, lock, emergency="no"))[1]["code"] == "invalid_input"
    assert (await ask(world, owner, lock, emergency=REASON))[0] == 202
    ((told, detail),) = world.database.execute(
        "SELECT holder_id, detail FROM notices WHERE kind = 'lock_released'"
    )
    assert told == tenant
    assert detail["reason"] == REASON
    await becomes(world, lock, "retired")
    ((found,),) = world.database.execute("SELECT detail FROM audit_log WHERE verb = 'release_lock'")
    assert found["emergency"] is True


async def test_L38_a_session_alone_releases_nothing(world: Lane) -> None:
    owner, thief = await world.person(), await world.person()
    gate, _ = await world.house(owner)
    lock = await world.settled_lock(owner, gate)
    assert (await ask(world, thief, lock))[0] == 404
    stolen = {"wish": b64(wish_of(thief, lock.id))}
    answer = await world.http.post(f"/v1/locks/{lock.id}/release", json=stolen, headers=owner.headers)
    assert answer.json()["code"] == "wish_invalid"
    assert state(world, lock) == "active"
