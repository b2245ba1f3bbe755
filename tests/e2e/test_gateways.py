"""Locks without a network, opened from afar through gateways: real GATT, real NATS, real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from firmware_sim.gateway.events import Tick
from firmware_sim.gateway.station import Station
from lockserver.app import carrying
from lockserver.protocol.wish import WishOperation
from tests.support.database import Database
from tests.support.doorway import Person, SimLock, b64
from tests.support.gateways import Lane, lane
from tests.support.wiretap import count_moves

pytestmark = [pytest.mark.e2e]

SHORT = 6
"""Seconds that a wish lives where somebody has to wait for its end."""


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Lane]:
    async with lane(database, tmp_path) as made:
        yield made


async def a_door(world: Lane) -> tuple[Person, SimLock, UUID]:
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = await world.ble_lock(owner, gate)
    kit = await world.sync(owner)
    assert [one["withheld"] for one in kit["doors"]] == [None]
    return owner, lock, gate.house_id


def name(station: Station) -> str:
    return str(station.state()["gateway_id"])


def row(world: Lane) -> tuple[str, str | None, str | None, bool]:
    """The last command: state, via (hex), fault, whether the lock's signed word lies beside it."""
    ((state, via, fault, proved),) = world.database.execute(
        "SELECT state, replace(via, '-', ''), fault, evidence IS NOT NULL FROM commands ORDER BY id DESC LIMIT 1"
    )
    return state, via, fault, proved


async def until(world: Lane, *states: str, within: float = 20) -> str:
    async with asyncio.timeout(within):
        while (state := row(world)[0]) not in states:
            await asyncio.sleep(0.05)
    return state


async def louder(world: Lane, lock: SimLock, than: Station, one: Station) -> None:
    """Wait until the bridge's rows say that `one` hears the lock louder than `than`."""
    async with asyncio.timeout(15):
        while True:
            heard = dict(
                world.database.execute(
                    "SELECT replace(gateway_id::text, '-', ''), rssi FROM gateway_sights WHERE lock_id = %s",
                    lock.id,
                )
            )
            if heard.get(name(one), -200) > heard.get(name(than), 0):
                return
            await asyncio.sleep(0.05)


async def test_a_lock_without_a_network_is_opened_through_a_gateway(world: Lane) -> None:
    owner, lock, house_id = await a_door(world)
    station = await world.gateway(owner, house_id)
    await world.heard(lock)
    answer = await world.unlock(owner, lock)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["via"], answer.json()["fault"]) == ("done", "gateway", None)
    assert lock.openings == 1
    assert row(world) == ("done", name(station), None, True)
    shown = (await world.http.get(f"/v1/houses/{house_id}/gateways", headers=owner.headers)).json()
    assert [one["lock_id"] for one in shown[0]["hears"]] == [str(lock.id)]
    attempts = (await world.http.get(f"/v1/locks/{lock.id}/attempts", headers=owner.headers)).json()
    assert [(one["whose"], one["state"], one["fault"]) for one in attempts] == [("mine", "done", None)]


async def test_documents_and_the_journal_travel_the_same_way(world: Lane) -> None:
    """What the lock lacks reaches it, what it wrote is kept and freed, through the gateway alone."""
    owner, lock, house_id = await a_door(world)
    await world.gateway(owner, house_id)
    await world.heard(lock)
    assert (await world.unlock(owner, lock)).status_code == 200
    assert lock.driver.lock is not None
    async with asyncio.timeout(15):
        while lock.driver.lock.journal.held:
            await asyncio.sleep(0.05)
    vias = world.database.execute("SELECT DISTINCT via FROM journal WHERE lock_id = %s", lock.id)
    assert ("gateway",) in vias
    ((number,),) = world.database.execute("SELECT max(number) FROM lock_documents WHERE kind = 'revocation'")
    world.database.execute("UPDATE phones SET state = 'revoked', revoked_at = now()")
    async with asyncio.timeout(20):  # the issuer finds it, the bridge sends it, the lock says that it has it
        while not world.database.execute(
            "SELECT 1 FROM lock_status WHERE lock_id = %s AND revocation_number > %s AND carried_by IS NOT NULL"
            " AND NOT connected", lock.id, number,
        ):  # fmt: skip
            await asyncio.sleep(0.1)


async def test_the_gateway_that_hears_best_is_chosen(world: Lane) -> None:
    owner, lock, house_id = await a_door(world)
    near, far = await world.gateway(owner, house_id), await world.gateway(owner, house_id, near=30)
    await louder(world, lock, far, near)
    assert (await world.unlock(owner, lock)).status_code == 200
    assert row(world)[1] == name(near)
    near.deafen(60)
    await louder(world, lock, near, far)
    await asyncio.sleep(carrying.SESSION_FRESH.total_seconds() / 8)
    assert (await world.unlock(owner, lock)).status_code == 200
    assert row(world)[1] == name(far)
    assert lock.openings == 2


async def handed_over(station: Station, lock: SimLock, moved: list[Any]) -> None:
    """Wait until the lock was told, and its motor runs."""
    async with asyncio.timeout(15):
        while lock.driver.lock is None or not lock.driver.lock._acts._moving:
            await asyncio.sleep(0.01)
    assert not moved


