"""One file per noun; `routers` lists them all, in the order of the documentation."""

from collections.abc import Sequence

from fastapi import APIRouter


def routers() -> Sequence[APIRouter]:
    """Return every noun's routes."""
    from mobile_api.routes import (
        attempts,
        cases,
        commands,
        health,
        houses,
        keys,
        locks,
        login,
        phones,
        registrations,
        sync,
        tenancies,
    )

    return (
        login.router,
        phones.router,
        houses.router,
        locks.router,
        attempts.router,
        commands.router,
        sync.router,
        tenancies.router,
        cases.router,
        registrations.router,
        keys.router,
        health.router,
    )
