"""What every request and answer wears: request id, size cap, security headers, a last-resort 500."""

from __future__ import annotations

import re
import traceback
import uuid
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobile_api import problems

JSON_BODY_MAX = 64 * 1024  # the largest JSON we take is a sealed declaration, about 3 KiB
IMAGE_BODY_MAX = 8 * 1024 * 1024  # a phone's camera JPEG; architecture.md
_IMAGE_PATH = re.compile(r"^/v1/cases/[^/]+/images/[^/]+$")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), bluetooth=(self), geolocation=()"),
)
_API_CSP = b"default-src 'none'; frame-ancestors 'none'"
_DOCS_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_log = structlog.get_logger("mobile_api")


class BodyTooLargeError(HTTPException):
    """The body is, or grew while it was read, past the route's cap.

    An HTTPException, since FastAPI takes any other that ends the reading for misshapen JSON.
    """

    def __init__(self) -> None:
        super().__init__(status_code=413)


def body_cap(method: str, path: str) -> int:
    """Say how many bytes a body may have on this route."""
    if method == "PUT" and _IMAGE_PATH.match(path):
        return IMAGE_BODY_MAX
    return JSON_BODY_MAX


def _declared_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else -1
    return None


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            if _REQUEST_ID.match(text):
                return text
    return uuid.uuid4().hex  # names a log line, nothing else hangs on it


class Envelope:
    """ASGI middleware; pure ASGI because Starlette's BaseHTTPMiddleware costs a task a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = False
        cap = body_cap(scope["method"], scope["path"])
        taken = 0

        async def capped_receive() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > cap:
                raise BodyTooLargeError
            return message

        async def dressed_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = _dress(scope["path"], message, request_id)
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            declared = _declared_length(scope)
            if declared is not None and not 0 <= declared <= cap:
                raise BodyTooLargeError  # noqa: TRY301 - one place answers both ways of being too large
            await self._app(scope, capped_receive, dressed_send)
        except BodyTooLargeError:
            if started:
                raise
            answer = problems.response("body_too_large", {"max_bytes": cap}, {"Connection": "close"})
            await answer(scope, receive, dressed_send)
        except Exception as error:
            # Type and place only: its message may quote what a person sent (L-31).
            _log.error("http.broken", error=type(error).__name__, at=_place(error))
            if started:
                raise
            await problems.response("internal")(scope, receive, dressed_send)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")


def _place(error: Exception) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-6:]]


def _dress(path: str, message: MutableMapping[str, Any], request_id: str) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
    present = {name.lower() for name, _ in headers}
    headers.append((b"x-request-id", request_id.encode("latin-1")))
    headers.extend(pair for pair in _HEADERS if pair[0] not in present)
    csp = _DOCS_CSP if path.startswith("/docs") else _API_CSP
    headers.append((b"content-security-policy", csp))
    if b"cache-control" not in present:
        headers.append((b"cache-control", b"no-store"))
    return headers
