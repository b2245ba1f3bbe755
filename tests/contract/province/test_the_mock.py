"""The mock province held to the contract by a reader of its own: neither the relay's nor the mock's."""

import json
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from police_sync.relay.filing import canonical
from police_sync.relay.signing import Es256Signer, signed_headers
from tests.contract.province.parts import (
    Province,
    WallClock,
    change_of,
    departure_of,
    new_client_key,
    registration,
)

CONTRACT = Path(__file__).parents[3] / "police_sync" / "contract"
SCHEMAS = {p.name: json.loads(p.read_text("utf-8")) for p in CONTRACT.glob("*.schema.json")}
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)


def conforms(name: str, document: dict[str, Any]) -> dict[str, Any]:
    schema = SCHEMAS[f"{name}.schema.json"]
    Draft202012Validator(schema, registry=REGISTRY, format_checker=FormatChecker()).validate(document)
    return document


class Caller:
    """Signs calls, also wrongly."""

    def __init__(self, province: Province) -> None:
        self.signer = Es256Signer.from_pem(province.client_pem)
        self.http = httpx.Client(base_url=province.url, trust_env=False)

    def __call__(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | bytes = b"",
        *,
        sent_body: bytes | None = None,
        skew_s: int = 0,
        **headers: str,
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else canonical(body)
        at_s = int(WallClock().now().timestamp()) + skew_s
        signed = signed_headers(
            self.signer,
            method=method,
            target=path,
            body=content,
            at_s=at_s,
            nonce=secrets.token_hex(16),
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        wire = sent_body if sent_body is not None else content
        json_type = {"Content-Type": "application/json"}
        return self.http.request(method, path, content=wire, headers={**json_type, **signed, **named})


@pytest.fixture
def call(province: Province) -> Iterator[Caller]:
    caller = Caller(province)
    yield caller
    caller.http.close()


def refused(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert reply.headers["content-type"] == "application/problem+json"
    problem = conforms("problem", reply.json())
    assert (reply.status_code, problem["status"], problem["code"]) == (status, status, code)
    return problem


def put(call: Caller, body: dict[str, Any]) -> httpx.Response:
    return call("PUT", f"/registrations/{body['client_no']}", body)


def test_every_answer_is_the_contracts(province: Province, call: Caller) -> None:
    body = registration()
    province.know(body)
    path = f"/registrations/{body['client_no']}"
    reply = put(call, body)
    assert reply.status_code == 201
    receipt = conforms("receipt", reply.json())
    state = {"state": "RECEIVED"}
    while state["state"] in {"RECEIVED", "CHECKING"}:
        state = conforms("state", call("GET", path).json())
    assert state["state"] == "ACCEPTED"
    voucher = conforms("voucher", state["voucher"])  # type: ignore[arg-type]
    assert call("GET", f"/receipts/{receipt['receipt_no']}").json() == receipt
    assert call("GET", f"/vouchers/{voucher['voucher_no']}").json() == voucher
    day = voucher["accepted_at"][:10]
    digest_path = f"/digest?station={body['station']}&since=2020-01-01"
    digest = conforms("digest", call("GET", digest_path).json())
    assert sum(one["count"] for one in digest["days"]) >= 1
    assert digest["days"][-1]["day"] >= day
    for table in sorted(p.stem for p in (CONTRACT / "codes").iterdir()):
        assert conforms("code_table", call("GET", f"/codes/{table}").json())["table"] == table
    conforms("keys", json.loads(province.keys))


def test_one_number_one_body(call: Caller) -> None:
    body = registration()
    first, again = put(call, body), put(call, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json(), "same body, same receipt"
    refused(put(call, {**body, "phone": "13900000000"}), 409, "conflict")
    refused(put(call, {**body, "version": 2}), 409, "conflict")


def test_versions_ascend(call: Caller) -> None:
    body = registration()
    path = f"/registrations/{body['client_no']}"
    change = change_of(body, 5, phone="13100000000")
    refused(call("POST", f"{path}/changes", change), 404, "unknown_client_no")
    put(call, body)
    first = call("POST", f"{path}/changes", change)
    assert first.status_code == 201
    again = call("POST", f"{path}/changes", change)
    assert (again.status_code, again.json()) == (200, first.json())
    lower = change_of(body, 4, phone="13200000000")
    refused(call("POST", f"{path}/changes", lower), 409, "version_not_ascending")
    assert call("POST", f"{path}/departure", departure_of(body, 6)).status_code == 201
    refused(call("POST", f"{path}/changes", change_of(body, 7, phone="13200000000")), 409, "closed")
    refused(call("POST", f"{path}/departure", departure_of(body, 5)), 409, "conflict")


def test_unknown_things(call: Caller) -> None:
    refused(call("GET", "/registrations/0000000000000000"), 404, "unknown_client_no")
    refused(call("GET", "/receipts/SL20200101-0000000000"), 404, "unknown_number")
    refused(call("GET", "/vouchers/DJ20200101-0000000000"), 404, "unknown_number")
    refused(call("GET", "/codes/shoe_sizes"), 404, "unknown_table")
    refused(call("GET", "/codes/sex?version=1999-01"), 404, "unknown_table")
    refused(call("GET", "/nothing"), 404, "not_found")
    refused(call("GET", "/digest?station=abc&since=2026-01-01"), 400, "malformed")


def test_only_signed_fresh_whole_calls_come_in(province: Province, call: Caller) -> None:
    body = registration()
    path = f"/registrations/{body['client_no']}"
    other = canonical({**body, "name": "试样·假"})
    refused(call("PUT", path, body, sent_body=other), 401, "bad_signature")
    refused(call("PUT", path, body, skew_s=-301), 401, "stale_timestamp")
    refused(call("PUT", path, body, skew_s=302), 401, "stale_timestamp")
    refused(call("PUT", path, body, Police_Key_Id="c-stranger"), 401, "unknown_key")
    refused(call("PUT", path, body, Police_Nonce="0" * 32), 401, "bad_signature")
    refused(call.http.put(path, content=canonical(body)), 401, "unknown_key")
    stranger = Caller(province)
    own = call.signer.key_id
    stranger.signer = Es256Signer.from_pem(new_client_key()[0], key_id=own)
    refused(stranger("PUT", path, body), 401, "bad_signature")
    stranger.http.close()
    assert province.record(str(body["client_no"])) is None


def test_a_call_cannot_be_replayed(call: Caller) -> None:
    body = registration()
    path = f"/registrations/{body['client_no']}"
    first = call("PUT", path, body)
    assert first.status_code == 201
    again = call.http.put(path, content=canonical(body), headers=dict(first.request.headers))
    refused(again, 401, "replayed_nonce")
    signed = {k: v for k, v in first.request.headers.items() if k.startswith("police-")}
    elsewhere = call.http.get(path, headers=signed)
    refused(elsewhere, 401, "bad_signature")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"phone": "abc"}, "phone"),
        ({"birth_date": "1990-02-30"}, "birth_date"),
        ({"document_number": "1234567890123456x"}, "document_number"),
        ({"name": ""}, "name"),
        ({"last_unlock": "2026-01-01"}, "body"),
        ({"nationality": "CHN"}, "body"),
    ],
)
def test_a_body_off_the_schema_is_refused_by_field(
    province: Province, call: Caller, changed: dict[str, Any], field: str
) -> None:
    body = registration(**changed)
    problem = refused(put(call, body), 422, "fields_refused")
    assert problem["errors"] == [{"code": "E901", "field": field}]
    assert province.record(str(body["client_no"])) is None


