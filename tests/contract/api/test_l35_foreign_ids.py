"""L-35: a stranger asks for every id of everybody else on every route that the OpenAPI document lists."""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from lockserver.app import capture, keep_house
from lockserver.domain.errors import NotAllowedError, NotFoundError
from lockserver.protocol.wish import WishOperation
from tests.contract.api.test_registration_api import duty_of, moved_in
from tests.support.app_door import App, Door, fields

JPEG = {"Content-Type": "image/jpeg"}
NOT_IDS = {"kind": "front", "serial": "LSIM-2026-0000000001"}
"""Path parameters that name no resource."""
NOT_OURS = {"address_id"}
"""Ids of the outside world, which a landlord writes down."""
WISHES = {
    "/v1/phones/{phone_id}": WishOperation.REMOVE_PHONE,
    "/v1/locks/{lock_id}/unlock": WishOperation.UNLOCK,
    "/v1/tenancies/{tenancy_id}/end": WishOperation.END_TENANCY,
    "/v1/tenancies": WishOperation.SIGN_TENANCY,
    "/v1/houses/{house_id}/staff": WishOperation.NAME_STAFF,
    "/v1/houses/{house_id}/gateways": WishOperation.NAME_GATEWAY,
    "/v1/gateways/{gateway_id}/retire": WishOperation.RETIRE,
    "/v1/locks/{lock_id}/release": WishOperation.RELEASE_LOCK,
    "/v1/locks/{lock_id}/pins": WishOperation.SET_PIN,
    "/v1/locks/{lock_id}/pins/offline": WishOperation.READ_PIN,
    "/v1/locks/{lock_id}/pins/backup": WishOperation.READ_PIN,
    "/v1/slots/{slot_id}/remove": WishOperation.REMOVE_SLOT,
    "/v1/locks/{lock_id}/lock": WishOperation.LOCK,
    "/v1/locks/{lock_id}/hold-open": WishOperation.HOLD_OPEN,
    "/v1/locks/{lock_id}/entries": WishOperation.CONSENT_ENTRY,
    "/v1/entries/{entry_id}/end": WishOperation.REVOKE,
    "/v1/grants/{grant_id}": WishOperation.EDIT_GRANT,
    "/v1/grants/{grant_id}/freeze": WishOperation.FREEZE,
    "/v1/grants/{grant_id}/unfreeze": WishOperation.UNFREEZE,
    "/v1/grants/{grant_id}/revoke": WishOperation.REVOKE,
    "/v1/doors/{door_id}/settings": WishOperation.EDIT_GRANT,
}
ANY_CALLER = {"/v1/phone/sync"}
"""The phone's key is its caller; ids come signed by it."""


@dataclass
class Question:
    """One route with one place where an id goes."""

    method: str
    path: str
    name: str
    where: str  # path or body
    body: Any
    body_type: str


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return found
    return schema


def questions(document: dict[str, Any]) -> list[Question]:
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in ANY_CALLER:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            body_type = next(iter(content), "")
            schema = resolve(document, content[body_type]["schema"]) if content else {}
            body = schema.get("examples", [None])[0] if body_type == "application/json" else b"image"
            names = [name for name in re.findall(r"{(\w+)}", path) if name not in NOT_IDS]
            found += [Question(method, path, name, "path", body, body_type) for name in names]
            inside = [
                name for name in schema.get("properties", {}) if name.endswith("_id") and name not in NOT_OURS
            ]
            found += [Question(method, path, name, "body", body, body_type) for name in inside]
    return found


@dataclass
class Stranger:
    """Somebody with a life of his own, so that only the foreign id is wrong in what he asks."""

    app: App
    own: dict[str, str]


async def ask(caller: Stranger, question: Question, value: str) -> tuple[int, bytes]:
    path = re.sub(r"{(\w+)}", lambda match: ({question.name: value} | NOT_IDS)[match[1]], question.path)
    given: dict[str, Any] = {}
    if question.body_type == "application/json":
        own = {name: caller.own[name] for name in question.body if name in caller.own}
        given["body"] = {**question.body, **own}
        if question.where == "body":
            given["body"][question.name] = value
        if "wish" in question.body:  # his own, sound: only the id in it is not his
            given["body"] = signed(caller.app, WISHES[question.path], value, given["body"])
    elif question.body_type:
        given = {"content": question.body, "headers": JPEG}
    answer = await caller.app.send(question.method.upper(), path.removeprefix("/v1"), **given)
    return answer.status_code, answer.content


