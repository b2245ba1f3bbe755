"""What the composition root hands to the application: ports, and nothing that holds a weighty secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from lockserver.app.ports import Changes, Clock, PhoneIndex, Random, Requests, Sms, Transactions
from mobile_api.limits import PHONE_CODE_TRIES, Limits


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


@dataclass(frozen=True, slots=True)
class Services:
    """Ports of the role `api`.

    `lifespan` opens what must live inside the serving event loop (pools, listeners). `stopping` is set
    when the server begins to stop: long polls end at once.
    """

    transactions: Transactions
    requests: Requests
    changes: Changes
    clock: Clock
    random: Random
    sms: Sms
    phone_index: PhoneIndex
    public_url: str = "http://127.0.0.1"
    limits: Limits = field(default_factory=Limits)
    code_limits: Limits = field(default_factory=lambda: Limits(tries=PHONE_CODE_TRIES))
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = _nothing
    asking: set[tuple[str, str]] = field(default_factory=set)
    """Requests that wait for another role just now, by caller and key."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
