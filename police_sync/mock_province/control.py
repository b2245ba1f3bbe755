"""The control door: bound to loopback, behind a token of its own. Plus the ledger page, masked.

What comes in here is what a real province simply has (its population, its addresses, its clients),
what tests ask of it (faults, delays), and what an auditor reads (the ledger, the calls).
"""

import secrets
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from police_sync.mock_province.desk import Desk
from police_sync.mock_province.faults import ArmedFault, FaultOrder, FaultPlan
from police_sync.mock_province.keys import load_client
from police_sync.mock_province.ledger import ledger_document, ledger_page


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Person(_Form):
    """One person of the synthetic population."""

    name: str = Field(min_length=1, max_length=100)
    document_type: str = "111"
    document_number: str = Field(pattern=r"^[0-9A-Z]{5,20}$")
    valid_to: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")


class Population(_Form):
    """People to add or replace."""

    people: list[Person] = Field(max_length=10_000)


class Place(_Form):
    """One standard address."""

    address_id: str = Field(pattern=r"^[0-9A-Za-z-]{4,64}$")
    station: str = Field(pattern=r"^[0-9]{12}$")
    address: str = Field(default="", max_length=200)
    capacity: int = Field(default=4, ge=1, le=1000)


class Premises(_Form):
    """Addresses to add or replace."""

    premises: list[Place] = Field(max_length=10_000)


class Client(_Form):
    """A client's public key, PEM."""

    public_key: str
    key_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z._-]{4,64}$")


class Settings(_Form):
    """What may be turned while running; what is left out stays."""

    check_delay_s: float | None = Field(default=None, ge=0, le=86_400)
    callback_url: str | None = None
    callback_copies: int | None = Field(default=None, ge=1, le=10)


def _shown(fault: ArmedFault) -> dict[str, Any]:
    return {
        "id": fault.fault_id,
        "left": fault.left,
        "struck": fault.struck,
        **fault.order.model_dump(),
    }


def control_app(desk: Desk, plan: FaultPlan, token: str) -> FastAPI:
    """The control door and the ledger page."""
    app = FastAPI(title="模拟省平台 · 控制门", docs_url=None, redoc_url=None, openapi_url=None)
    # A page elsewhere must not read the ledger through a rebound name.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])

    async def with_token(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "control token")

    guard = [Depends(with_token)]

    @app.post("/control/population", dependencies=guard)
    async def population(form: Population) -> dict[str, int]:
        with desk.store.transaction():
            desk.store.put_people(person.model_dump() for person in form.people)
        return desk.store.counts()

    @app.post("/control/premises", dependencies=guard)
    async def premises(form: Premises) -> dict[str, int]:
        with desk.store.transaction():
            desk.store.put_premises(place.model_dump() for place in form.premises)
        return desk.store.counts()

    @app.post("/control/clients", dependencies=guard)
    async def clients(form: Client) -> dict[str, str]:
        try:
            key_id, point = load_client(form.public_key.encode())
        except ValueError:
            raise HTTPException(422, "public_key: a P-256 public key in PEM is needed") from None
        desk.store.put_client(form.key_id or key_id, point)
        return {"key_id": form.key_id or key_id}

    @app.put("/control/settings", dependencies=guard)
    async def settings(form: Settings) -> dict[str, Any]:
        for name, value in form.model_dump(exclude_unset=True).items():
            setattr(desk.settings, name, value)
        current = desk.settings
        return {
            "check_delay_s": current.check_delay_s,
            "callback_url": current.callback_url,
            "callback_copies": current.callback_copies,
        }

    _fault_routes(app, plan, guard)
    _reading_routes(app, desk, guard)
    return app


def _fault_routes(app: FastAPI, plan: FaultPlan, guard: list[Any]) -> None:
    @app.post("/control/faults", dependencies=guard, status_code=201)
    async def order_fault(order: FaultOrder) -> dict[str, Any]:
        return _shown(plan.order(order))

    @app.get("/control/faults", dependencies=guard)
    async def list_faults() -> dict[str, Any]:
        return {"faults": [_shown(fault) for fault in plan.armed]}

    @app.delete("/control/faults", dependencies=guard)
    async def clear_faults() -> dict[str, int]:
        return {"cleared": plan.clear()}

    @app.delete("/control/faults/{fault_id}", dependencies=guard)
    async def clear_fault(fault_id: int) -> dict[str, int]:
        return {"cleared": plan.clear(fault_id)}


def _reading_routes(app: FastAPI, desk: Desk, guard: list[Any]) -> None:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    @app.get("/control/ledger", dependencies=guard)
    async def ledger(client_no: str | None = None) -> dict[str, Any]:
        return ledger_document(desk, client_no)

    @app.get("/control/calls", dependencies=guard)
    async def calls(client_no: str | None = None, limit: int = 1000) -> dict[str, Any]:
        return {"calls": desk.store.calls(client_no, min(limit, 100_000))}

    @app.get("/ledger")
    async def page(_: Request) -> HTMLResponse:
        html = templates.get_template("ledger.html").render(ledger_page(desk))
        return HTMLResponse(
            html,
            headers={
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
                "Cache-Control": "no-store",
                "Referrer-Policy": "no-referrer",
            },
        )

    @app.get("/")
    async def front() -> Response:
        return RedirectResponse("/ledger")

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}