def signed(app: App, operation: WishOperation, target: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body with a wish in it, over all of it where the route asks for that."""
    if "salt" not in body:
        return {**body, "wish": app.wish(operation, target)}
    return app.wished(operation, target, {name: body[name] for name in body if name not in {"wish", "salt"}})


async def leaks(door: Door, stranger: Stranger, ids: dict[str, str]) -> list[str]:
    """Routes on which a foreign id is answered otherwise than one that does not exist."""
    found = []
    for question in questions(door.app.openapi()):
        nothing = secrets.token_urlsafe(32) if question.name == "token" else str(uuid.uuid4())
        foreign = await ask(stranger, question, ids[question.name])
        missing = await ask(stranger, question, nothing)
        if foreign != missing or foreign[0] != 404:
            found.append(f"{question.method} {question.path} {question.name}: {foreign} {missing}")
    return found


async def a_stranger(door: Door) -> Stranger:
    _, tenant, signed = await moved_in(door)
    door.database.execute(
        "UPDATE phones SET state = 'active', proved_by = 'staff' WHERE id = %s", tenant.phone_id
    )
    own = {"duty_id": duty_of(signed), "phone_id": tenant.phone_id, "door_id": signed["door_id"]}
    return Stranger(tenant, own)


async def everything_of_somebody_else(door: Door) -> dict[str, str]:
    """One of each thing that has an id: landlord's and tenant's, up to a filed registration."""
    _, tenant, signed = await moved_in(door)
    card = fields()
    case_id = await tenant.capture(duty_of(signed), card)
    case = await tenant.declare(case_id, card)
    lock_id, command_id = str(uuid.uuid4()), str(uuid.uuid4())
    room, now = signed["door_id"], door.clock.now()
    door.database.execute(
        "INSERT INTO locks (id, door_id, serial, sign_pub, ecdh_pub, factory_fingerprint, shard, state)"
        " VALUES (%s, %s, %s, %s, %s, %s, '0a', 'active')",
        lock_id, room, "SN-1", b"\4" + bytes(64), b"\4" + bytes(64), bytes(32),
    )  # fmt: skip
    command_of(door, lock_id, command_id, tenant, str(now))
    return {
        "house_id": signed["house"]["id"],
        "door_id": room,
        "phone_id": tenant.phone_id,
        "tenancy_id": signed["id"],
        "duty_id": duty_of(signed),
        "case_id": case_id,
        "registration_id": case["registration_id"],
        "lock_id": lock_id,
        "command_id": command_id,
        "slot_id": slot_of(door, lock_id, tenant),
        **let_in_of(door, lock_id, tenant),
        "gateway_id": gateway_of(door, signed["house"]["id"]),
        "token": signed["invites"][0]["token"],
    }


def let_in_of(door: Door, lock_id: str, tenant: App) -> dict[str, str]:
    """His grant at the room, an entry to it that he allowed, and what he was told."""
    execute = door.database.execute
    [(grant_id, holder_id, door_id, tenancy_id)] = execute(
        "SELECT g.id, g.holder_id, g.door_id, g.tenancy_id FROM grants g JOIN locks l ON l.door_id = g.door_id"
        " JOIN phones p ON p.holder_id = g.holder_id WHERE l.id = %s AND p.id = %s",
        lock_id, tenant.phone_id,
    )  # fmt: skip
    wish_id, entry_id, notice_id = (str(uuid.uuid4()) for _ in range(3))
    execute(
        "INSERT INTO wishes (id, holder_id, phone_id, operation, target, not_after, raw)"
        " VALUES (%s, %s, %s, 'consent_entry', %s, now(), 'x')",
        wish_id, holder_id, tenant.phone_id, lock_id,
    )  # fmt: skip
    execute(
        "INSERT INTO entries (id, lock_id, door_id, tenancy_id, kind, class, given_by, wish_id, lower, upper)"
        " VALUES (%s, %s, %s, %s, 'consent', 'owner', %s, %s, %s, %s::timestamptz + interval '1 hour')",
        entry_id, lock_id, door_id, tenancy_id, holder_id, wish_id, *[str(door.clock.now())] * 2,
    )  # fmt: skip
    execute(
        "INSERT INTO notices (id, holder_id, kind, about, detail, at)"
        " VALUES (%s, %s, 'entry_ended', %s, '{}', now())",
        notice_id, holder_id, entry_id,
    )  # fmt: skip
    return {"grant_id": str(grant_id), "entry_id": entry_id, "notice_id": notice_id}


def slot_of(door: Door, lock_id: str, tenant: App) -> str:
    made = str(uuid.uuid4())
    door.database.execute(
        "INSERT INTO slots (id, lock_id, number, kind, purpose, class, holder_id, grant_id, given_by, lower, upper,"
        " state, wanted_version, asked_at, verifier)"
        " SELECT %s, l.id, 1, 'pin', 'own', 'tenant', g.holder_id, g.id, g.holder_id, g.lower, g.upper,"
        " 'setting', 1, now(), %s FROM grants g JOIN locks l ON l.door_id = g.door_id JOIN phones p"
        " ON p.holder_id = g.holder_id WHERE l.id = %s AND p.id = %s",
        made, bytes(16), lock_id, tenant.phone_id,
    )  # fmt: skip
    return made


def gateway_of(door: Door, house_id: str) -> str:
    made = str(uuid.uuid4())
    door.database.execute(
        "INSERT INTO gateways (id, house_id, name, sign_pub, ecdh_pub, shard, state)"
        " VALUES (%s, %s, 'stairs', %s, %s, '0a', 'active')",
        made, house_id, b"\4" + secrets.token_bytes(64), b"\4" + bytes(64),
    )  # fmt: skip
    return made


def command_of(door: Door, lock_id: str, command_id: str, tenant: App, now: str) -> None:
    [(holder_id,)] = door.database.execute("SELECT holder_id FROM phones WHERE id = %s", tenant.phone_id)
    [(grant_id,)] = door.database.execute(
        "SELECT g.id FROM grants g JOIN locks l ON l.door_id = g.door_id"
        " WHERE g.holder_id = %s AND l.id = %s",
        holder_id, lock_id,
    )  # fmt: skip
    wish_id, credential_id = str(uuid.uuid4()), str(uuid.uuid4())
    door.database.execute(
        "INSERT INTO wishes (id, holder_id, phone_id, operation, target, not_after, raw)"
        " VALUES (%s, %s, %s, 'unlock', %s, %s, 'x')",
        wish_id, holder_id, tenant.phone_id, lock_id, now,
    )  # fmt: skip
    door.database.execute(
        "INSERT INTO credentials (id, grant_id, phone_id, lock_id, not_before, expires_at, issued_at, raw)"
        " VALUES (%s, %s, %s, %s, %s::timestamptz, %s::timestamptz + interval '1 day', %s, 'x')",
        credential_id, grant_id, tenant.phone_id, lock_id, now, now, now,
    )  # fmt: skip
    door.database.execute(
        "INSERT INTO commands (id, lock_id, holder_id, grant_id, credential_id, wish_id, kind, counter,"
        " state, not_after) VALUES (%s, %s, %s, %s, %s, %s, 'unlock', 1, 'queued', %s)",
        command_id, lock_id, holder_id, grant_id, credential_id, wish_id, now,
    )  # fmt: skip


async def test_L35_a_foreign_id_is_answered_like_one_that_does_not_exist(door: Door) -> None:
    ids = await everything_of_somebody_else(door)
    stranger = await a_stranger(door)
    asked = questions(door.app.openapi())
    assert {question.name for question in asked} <= set(ids), "a new kind of id: make one above"
    assert len(asked) >= 20
    assert await leaks(door, stranger, ids) == []


async def test_L35_mutant_a_403_for_what_exists_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await everything_of_somebody_else(door)
    stranger = await a_stranger(door)
    honest = keep_house.own_house

    async def tells(work: Any, holder_id: Any, house_id: Any) -> Any:
        try:
            return await honest(work, holder_id, house_id)
        except NotFoundError:
            if await work.houses.get(house_id):
                raise NotAllowedError from None
            raise

    monkeypatch.setattr(keep_house, "own_house", tells)
    found = await leaks(door, stranger, ids)
    assert any("/houses/{house_id}/doors" in leak for leak in found)


async def test_L35_mutant_a_case_shown_to_anybody_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await everything_of_somebody_else(door)
    stranger = await a_stranger(door)

    async def shows(work: Any, holder_id: Any, case_id: Any) -> Any:
        case = await work.cases.get(case_id)
        if case is None:
            raise NotFoundError
        return case, True

    monkeypatch.setattr(capture, "see_case", shows)
    found = await leaks(door, stranger, ids)
    assert any("/cases/{case_id}/consents" in leak for leak in found)
