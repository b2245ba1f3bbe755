"""The roles of the authority: for each, the module that puts its parts together and runs it.

A role's module has `async def run(settings, ready, stop)`: it builds what the role needs from `settings`, calls
`ready` once it serves, and returns soon after `stop` is set, with everything it opened closed again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import cast

from lockserver.settings import Role, Settings

Ready = Callable[[], None]
RoleMain = Callable[[Settings, Ready, asyncio.Event], Awaitable[None]]

ROLES: dict[Role, str] = {
    Role.API: "lockserver.run.roles.api",
    Role.ISSUER: "lockserver.run.roles.issuer",
    Role.VERIFY: "lockserver.run.roles.verify",
    Role.BRIDGE: "lockserver.run.roles.bridge",
    Role.RELAY: "lockserver.run.roles.relay",
    Role.JOBS: "lockserver.run.roles.jobs",
}


def find(role: Role) -> RoleMain:
    """The coroutine function that is this role. Imports only what that role needs."""
    return cast("RoleMain", import_module(ROLES[role]).run)
