"""The API of a whole installation, in processes of their own, as `App` wants a door."""

from __future__ import annotations

import json
import secrets

import httpx
import psycopg

from lockserver.db.connection import driver_url
from lockserver.run.installation import Installation
from lockserver.run.world import SystemClock
from lockserver.settings import Role
from tests.support.app_door import BY_BUTTON, App


class Served:
    """The API of an installation, as `App` wants a door."""

    def __init__(self, installation: Installation, http: httpx.AsyncClient) -> None:
        self.installation = installation
        self.http = http
        self.clock = SystemClock()
        self.sms = self

    @property
    def codes(self) -> dict[str, str]:
        lines = self.installation.sms_file.read_text("utf-8").splitlines()
        said = [json.loads(line) for line in lines]
        return {f"+86{one['phone']}": one["code"] for one in said}

    async def verify(self) -> None:
        """The role verify is at work by itself."""

    async def press_button(self, phone_id: str) -> None:
        """What a lock's button does to the phone that claims it, without a lock."""
        url = driver_url(self.installation.database_url(Role.MIGRATE))  # the tables' owner
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute(BY_BUTTON, (phone_id,))

    async def person(self) -> App:
        app = App(self, f"139{secrets.randbelow(10**8):08d}")  # type: ignore[arg-type]  # a door like it
        await app.log_in()
        return app
