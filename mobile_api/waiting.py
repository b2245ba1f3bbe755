"""Long polls: hold an answer until a row changed, bounded, and never past the server's stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Query

from lockserver.app.ports import Channel
from mobile_api.services import Services

WAIT_MAX_S = 25
"""Below the 30 s after which phones and proxies give up on a silent connection."""
LOOK_AGAIN_S = 2.0
"""A notification may be lost: look at the row this often anyway."""

Wait = Annotated[
    int,
    Query(ge=0, le=WAIT_MAX_S, description="Seconds to hold the answer until something changed."),
]
View = TypeVar("View")


async def wait_until(
    services: Services,
    channel: Channel,
    payload: str,
    seconds: int,
    look: Callable[[], Awaitable[View]],
    settled: Callable[[View], bool],
) -> View:
    """Return the view as soon as it is settled, or as it is after `seconds` or at the stop."""
    if not seconds:
        return await look()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    stopped = asyncio.create_task(services.stopping.wait())
    try:
        async with services.changes.watch(channel, payload) as watch:
            while True:
                view = await look()
                left = deadline - loop.time()
                if left <= 0 or stopped.done() or settled(view):
                    return view
                heard = asyncio.create_task(_ignore(watch.next(min(left, LOOK_AGAIN_S))))
                await asyncio.wait({heard, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not heard.done():
                    heard.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await heard
    finally:
        stopped.cancel()


async def _ignore(hint: Awaitable[object]) -> None:
    await hint
