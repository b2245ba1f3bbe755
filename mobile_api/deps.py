"""Dependencies that every route may ask for; all `async def`, so none costs a thread."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from mobile_api.services import Services


async def services_of(request: Request) -> Services:
    """Return what the application was built from."""
    services: Services = request.app.state.services
    return services


async def address_of(request: Request) -> str:
    """Return the peer's address; no forwarded header is believed."""
    return request.client.host if request.client else "unknown"


async def sent_of(request: Request) -> bytes:
    """Return the body as it was sent: a wish covers that, not our reading of it."""
    return await request.body()


Server = Annotated[Services, Depends(services_of)]
Address = Annotated[str, Depends(address_of)]
Sent = Annotated[bytes, Depends(sent_of)]
