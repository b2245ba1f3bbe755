"""Role api: HTTP. It signs nothing, opens nothing, and reads no identity number back."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from lockserver.db.changes import PostgresChanges
from lockserver.db.connection import Pool
from lockserver.db.requests import PostgresRequests
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.domain.ids import new_id
from lockserver.keys.keyring import load_api
from lockserver.run.sms import FileSms
from lockserver.run.world import SystemClock, system_random
from lockserver.settings import SettingsError
from mobile_api.app import create_app
from mobile_api.serve import PortTakenError, listen, serving
from mobile_api.services import Services

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from lockserver.settings import Settings


async def run(settings: Settings, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises SettingsError: no SMS provider, or the port is taken."""
    if settings.sms_file is None:
        raise SettingsError("LOCKSERVER_SMS_FILE: no SMS provider is configured; name a file for the demo")
    keys = load_api(settings.role_keys)
    try:
        listener = listen(settings.http_host, settings.http_port)
    except PortTakenError as taken:
        raise SettingsError(f"LOCKSERVER_HTTP_PORT: {taken}") from None
    url = settings.database_url.get_secret_value()
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        pool = Pool(url, size=settings.database_pool, application="lockserver-api")
        stack.push_async_callback(pool.close)
        changes = await stack.enter_async_context(
            PostgresChanges(url, "answers", "command_settled", "registration_changed", "case_changed")
        )
        services = Services(
            transactions=PostgresTransactions(pool),
            requests=PostgresRequests(pool, changes, lambda: new_id(clock, system_random)),
            changes=changes,
            clock=clock,
            random=system_random,
            sms=FileSms(settings.sms_file),
            phone_index=keys.phone_index,
            public_url=settings.public_url,
        )
        await stack.enter_async_context(serving(create_app(services), listener))
        ready()
        await stop.wait()
