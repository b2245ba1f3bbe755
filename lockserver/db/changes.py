"""LISTEN: one connection per process hears its channels and hands payloads to whoever watches.

A process listens to what it was made to watch, and to nothing else: every notice wakes a server
process and ours, and a remote unlock sends two.

A notification is a hint. One may be lost (the connection breaks), so every watcher is woken after
a reconnection, and whoever waits looks again now and then by himself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, get_args

import psycopg
import structlog
from psycopg import sql

from lockserver.app.ports.asking import Channel

if TYPE_CHECKING:
    from types import TracebackType

    from lockserver.app import ports

log = structlog.get_logger(__name__)

QUEUE_LIMIT = 1024
"""Hints kept for one watcher; beyond it the oldest go, since any hint says "look"."""
RECONNECT_S = 0.5
KEEPALIVES: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""A dead peer is noticed within half a minute; until then the slow polls carry on."""


class QueueWatch:
    """One watcher's queue."""

    def __init__(self, payload: str | None) -> None:
        self.payload = payload
        self._hints: asyncio.Queue[str | None] = asyncio.Queue()

    def offer(self, payload: str | None) -> None:
        """Take a hint; None concerns everybody."""
        if payload is not None and self.payload is not None and payload != self.payload:
            return
        if self._hints.qsize() >= QUEUE_LIMIT:
            self._hints.get_nowait()
        self._hints.put_nowait(payload)

    async def next(self, within: float) -> str | None:
        """Return the next payload, or None after `within` seconds or a reconnection."""
        if not self._hints.empty():
            return self._hints.get_nowait()
        try:
            async with asyncio.timeout(within):
                return await self._hints.get()
        except TimeoutError:
            return None


class PostgresChanges:
    """Listens while its context is open: `async with PostgresChanges(url) as changes:`.

    `channels`: those that will be watched; every one where none is named.
    """

    def __init__(self, url: str, *channels: Channel) -> None:
        self._url = url
        self._channels: tuple[Channel, ...] = channels or get_args(Channel)
        self._watchers: dict[str, set[QueueWatch]] = {}
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start listening; returns once the first LISTEN is in force."""
        self._task = asyncio.create_task(self._listen(), name="changes")
        ready = asyncio.create_task(self._listening.wait())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():  # the task ended: its exception says why
            ready.cancel()
            await self._task
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @asynccontextmanager
    async def watch(self, channel: Channel, payload: str | None = None) -> AsyncIterator[QueueWatch]:
        """Listen while the context is open; only to this payload, where one is given.

        Raises ValueError for a channel that this process does not hear.
        """
        if channel not in self._channels:
            raise ValueError(f"not listening to {channel}")
        watcher = QueueWatch(payload)
        watchers = self._watchers.setdefault(channel, set())
        watchers.add(watcher)
        try:
            yield watcher
        finally:
            watchers.discard(watcher)

    async def _listen(self) -> None:
        first = True
        while True:
            try:
                await self._session()
            except psycopg.OperationalError as fault:
                if first and not self._listening.is_set():
                    raise
                log.warning("changes.lost", error=type(fault).__name__)
            first = False
            await asyncio.sleep(RECONNECT_S)

    async def _session(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, application_name="lockserver-changes", **KEEPALIVES
        )
        async with connection:
            connection.add_notify_handler(self._heard)
            for channel in self._channels:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self._wake_all()
            self._listening.set()
            await _notices(connection)

    def _heard(self, notice: psycopg.Notify) -> None:
        for watcher in tuple(self._watchers.get(notice.channel, ())):
            watcher.offer(notice.payload)

    def _wake_all(self) -> None:
        """After a gap anything may have happened: everybody looks."""
        for watchers in self._watchers.values():
            for watcher in tuple(watchers):
                watcher.offer(None)


async def _notices(connection: psycopg.AsyncConnection[Any]) -> None:
    """Hand notices over as they come, until the connection breaks.

    psycopg's own `notifies()` looks ten times a second whether something came; here only the socket
    wakes us. Raises psycopg.OperationalError.
    """
    loop = asyncio.get_running_loop()
    native = connection.pgconn
    broken: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        try:
            native.consume_input()
            while (notice := native.notifies()) is not None:
                if native.notify_handler is not None:
                    native.notify_handler(notice)
        except psycopg.Error as fault:
            if not broken.done():
                broken.set_exception(fault)

    number = native.socket
    loop.add_reader(number, readable)
    try:
        readable()  # what came along with the answers to LISTEN
        await broken
    finally:
        loop.remove_reader(number)


if TYPE_CHECKING:

    def _holds(changes: PostgresChanges) -> ports.Changes:
        return changes
