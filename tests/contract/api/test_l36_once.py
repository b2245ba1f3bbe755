"""L-36: one Idempotency-Key, one effect."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from lockserver.db.repositories.platform import Idempotency
from mobile_api import idempotency
from tests.support.app_door import Door

HOUSE = {"name": "示例院", "address_id": "ADDR-0001", "station_code": "330106000001"}
ONCE_BY_NATURE = {
    "/v1/login/codes": "sends another code; counted per number",
    "/v1/login": "a code works once",
    "/v1/login/refresh": "a refresh token works once",
    "/v1/phone/sync": "the phone's request carries a nonce of its own",
    "/v1/lock-offers": "asks a lock for an offer, which another replaces",
    "/v1/lock-offers/{serial}/enrol": "a lock takes one document for one offer",
    "/v1/locks/{lock_id}/enrolled": "a lock's report is numbered and signed by the lock",
}


def houses(door: Door) -> int:
    return int(door.database.execute("SELECT count(*) FROM houses")[0][0])


def test_L36_every_post_that_acts_asks_for_a_key(door: Door) -> None:
    without = {
        path
        for path, operations in door.app.openapi()["paths"].items()
        if "post" in operations
        and "idempotency-key" not in {one["name"].lower() for one in operations["post"].get("parameters", [])}
    }
    assert without == set(ONCE_BY_NATURE)


async def test_L36_same_key_same_body_is_answered_again_word_for_word(door: Door) -> None:
    landlord = await door.person()
    key = secrets.token_hex(16)
    first = await landlord.send("POST", "/houses", HOUSE, key=key)
    again = await landlord.send("POST", "/houses", HOUSE, key=key)
    assert (first.status_code, first.content) == (201, again.content)
    assert first.headers["location"] == again.headers["location"]
    assert houses(door) == 1


async def test_L36_same_key_other_body_or_route_is_refused(door: Door) -> None:
    landlord = await door.person()
    key = secrets.token_hex(16)
    made = (await landlord.send("POST", "/houses", HOUSE, key=key)).json()
    other = await landlord.send("POST", "/houses", HOUSE | {"name": "另一院"}, key=key)
    elsewhere = await landlord.send(
        "POST", f"/houses/{made['id']}/doors", {"kind": "gate", "name": "门"}, key=key
    )
    assert [one.json()["code"] for one in (other, elsewhere)] == ["idempotency_mismatch"] * 2
    assert houses(door) == 1


async def test_L36_another_caller_with_the_same_key_is_independent(door: Door) -> None:
    key = secrets.token_hex(16)
    answers = [await (await door.person()).send("POST", "/houses", HOUSE, key=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


async def concurrent_effects(door: Door) -> tuple[int, set[int]]:
    landlord = await door.person()
    key = secrets.token_hex(16)
    answers = await asyncio.gather(*(landlord.send("POST", "/houses", HOUSE, key=key) for _ in range(6)))
    return houses(door), {answer.status_code for answer in answers}


async def test_L36_concurrent_requests_have_one_effect(door: Door) -> None:
    made, statuses = await concurrent_effects(door)
    assert made == 1
    assert statuses <= {201, 409}


async def test_L36_mutant_a_key_that_nobody_claims_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgets(*_: Any) -> None:
        return None

    monkeypatch.setattr(Idempotency, "begin", forgets)
    made, _ = await concurrent_effects(door)
    assert made > 1


async def test_L36_after_a_crash_the_retry_has_its_one_effect(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    landlord = await door.person()
    key = secrets.token_hex(16)
    honest = Idempotency.finish

    async def dies(*_: Any) -> None:
        raise ConnectionError("killed before the commit")

    monkeypatch.setattr(Idempotency, "finish", dies)
    crashed = await landlord.send("POST", "/houses", HOUSE, key=key)
    assert (crashed.status_code, houses(door)) == (500, 0)
    monkeypatch.setattr(Idempotency, "finish", honest)
    assert (await landlord.send("POST", "/houses", HOUSE, key=key)).status_code == 201
    assert (await landlord.send("POST", "/houses", HOUSE, key=key)).status_code == 201
    assert houses(door) == 1


async def test_L36_mutant_an_answer_stored_apart_from_its_effect_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The effect commits, the answer's own transaction is lost: the retry acts again."""
    landlord = await door.person()
    key = secrets.token_hex(16)

    async def apart(self: Any, actor: str, act: Any) -> Any:
        async with self._services.transactions.begin() as work:
            await act(work)
        raise ConnectionError("killed between the two commits")

    monkeypatch.setattr(idempotency.Once, "run", apart)
    await landlord.send("POST", "/houses", HOUSE, key=key)
    await landlord.send("POST", "/houses", HOUSE, key=key)
    assert houses(door) != 1


@pytest.fixture
def stored(door: Door) -> Callable[[], Any]:
    return lambda: door.database.execute("SELECT key, response FROM idempotency")


async def test_L36_neither_key_nor_answer_can_be_read_in_the_table(door: Door, stored: Any) -> None:
    landlord, tenant = await door.person(), await door.person()
    house = await landlord.house()
    key = secrets.token_hex(16)
    lease = landlord.lease(house["rooms"][0], tenant.number)
    answer = await landlord.send("POST", "/tenancies", lease, key=key)
    token = answer.json()["invites"][0]["token"]
    rows = stored()
    assert rows
    assert all(key not in row[0] and token.encode() not in bytes(row[1]) for row in rows)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ("short", "idempotency_key_invalid"),
        ("x" * 129, "idempotency_key_invalid"),
    ],
)
async def test_L36_without_a_proper_key_nothing_is_done(door: Door, key: str | None, code: str) -> None:
    landlord = await door.person()
    headers = landlord.bearer | ({"Idempotency-Key": key} if key else {})
    answer = await door.http.post("/v1/houses", json=HOUSE, headers=headers)
    assert (answer.json()["code"], houses(door)) == (code, 0)
