"""One file per noun; `routers` lists them all, in the order of the documentation."""

from collections.abc import Sequence

from fastapi import APIRouter


def routers() -> Sequence[APIRouter]:
    """Return every noun's routes."""
    from mobile_api.routes import (
        attempts,
        cases,
        commands,
        entries,
        gateways,
        grants,
        health,
        houses,
        keys,
        lock_health,
        lock_offers,
        locks,
        login,
        phones,
        pins,
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
        gateways.router,
        lock_offers.router,
        pins.router,
        lock_health.router,
        commands.router,
        sync.router,
        tenancies.router,
        grants.router,
        entries.router,
        cases.router,
        registrations.router,
        keys.router,
        health.router,
    )
