"""Role relay: delivers the outbox to the province, and listens for its callbacks on an address of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lockserver.db.changes import PostgresChanges
from lockserver.db.connection import Pool
from lockserver.db.outbox import PostgresOutbox
from lockserver.domain.errors import SealBrokenError
from lockserver.domain.ids import new_id
from lockserver.keys.keyring import load_relay
from lockserver.protocol.sealed import Box, box_info
from lockserver.run.world import SystemClock, system_random
from mobile_api.serve import listen, serving
from police_sync.relay.callback import callback_app
from police_sync.relay.client import ProvinceClient, province_http
from police_sync.relay.deliver import Delivery
from police_sync.relay.loop import Relay, RelaySettings
from police_sync.relay.policy import BackOff
from police_sync.relay.ports import CannotOpenError
from police_sync.relay.receipts import PinnedKeys
from police_sync.relay.signing import Es256Signer, key_id_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from lockserver.app.ports import Opener
    from lockserver.keys.keyring import RelayKeys
    from lockserver.settings import Settings
    from police_sync.relay.ports import Claimed


class RecordOpener:
    """Opens an outbox entry, which is sealed to the relay and to its own client number."""

    def __init__(self, key: Opener) -> None:
        self._key = key

    def open(self, claim: Claimed) -> bytes:
        """The body. Raises CannotOpenError."""
        try:
            return self._key.open(claim.sealed, box_info(Box.RECORD, claim.client_no.encode()))
        except SealBrokenError:
            raise CannotOpenError(claim.client_no) from None


async def run(settings: Settings, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises KeyFileError, OSError if the callback's port is taken."""
    keys = load_relay(settings.role_keys)
    pins = PinnedKeys.from_json(keys.province_receipts)
    url = settings.database_url.get_secret_value()
    pool = Pool(url, size=settings.database_pool, application="lockserver-relay")
    clock = SystemClock()
    try:
        relaying = RelaySettings(worker=f"{socket.gethostname()}-{os.getpid()}")
        async with (
            PostgresChanges(url, "outbox") as changes,
            _province(settings, keys, clock, relaying.concurrency) as province,
        ):
            outbox = PostgresOutbox(pool, changes, lambda: new_id(clock, system_random))
            delivery = Delivery(
                outbox=outbox,
                opener=RecordOpener(keys.opening),
                province=province,
                pins=pins,
                clock=clock,
                jitter=secrets.SystemRandom().random,
                back_off=BackOff(),
            )
            relay = Relay(delivery, relaying)
            listener = listen(settings.callback_host, settings.callback_port)
            async with serving(callback_app(outbox, pins, clock), listener):
                ready()
                await relay.run(stop)
    finally:
        await pool.close()


@asynccontextmanager
async def _province(
    settings: Settings, keys: RelayKeys, clock: SystemClock, connections: int
) -> AsyncIterator[ProvinceClient]:
    signer = Es256Signer(keys.client, key_id_of("c-", keys.client.public_key()))
    trust = ssl.create_default_context(cafile=settings.province_ca)
    async with province_http(settings.province_url, connections=connections, tls=trust) as http:
        yield ProvinceClient(http, signer, clock)
