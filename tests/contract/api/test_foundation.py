"""The door itself: what is public, what a refusal looks like, how much it takes."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from lockserver.domain import errors
from mobile_api import problems
from mobile_api.auth.session import session_of
from mobile_api.envelope import IMAGE_BODY_MAX, JSON_BODY_MAX
from mobile_api.limits import Limits
from tests.support.app_door import Door

PUBLIC = {
    ("POST", "/v1/login/codes"),
    ("POST", "/v1/login"),
    ("POST", "/v1/login/refresh"),
    ("GET", "/v1/keys/verify"),
    ("GET", "/v1/health"),
    ("POST", "/v1/phone/sync"),  # signed by the phone itself
    ("GET", "/v1/keys/pins"),
    ("GET", "/v1/pin-rules"),
    ("GET", "/docs"),
    ("GET", "/docs/start.js"),
    ("GET", "/docs/openapi.json"),
}


def asks_for_a_session(dependant: Any) -> bool:
    return any(one.call is session_of or asks_for_a_session(one) for one in dependant.dependencies)


def public_in_document(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not operation.get("security")
    }


async def test_exactly_these_routes_are_public(door: Door) -> None:
    document = door.app.openapi()
    assert public_in_document(document) == {one for one in PUBLIC if one[1].startswith("/v1")}
    for path, operations in document["paths"].items():
        for method in operations:
            if (method.upper(), path) in PUBLIC:
                continue
            concrete = path.replace("{kind}", "front")
            for name in (
                "house_id",
                "phone_id",
                "tenancy_id",
                "case_id",
                "registration_id",
                "lock_id",
                "command_id",
            ):
                concrete = concrete.replace(f"{{{name}}}", str(uuid.uuid4()))
            answer = await door.http.request(method, concrete.replace("{token}", "t" * 43))
            assert (answer.status_code, answer.json()["code"]) == (401, "session_invalid"), path
            assert answer.headers["www-authenticate"] == "Bearer"


def test_the_codes_of_refusals_are_these(door: Door) -> None:
    """A snapshot: clients branch on these. A new code is added there; none is ever changed."""
    written = (Path(__file__).parent / "codes.txt").read_text("utf-8").splitlines()
    assert [f"{code} {status}" for code, status in sorted(problems.STATUS.items())] == written
    ours = {"lockserver", "mobile_api"}
    known = {code for code, kind in errors.classes().items() if kind.__module__.split(".")[0] in ours}
    assert known - set(problems.STATUS) == set(), "give each refusal its row in mobile_api.problems"
    assert all(problems.title(code) for code in problems.STATUS)


async def test_a_refusal_is_a_problem_document_without_what_was_sent(door: Door) -> None:
    secret = "330106199003071234"
    answer = await door.http.post("/v1/login", json={"phone": secret, "code": "abc", "x": secret})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert answer.json()["code"] == "invalid_request"
    assert secret not in answer.text


async def test_what_breaks_inside_says_nothing_of_itself(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("330106199003071234 stands in this message")

    monkeypatch.setattr("mobile_api.routes.login.send_login_code", breaks)
    answer = await door.http.post("/v1/login/codes", json={"phone": "13912345678"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "3301" not in answer.text


async def test_bodies_are_capped_whether_or_not_they_say_their_length(door: Door) -> None:
    async def flood() -> Any:
        for _ in range(JSON_BODY_MAX // 1024 + 2):
            yield b" " * 1024

    declared = await door.http.post("/v1/login", content=b" " * (JSON_BODY_MAX + 1))
    chunked = await door.http.post("/v1/login", content=flood())
    assert [declared.json()["code"], chunked.json()["code"]] == ["body_too_large"] * 2
    someone = await door.person()
    path = f"/cases/{uuid.uuid4()}/images/front"
    jpeg = {"Content-Type": "image/jpeg"}
    within = await someone.send("PUT", path, content=b"x" * (JSON_BODY_MAX + 1), headers=jpeg)
    above = await someone.send("PUT", path, content=b"x" * (IMAGE_BODY_MAX + 1), headers=jpeg)
    assert [within.status_code, above.status_code] == [404, 413]


async def test_every_answer_wears_its_headers(door: Door) -> None:
    answer = await door.http.get("/v1/health", headers={"X-Request-Id": "my-request-1"})
    assert answer.headers["x-request-id"] == "my-request-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    forged = await door.http.get("/v1/nothing", headers={"X-Request-Id": "a\tb{}"})
    assert forged.headers["x-request-id"] != "a\tb{}"
    assert forged.json()["code"] == "not_found"


async def test_the_documentation_needs_nobody_else(door: Door) -> None:
    page = await door.http.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert (await door.http.get(f"/docs/assets/{asset}")).status_code == 200
    document = (await door.http.get("/openapi.json")).json()
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                reference = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
                assert document["components"]["schemas"][reference]["examples"]


def test_every_dependency_and_handler_is_a_coroutine(door: Door) -> None:
    """A sync dependency costs a thread a request, and three quarters of the throughput."""
    import inspect

    def sync(dependant: Any) -> list[str]:
        named = [] if dependant.call is None else [dependant.call]
        found = [
            getattr(call, "__name__", repr(call))
            for call in named
            if not inspect.iscoroutinefunction(call)
            and not inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
        ]
        return found + [name for one in dependant.dependencies for name in sync(one)]

    from mobile_api.routes import routers

    routes = [route for router in routers() for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 30
    assert [name for route in routes for name in sync(route.dependant)] == []


class TestLogin:
    async def test_a_code_works_once_and_only_for_its_number(self, door: Door) -> None:
        number = "13912345678"
        await door.http.post("/v1/login/codes", json={"phone": number})
        code = door.sms.codes["+8613912345678"]
        other = await door.http.post("/v1/login", json={"phone": "13912345679", "code": code})
        first = await door.http.post("/v1/login", json={"phone": number, "code": code})
        again = await door.http.post("/v1/login", json={"phone": number, "code": code})
        assert [one.status_code for one in (other, first, again)] == [401, 200, 401]
        assert other.content == again.content

    async def test_five_wrong_tries_end_a_code(self, door: Door) -> None:
        number = "13912345678"
        await door.http.post("/v1/login/codes", json={"phone": number})
        code = door.sms.codes["+8613912345678"]
        wrong = f"{(int(code) + 1) % 10**6:06d}"
        for _ in range(5):
            answer = await door.http.post("/v1/login", json={"phone": number, "code": wrong})
            assert answer.json()["code"] == "login_code_wrong"
        late = await door.http.post("/v1/login", json={"phone": number, "code": code})
        assert late.json()["code"] == "login_code_wrong"

    async def test_codes_are_limited_per_number_known_or_not(self, door: Door) -> None:
        known = await door.person("13912345678")
        counted = []
        for number in (known.number, "13900000001"):
            statuses = [
                (await door.http.post("/v1/login/codes", json={"phone": number})).status_code
                for _ in range(6)
            ]
            counted.append(statuses.count(202))
        assert counted == [4, 5]  # the known one had sent one to log in

    async def test_tries_are_limited_per_address(self, door: Door) -> None:
        object.__setattr__(door.services, "limits", Limits(tries=3))
        statuses = [
            (await door.http.post("/v1/login", json={"phone": "13912345678", "code": "000000"})).status_code
            for _ in range(4)
        ]
        assert statuses == [401, 401, 401, 429]

    async def test_a_refresh_token_dies_by_use_and_a_logout_ends_the_session(self, door: Door) -> None:
        someone = await door.person()
        body = {"refresh_token": someone.tokens["refresh_token"]}
        renewed = await door.http.post("/v1/login/refresh", json=body)
        again = await door.http.post("/v1/login/refresh", json=body)
        assert [renewed.status_code, again.status_code] == [200, 401]
        assert (await someone.send("GET", "/me")).status_code == 401  # the old access token too
        someone.tokens = renewed.json()
        assert (await someone.send("DELETE", "/login")).status_code == 204
        assert (await someone.send("GET", "/me")).status_code == 401

    async def test_tokens_and_numbers_are_not_in_the_database(self, door: Door) -> None:
        someone = await door.person("13912345678")
        rows = door.database.execute("SELECT s::text, a::text FROM sessions s, accounts a")
        for value in (*someone.tokens.values(), "13912345678"):
            if value not in {"Bearer", someone.tokens["session_id"]} and len(str(value)) > 10:
                assert all(str(value) not in cell for row in rows for cell in row)
