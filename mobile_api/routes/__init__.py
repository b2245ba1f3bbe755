"""One file per noun; `routers` lists them all, in the order of the documentation."""

from collections.abc import Sequence

from fastapi import APIRouter


def routers() -> Sequence[APIRouter]:
    """Return every noun's routes."""
    from mobile_api.routes import health

    return (health.router,)
