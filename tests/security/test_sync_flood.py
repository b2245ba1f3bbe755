"""The one route that asks for no session writes nothing for a stranger, and no end of rows for nobody."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

import pytest

from lockserver.domain.canonical import b64url
from lockserver.protocol.request import PhoneRequest, hash_body, sign_request
from mobile_api.routes import sync
from tests.support.app_door import App, Door

pytestmark = pytest.mark.contract


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No issuer runs here: what reaches it is answered by silence."""
    monkeypatch.setattr(sync, "PATIENCE_S", 0.1)


async def send(door: Door, request: bytes) -> str:
    answer = await door.http.post("/v1/phone/sync", json={"request": b64url(request)})
    return str(answer.json()["code"])


def request_of(app: App, **changes: Any) -> bytes:
    told: dict[str, Any] = {
        "phone_id": UUID(app.phone_id).bytes,
        "method_path": "POST /v1/phone/sync",
        "body_hash": hash_body(b"{}"),
        "issued_at": int(app.door.clock.now().timestamp()),
        "nonce": secrets.token_bytes(8),
    } | changes
    return sign_request(PhoneRequest(**told), app.signer)


def rows(door: Door) -> int:
    return int(door.database.execute("SELECT count(*) FROM requests")[0][0])


async def strangers(door: Door) -> list[str]:
    person, thief = await door.person(), await door.person()
    await person.enrol_phone()
    thief.phone_id = person.phone_id  # in another's name, with a key of his own
    return [
        await send(door, secrets.token_bytes(200)),
        await send(door, request_of(person, phone_id=secrets.token_bytes(16))),
        await send(door, request_of(thief)),
        await send(door, request_of(person, issued_at=0)),
        await send(door, request_of(person, method_path="POST /v1/phones")),
    ]


async def test_a_strangers_sync_wakes_nobody(door: Door) -> None:
    refused = await strangers(door)
    assert refused == ["proof_invalid", "phone_unknown", *["proof_invalid"] * 3]
    assert rows(door) == 0


async def test_mutant_a_sync_that_only_the_issuer_checks_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Somebody:
        id = UUID(int=1)

    async def unchecked(*_: Any) -> Somebody:
        return Somebody()

    monkeypatch.setattr(sync, "prove", unchecked)
    await strangers(door)
    assert rows(door) == 5


async def test_a_phone_is_not_answered_without_end(door: Door) -> None:
    person, other = await door.person(), await door.person()
    await person.enrol_phone()
    await other.enrol_phone()
    door.services.limits._tries = 3
    said = [await send(door, request_of(person)) for _ in range(4)]
    assert said == ["role_silent"] * 3 + ["too_many_tries"]
    assert await send(door, request_of(other)) == "role_silent", "only himself"