def test_bad_bodies(call: Caller) -> None:
    body = registration()
    path = f"/registrations/{body['client_no']}"
    refused(call("PUT", path, b"{"), 400, "malformed")
    refused(call("PUT", path, b"[]"), 400, "malformed")
    refused(call("PUT", path, b'{"a":1,"a":2}'), 400, "malformed")
    refused(call("PUT", path, b"[" * 100_000), 400, "malformed")
    refused(call("PUT", path, b" " * 300_000), 413, "too_large")
    refused(call("PUT", path, body, Content_Type="text/plain"), 415, "unsupported_media_type")
    refused(call("PUT", "/registrations/0000000000000000", body), 400, "malformed")
    missing = {k: v for k, v in body.items() if k != "station"}
    problem = refused(call("PUT", path, missing), 422, "fields_refused")
    assert problem["errors"] == [{"code": "E901", "field": "station"}]


# ---- the control door and the page
def test_the_control_door_needs_its_token(province: Province) -> None:
    with httpx.Client(base_url=str(province.control.base_url), trust_env=False) as stranger:
        for method, path in (
            ("GET", "/control/ledger"),
            ("GET", "/control/calls"),
            ("GET", "/control/faults"),
            ("POST", "/control/faults"),
            ("POST", "/control/population"),
        ):
            assert stranger.request(method, path, json={}).status_code == 401, path
        reply = stranger.get("/ledger", headers={"Host": "ledger.example"})
        assert reply.status_code == 400, "a rebound name must not read the ledger"


def test_the_control_door_is_not_on_the_provinces_listener(call: Caller) -> None:
    for path in ("/control/ledger", "/ledger", "/control/faults", "/docs", "/openapi.json"):
        refused(call("GET", path), 404, "not_found")


def test_orders_are_listed_used_up_and_cleared(province: Province, call: Caller) -> None:
    made = province.order("html_503", times=2, method="GET")
    first = call("GET", "/codes/sex")
    assert first.status_code == 503
    assert first.headers["content-type"].startswith("text/html")
    listed = province.control.get("/control/faults").json()["faults"]
    assert [(f["id"], f["left"], f["struck"]) for f in listed] == [(made["id"], 1, 1)]
    province.clear()
    assert call("GET", "/codes/sex").status_code == 200
    bad = province.control.post("/control/faults", json={"kind": "earthquake"})
    assert bad.status_code == 422


def test_the_ledger_masks_people_and_says_that_it_is_a_mock(province: Province, call: Caller) -> None:
    body = registration(name="欧阳试样")
    put(call, body)
    page = httpx.get(f"{province.control.base_url}/ledger", trust_env=False)
    document = province.control.get("/control/ledger").text
    for text in (page.text, document):
        assert str(body["document_number"]) not in text
        assert "欧阳试样" not in text
        assert str(body["phone"]) not in text
        assert str(body["client_no"]) in text
    assert "模拟系统" in page.text
    assert "not a government system" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_name_cannot_become_markup(province: Province, call: Caller) -> None:
    body = registration()
    put(call, body)
    place = {"address_id": body["address_id"], "station": body["station"]}
    evil = {**place, "address": "<script>alert(1)</script>"}
    province.control.post("/control/premises", json={"premises": [evil]}).raise_for_status()
    page = httpx.get(f"{province.control.base_url}/ledger", trust_env=False).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_its_secrets_are_its_own(province: Province) -> None:
    for name in ("province_receipt.pem", "province_retired.pem", "control.token"):
        mode = stat.S_IMODE((province.data / name).stat().st_mode)
        assert mode == 0o600, name
    assert stat.S_IMODE(province.data.stat().st_mode) == 0o700
