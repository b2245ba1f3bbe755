"""The province's calls over HTTP, as the contract describes them."""

import re
from datetime import date
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from police_sync.mock_province import canonical, rulebook
from police_sync.mock_province.canonical import BadJsonError
from police_sync.mock_province.desk import Desk, Refusal
from police_sync.mock_province.faults import Answer, FaultPlan, problem_answer
from police_sync.mock_province.gate import Application, FaultGate
from police_sync.mock_province.keys import call_text, signature_holds

BODY_LIMIT = 256 * 1024  # bytes
SKEW_S = 300
_FORMS = {
    "register": "registration",
    "change": "change",
    "departure": "departure",
    "withdrawal": "withdrawal",
}
_CLIENT_NO = re.compile(r"[0-9A-Za-z-]{16,64}")
_NONCE = re.compile(r"[0-9a-f]{32}")
_STATION = re.compile(r"[0-9]{12}")


def _response(answer: Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, answer.status, headers)


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(canonical.dump(document), status, media_type="application/json")


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise Refusal(413, "too_large")
    return bytes(body)


def _admit(request: Request, body: bytes, desk: Desk) -> None:
    """Let a signed, fresh call in.

    Raises:
        Refusal: 401 with the reason.

    """
    header = request.headers
    key_id, nonce = header.get("police-key-id", ""), header.get("police-nonce", "")
    timestamp = header.get("police-timestamp", "")
    now = desk.now().timestamp()
    point = desk.store.client(key_id)
    if point is None:
        raise Refusal(401, "unknown_key")
    if not re.fullmatch(r"[0-9]{1,11}", timestamp) or abs(now - int(timestamp)) > SKEW_S:
        raise Refusal(401, "stale_timestamp")
    raw_path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    query = request.scope["query_string"].decode("latin-1")
    target = f"{raw_path}?{query}" if query else raw_path
    message = call_text("request", request.method, target, body, timestamp, nonce)
    signature = header.get("police-signature", "")
    if not _NONCE.fullmatch(nonce) or not signature_holds(point, signature, message):
        raise Refusal(401, "bad_signature")
    if not desk.store.nonce_is_new(key_id, nonce, now, 2 * SKEW_S):
        raise Refusal(401, "replayed_nonce")


def _read_filing(kind: str, client_no: str, request: Request, body: bytes) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refusal(415, "unsupported_media_type")
    try:
        document = canonical.load(body)
    except BadJsonError:
        raise Refusal(400, "malformed") from None
    if names := rulebook.fields_at_fault(_FORMS[kind], document):
        raise Refusal(422, "fields_refused", [{"code": "E901", "field": n} for n in names[:64]])
    if document["client_no"] != client_no:
        raise Refusal(400, "malformed")
    return document


def province_app(desk: Desk, plan: FaultPlan) -> Application:
    """The province: its calls inside the fault gate."""
    app = FastAPI(title="模拟省平台", openapi_url=None, docs_url=None, redoc_url=None)

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Exception) -> Response:
        if not isinstance(refusal, Refusal):  # the handler's type is wider than its use
            raise refusal
        return _response(problem_answer(refusal.status, refusal.code, refusal.errors))

    @app.exception_handler(HTTPException)
    async def no_such_call(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return _response(problem_answer(status, "not_found"))

    async def take(kind: str, client_no: str, request: Request) -> Response:
        body = await _body_of(request)
        _admit(request, body, desk)
        if not _CLIENT_NO.fullmatch(client_no):
            raise Refusal(400, "malformed")
        new, receipt = desk.file(kind, client_no, _read_filing(kind, client_no, request, body))
        return _json(receipt, 201 if new else 200)

    @app.put("/registrations/{client_no}")
    async def register(client_no: str, request: Request) -> Response:
        return await take("register", client_no, request)

    @app.post("/registrations/{client_no}/changes")
    async def change(client_no: str, request: Request) -> Response:
        return await take("change", client_no, request)

    @app.post("/registrations/{client_no}/departure")
    async def departure(client_no: str, request: Request) -> Response:
        return await take("departure", client_no, request)

    @app.post("/registrations/{client_no}/withdrawal")
    async def withdrawal(client_no: str, request: Request) -> Response:
        return await take("withdrawal", client_no, request)

    @app.get("/registrations/{client_no}")
    async def state(client_no: str, request: Request) -> Response:
        _admit(request, await _body_of(request), desk)
        return _json(desk.state(client_no))

    _reading_calls(app, desk)
    return FaultGate(app, desk, plan, desk.ring)


def _reading_calls(app: FastAPI, desk: Desk) -> None:
    @app.get("/receipts/{number}")
    async def receipt(number: str, request: Request) -> Response:
        _admit(request, await _body_of(request), desk)
        return _json(desk.document("receipt", number))

    @app.get("/vouchers/{number}")
    async def voucher(number: str, request: Request) -> Response:
        _admit(request, await _body_of(request), desk)
        return _json(desk.document("voucher", number))

    @app.get("/codes/{table}")
    async def codes(table: str, request: Request, version: str | None = None) -> Response:
        _admit(request, await _body_of(request), desk)
        found = rulebook.code_tables().get(table)
        if found is None or version not in {None, found["version"]}:
            raise Refusal(404, "unknown_table")
        return _json(found)

    @app.get("/digest")
    async def digest(request: Request, station: str = "", since: str = "") -> Response:
        _admit(request, await _body_of(request), desk)
        try:
            first_day = date.fromisoformat(since)
        except ValueError:
            raise Refusal(400, "malformed") from None
        if not _STATION.fullmatch(station):
            raise Refusal(400, "malformed")
        return _json(desk.digest(station, first_day))
