"""A remote unlock, from the holder's signature to the bolt and back, on real parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lockserver.settings import Role
from tests.support.database import Database
from tests.support.doorway import Doorway, Person, SimLock, b64, doorway

pytestmark = [pytest.mark.e2e]


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Doorway]:
    async with doorway(database, tmp_path) as made:
        yield made


async def door(world: Doorway) -> tuple[Person, SimLock]:
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = await world.settled_lock(owner, gate)
    kit = await world.sync(owner)
    assert [one["withheld"] for one in kit["doors"]] == [None]
    return owner, lock


async def test_a_holder_opens_his_door_from_afar(world: Doorway) -> None:
    owner, lock = await door(world)
    answer = await world.unlock(owner, lock)
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "done"
    assert lock.openings == 1
    followed = await world.http.get(f"/v1/commands/{answer.json()['id']}", headers=owner.headers)
    assert followed.json()["state"] == "done"


async def test_one_key_one_opening_one_wish_one_opening(world: Doorway) -> None:
    """The same request again is the same answer; the same wish under another key is refused."""
    owner, lock = await door(world)
    wish = owner.wish(lock.id)
    headers = owner.headers
    body = {"wish": b64(wish)}
    first = await world.http.post(f"/v1/locks/{lock.id}/unlock", json=body, headers=headers)
    again = await world.http.post(f"/v1/locks/{lock.id}/unlock", json=body, headers=headers)
    assert first.status_code == again.status_code == 200
    assert first.json()["id"] == again.json()["id"]
    other = await world.unlock(owner, lock, wish)
    assert (other.status_code, other.json()["code"]) == (409, "wish_used")
    assert lock.openings == 1


async def test_a_session_without_the_phones_signature_opens_nothing(world: Doorway) -> None:
    owner, lock = await door(world)
    stranger = await world.person()
    for wish, code in (
        (owner.wish(lock.id, signer=stranger.signer), "wish_invalid"),  # a thief's own key
        (owner.wish(stranger.session_id), "wish_invalid"),  # another target
        (owner.wish(lock.id, life=300), "wish_invalid"),  # a right lying about
        (owner.wish(lock.id, life=-1), "wish_expired"),
        (b"\x80" * 100, "wish_invalid"),
    ):
        answer = await world.unlock(owner, lock, wish)
        assert answer.json()["code"] == code, answer.text
    assert (await world.unlock(stranger, lock)).status_code == 404
    assert lock.openings == 0


async def test_what_the_lock_refuses_is_refused_with_its_reason(world: Doorway) -> None:
    owner, lock = await door(world)
    lock.driver.mechanics.jammed = True
    answer = await world.unlock(owner, lock)
    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["reason"]) == ("command_refused", "jammed")


async def test_the_journal_arrives_complete_and_is_acknowledged(world: Doorway) -> None:
    owner, lock = await door(world)
    for _ in range(3):
        assert (await world.unlock(owner, lock)).status_code == 200
    assert lock.driver.lock is not None
    head = lock.driver.lock.journal.head
    for _ in range(200):
        if not lock.driver.lock.journal.held:
            break
        await quiet()
    assert not lock.driver.lock.journal.held  # freed only on the server's word
    rows = world.database.execute(
        "SELECT number, hash FROM journal WHERE lock_id = %s ORDER BY number", lock.id
    )
    assert [number for number, _ in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= head.number
    shown = await world.http.get(f"/v1/locks/{lock.id}/journal", headers=owner.headers)
    assert shown.json()["complete"]
    mine = [one for one in shown.json()["entries"] if one["whose"] == "mine"]
    assert [one["what"] for one in mine].count("unlocked") == 3


async def test_a_killed_bridge_is_taken_up_again(world: Doorway) -> None:
    owner, lock = await door(world)
    await world.kill_role(Role.BRIDGE)
    await world.start_role(Role.BRIDGE)
    assert (await world.unlock(owner, lock)).status_code == 200


async def test_claiming_needs_the_button_the_code_and_the_owners_phone(world: Doorway) -> None:
    owner, thief = await world.person(), await world.person()
    gate, (room,) = await world.house(owner)
    lock = world.unpack(gate.id)
    offer = world.offer(lock, owner.signer.public)

    async def claim(who: Person, door_id: object, code: bytes, given: bytes) -> tuple[int, str]:
        answer = await world.http.post(
            "/v1/locks",
            json={"offer": b64(given), "claim_code": b64(code), "door_id": str(door_id)},
            headers=who.headers,
        )
        return answer.status_code, answer.json().get("code", "")

    code = lock.driver.factory.claim_code
    assert await claim(thief, gate.id, code, offer) == (404, "not_found")
    _, _ = await world.house(thief)
    theirs = (await world.house(thief))[0]
    assert await claim(thief, theirs.id, code, offer) == (422, "claim_refused")
    broken = offer[:-1] + bytes([offer[-1] ^ 1])
    assert await claim(owner, gate.id, code, broken) == (422, "claim_refused")
    assert (await world.claim(owner, lock)).json()["state"] == "active"
    assert await claim(owner, room.id, code, offer) == (409, "lock_taken")


async def quiet() -> None:
    import asyncio

    await asyncio.sleep(0.05)
