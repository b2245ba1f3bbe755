"""The app's door: builds the FastAPI application from services that the caller composed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lockserver.domain.errors import DomainError
from mobile_api import docs, openapi, problems, routes
from mobile_api.envelope import Envelope
from mobile_api.services import Services

_log = structlog.get_logger("mobile_api")

_BY_STATUS = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.UNAUTHORIZED: "session_invalid",
    HTTPStatus.FORBIDDEN: "not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "media_type",
    HTTPStatus.BAD_REQUEST: "invalid_request",
}


def create_app(services: Services) -> FastAPI:
    """Return the application; it opens what `services.lifespan` opens and closes it on stop."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with services.lifespan():
            yield

    app = FastAPI(
        title="lockserver",
        version="1",
        summary="Keys, leases and residence registrations of rented rooms.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own page asks a CDN
        redoc_url=None,
        openapi_url="/openapi.json",
        # Its log records carry exception messages, which may quote what a person sent (L-31).
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.add_exception_handler(DomainError, _refused)
    app.add_exception_handler(RequestValidationError, _misshapen)
    app.add_exception_handler(HTTPException, _http)
    for router in routes.routers():
        app.include_router(router, prefix="/v1")
    openapi.describe(app)
    docs.mount(app)
    app.add_middleware(Envelope)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)  # noqa: S101 - the registration above says so
    if error.code not in problems.STATUS:
        _log.error("http.code_without_row", code=error.code)
    return problems.response(error.code, error.detail)


async def _misshapen(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # Where and which rule; never the input, which may be a person's (L-31).
    faults = [
        {"where": ".".join(str(part) for part in fault["loc"]), "rule": fault["type"]}
        for fault in error.errors()
    ]
    return problems.response("invalid_request", {"faults": faults})


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = _BY_STATUS.get(HTTPStatus(error.status_code), "internal")
    return problems.response(code, None, error.headers)
