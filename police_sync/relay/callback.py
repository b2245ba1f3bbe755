"""The listener for the province's callbacks: a small application of its own, on an address of its own.

It takes one call. Repeats and late arrivals are harmless: a state document carries `seq`, and an
older one changes nothing, so no nonce is remembered here.
"""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from police_sync.relay import contract
from police_sync.relay.filing import NotJsonError, parse
from police_sync.relay.ports import Clock, Outbox
from police_sync.relay.receipts import CLOCK_SKEW, Forged, PinnedKeys
from police_sync.relay.signing import call_message
from police_sync.relay.verdicts import NotOurs, keep

BODY_LIMIT = 1024 * 1024  # bytes, as for a state document that we ask for


def _problem(status: int, code: str) -> Response:
    return JSONResponse(
        {"title": code.replace("_", " "), "status": status, "code": code},
        status_code=status,
        media_type="application/problem+json",
    )


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > BODY_LIMIT:
            return None
        body += chunk
    return bytes(body)


def _call_fault(request: Request, body: bytes, pins: PinnedKeys, clock: Clock) -> str | None:
    """None when the call itself is the province's and fresh, else the problem's code."""
    headers = request.headers
    timestamp, nonce = headers.get("police-timestamp", ""), headers.get("police-nonce", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= len("99999999999")):
        return "stale_timestamp"
    now = clock.now()
    if abs(int(timestamp) - now.timestamp()) > CLOCK_SKEW.total_seconds():
        return "stale_timestamp"
    query = request.scope.get("query_string", b"").decode("latin-1")
    path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
    target = f"{path}?{query}" if query else path
    message = call_message("callback", request.method, target, body, timestamp, nonce)
    key_id, signature = headers.get("police-key-id", ""), headers.get("police-signature", "")
    reason = pins.check(key_id, signature, message, now)
    if reason is None:
        return None
    return "unknown_key" if reason.startswith("key_") else "bad_signature"


def callback_app(outbox: Outbox, pins: PinnedKeys, clock: Clock, *, path: str = "/callback") -> FastAPI:
    """The application that listens for callbacks at `path`; answers 204 when it kept the news."""
    app = FastAPI(title="Province callbacks", openapi_url=None, docs_url=None, redoc_url=None)

    @app.post(path)
    async def callback(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return _problem(413, "too_large")
        if fault := _call_fault(request, body, pins, clock):
            return _problem(401, fault)
        try:
            document = parse(body)
        except NotJsonError:
            return _problem(400, "malformed")
        if contract.faults("state", document):
            return _problem(400, "malformed")
        client_no = document["client_no"]
        kept = await keep(document, client_no=client_no, outbox=outbox, pins=pins, clock=clock)
        if isinstance(kept, NotOurs):
            return _problem(404, "unknown_client_no")
        if isinstance(kept, Forged):
            return _problem(401, "bad_signature")
        return Response(status_code=204)

    return app
