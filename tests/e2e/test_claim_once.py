"""L-36 for what another role does for us: one key, one claim; and nobody else waits for a silent issuer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from lockserver.app.ports import UnitOfWork
from lockserver.settings import Role
from mobile_api import idempotency
from mobile_api.idempotency import Done
from mobile_api.routes import locks
from tests.support.database import Database
from tests.support.doorway import Doorway, Person, SimLock, b64, doorway

pytestmark = [pytest.mark.e2e]


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Doorway]:
    async with doorway(database, tmp_path) as made:
        yield made


async def a_claim(world: Doorway) -> tuple[Person, SimLock, dict[str, str]]:
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = world.unpack(gate.id)
    offer = world.offer(lock, owner.signer.public)
    code = lock.driver.factory.claim_code
    return owner, lock, {"offer": b64(offer), "claim_code": b64(code), "door_id": str(gate.id)}


async def claim(world: Doorway, body: dict[str, str], headers: dict[str, str]) -> httpx.Response:
    return await world.http.post("/v1/locks", json=body, headers=headers, timeout=40)


async def claims(world: Doorway) -> tuple[set[int], int]:
    """The same claim under one key, twice at once and once again; statuses, and enrolments at the server."""
    owner, _, body = await a_claim(world)
    headers = owner.headers
    both = await asyncio.gather(claim(world, body, headers), claim(world, body, headers))
    again = await claim(world, body, headers)
    told = {one.json()["lock_id"] for one in (*both, again) if one.status_code == 201}
    assert len(told) == 1
    ((rows,),) = world.database.execute("SELECT count(*) FROM locks")
    return {one.status_code for one in (*both, again)}, int(rows)


async def test_L36_one_key_one_claim(world: Doorway) -> None:
    statuses, rows = await claims(world)
    assert statuses <= {201, 409}
    assert rows == 1


async def test_L36_mutant_a_claim_that_looks_nowhere_first(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(self: idempotency.Once, actor: str, ask: Any) -> Any:
        done = await ask()

        async def keep(_work: UnitOfWork) -> Done:
            return done  # type: ignore[no-any-return]

        return await self(actor, keep)

    monkeypatch.setattr(idempotency.Once, "after", at_once)
    _, rows = await claims(world)
    assert rows > 1


async def served(world: Doorway, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether anybody else is served while many claims wait for an issuer that says nothing."""
    monkeypatch.setattr(locks, "PATIENCE_S", 6.0)
    owner, _, body = await a_claim(world)
    await world.kill_role(Role.ISSUER)
    waiting = [asyncio.create_task(claim(world, body, owner.headers)) for _ in range(24)]
    await asyncio.sleep(1.5)
    try:
        async with asyncio.timeout(2.5):
            answer = await world.http.get("/v1/me", headers=owner.headers)
        found = answer.status_code == 200
    except TimeoutError:
        found = False
    answers = await asyncio.gather(*waiting)
    assert {one.status_code for one in answers} <= {503, 500}
    await world.start_role(Role.ISSUER)
    return found


async def test_a_silent_issuer_holds_up_nobody_else(world: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await served(world, monkeypatch)


async def test_mutant_a_claim_that_keeps_its_connection(
    world: Doorway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def within(self: idempotency.Once, actor: str, ask: Any) -> Any:
        async def act(_work: UnitOfWork) -> Done:
            return await ask()  # type: ignore[no-any-return]

        return await self(actor, act)

    monkeypatch.setattr(idempotency.Once, "after", within)
    assert not await served(world, monkeypatch)