async def test_the_better_gateway_dies_in_the_middle_and_the_other_carries_on(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, lock, house_id = await a_door(world)
    near, far = await world.gateway(owner, house_id), await world.gateway(owner, house_id, near=30)
    await louder(world, lock, far, near)
    moves = count_moves(lock, monkeypatch)
    lock.driver.mechanics.motor_ms = 1500
    asking = asyncio.create_task(world.unlock(owner, lock))
    await handed_over(near, lock, moves)
    await near.kill()
    answer = await asking
    assert answer.status_code == 200, answer.text
    assert row(world) == ("done", name(far), None, True)
    assert len(moves) == 1  # the same command, twice on the air, once in the motor


async def test_L17_the_only_gateway_dies_and_the_truth_comes_with_the_next_one(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, lock, house_id = await a_door(world)
    station = await world.gateway(owner, house_id)
    await world.heard(lock)
    moves = count_moves(lock, monkeypatch)
    lock.driver.mechanics.motor_ms = 1500
    asking = asyncio.create_task(world.unlock(owner, lock, owner.wish(lock.id, life=SHORT)))
    await handed_over(station, lock, moves)
    await station.kill()
    answer = await asking
    assert (answer.status_code, answer.json()["state"]) == (202, "unknown")
    assert answer.json()["fault"] == "lock_offline"  # nobody reaches it; and nobody says that it stayed shut
    await station.power_on()
    assert await until(world, "done") == "done"
    assert row(world)[3]
    assert len(moves) == 1


async def full_gateway(world: Lane) -> tuple[Person, SimLock, Station]:
    owner, lock, house_id = await a_door(world)
    station = await world.gateway(owner, house_id, places=0)
    await world.heard(lock)
    return owner, lock, station


async def test_a_full_gateway_is_shown_and_waited_for(world: Lane) -> None:
    owner, lock, station = await full_gateway(world)
    asking = asyncio.create_task(world.unlock(owner, lock))
    async with asyncio.timeout(10):
        while not world.database.execute("SELECT 1 FROM commands WHERE fault = 'gateway_busy'"):
            await asyncio.sleep(0.05)
    ((command_id,),) = world.database.execute("SELECT id FROM commands")
    shown = (await world.http.get(f"/v1/commands/{command_id}", headers=owner.headers)).json()
    assert shown["fault"] == "gateway_busy"
    assert shown["state"] in ("queued", "sent")
    assert station.core is not None
    station.core._places = 1
    station.feed(Tick())
    answer = await asking
    assert answer.status_code == 200, answer.text
    assert (answer.json()["fault"], lock.openings) == (None, 1)


async def test_a_gateway_that_stays_full_lets_the_command_die_for_certain(world: Lane) -> None:
    """Nobody published it, so that it is over is no guess."""
    owner, lock, _ = await full_gateway(world)
    answer = await world.unlock(owner, lock, owner.wish(lock.id, life=SHORT))
    assert (answer.status_code, answer.json()["code"]) == (409, "command_expired")
    assert answer.json()["fault"] == "gateway_busy"
    assert lock.openings == 0


async def test_one_place_two_doors_the_second_waits_for_the_first(world: Lane) -> None:
    owner = await world.person()
    gate, (room,) = await world.house(owner)
    one, two = await world.ble_lock(owner, gate), await world.ble_lock(owner, room)
    await world.sync(owner)
    await world.gateway(owner, gate.house_id, places=1)
    await world.heard(one)
    await world.heard(two)
    first = await world.unlock(owner, one)
    second = await world.unlock(owner, two)  # the first lock's session is idle for a moment only
    assert (first.status_code, second.status_code) == (200, 200), second.text
    assert (one.openings, two.openings) == (1, 1)


# ---- coming and going


async def test_a_gateway_is_named_by_its_owner_and_by_its_own_key(world: Lane) -> None:
    owner, _, house_id = await a_door(world)
    thief = await world.person()
    station = Station(world.folder / "x.gateway.json", world.ether, None)
    other = Station(world.folder / "y.gateway.json", world.ether, None)

    async def code(who: Person, **changes: Any) -> tuple[int, str]:
        answer = await world.name_gateway(who, house_id, station, **changes)
        return answer.status_code, answer.json().get("code", "")

    assert await code(thief) == (404, "not_found")
    foreign = {key: b64(value) for key, value in other.offer(house_id.bytes).items()}
    assert await code(owner, sign_pub=foreign["sign_pub"]) == (422, "proof_invalid")
    elsewhere = {key: b64(value) for key, value in station.offer(bytes(16)).items()}
    assert await code(owner, **elsewhere) == (422, "proof_invalid")
    assert await code(owner) == (201, "")
    assert await code(owner) == (409, "gateway_taken")


async def test_L18_a_retired_gateway_is_thrown_out_and_refused_at_the_lock(world: Lane) -> None:
    owner, lock, house_id = await a_door(world)
    first, second = await world.gateway(owner, house_id), await world.gateway(owner, house_id)
    await world.heard(lock, 2)
    wish = {"wish": b64(owner.wish(UUID(name(first)), WishOperation.RETIRE))}
    answer = await world.http.post(
        f"/v1/gateways/{UUID(name(first))}/retire", json=wish, headers=owner.headers
    )
    assert answer.status_code == 204, answer.text
    async with asyncio.timeout(10):
        while first.up:
            await asyncio.sleep(0.05)
    assert (await world.unlock(owner, lock)).status_code == 200
    assert row(world)[1] == name(second)
    assert lock.driver.lock is not None
    held = lock.driver.lock.held
    assert held is not None
    async with asyncio.timeout(20):  # its credential is on the list, and the list at the lock
        while held.revocation is None or not held.revocation.entries:
            await asyncio.sleep(0.1)
    ((cti,),) = world.database.execute(
        "SELECT id FROM gateway_credentials WHERE gateway_id = %s", UUID(name(first))
    )
    assert held.revocation.covers(cti.bytes)
