"""The rows themselves, who holds them, and who hears of what was committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lockserver.domain.times import Clock
from tests.sim.memory.pausing import Wait
from tests.sim.memory.schema import TABLES, Key, Laws, Row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lockserver.app import ports
    from lockserver.app.ports import Channel
    from tests.sim.memory.transaction import Transaction

_TICK: Final = timedelta(microseconds=1)


class Table:
    """Committed rows by key, and by the columns that are looked for."""

    def __init__(self, laws: Laws) -> None:
        self.laws = laws
        self.rows: dict[Key, Row] = {}
        self._index: dict[str, dict[Any, dict[Key, None]]] = {name: {} for name in laws.indexed}

    def put(self, key: Key, row: Row | None) -> None:
        """Write a row, or take it away."""
        before = self.rows.pop(key, None)
        if before is not None and row is not None and all(before[n] == row[n] for n in self._index):
            self.rows[key] = row
            return
        if before is not None:
            for name, index in self._index.items():
                del index[before[name]][key]
        if row is not None:
            self.rows[key] = row
            for name, index in self._index.items():
                index.setdefault(row[name], {})[key] = None

    def find(self, equal: dict[str, Any]) -> Iterator[tuple[Key, Row]]:
        """Yield the rows with these values, through an index where there is one."""
        name = next((name for name in equal if name in self._index), None)
        found = list(self.rows if name is None else self._index[name].get(equal[name], ()))
        for key in found:
            row = self.rows[key]
            if all(row[column] == value for column, value in equal.items()):
                yield key, row


async def _nothing(_name: str) -> None:
    """Nobody stands at the boundary."""


class MemoryStore:
    """Everything that is kept. One of them is one database; machines that die do not take it along."""

    def __init__(
        self, clock: Clock | None = None, boundary: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        self.clock = clock
        self.boundary: Callable[[str], Awaitable[None]] = boundary or _nothing
        """Awaited before every effect, with its name; may raise CrashError, or give way."""
        self.tables = {name: Table(laws) for name, laws in TABLES.items()}
        self.open: dict[int, Transaction] = {}
        self.holders: dict[tuple[str, Key], dict[int, int]] = {}
        """(table, key) → transaction → mode of the row lock that it has."""
        self.heard: list[tuple[str, str]] = []
        """Every notice that was ever delivered: channel and payload, in order."""
        self.drawn = 0
        self._watches: list[MemoryWatch] = []
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the clock's instant, or one just after the last: transactions never begin together."""
        at = datetime.now(UTC) if self.clock is None else self.clock.now()
        self._last = max(at, self._last + _TICK)
        return self._last

    def draw(self) -> int:
        """Return the next transaction's number."""
        self.drawn += 1
        return self.drawn

    def deliver(self, notices: list[tuple[Channel, str]]) -> None:
        """Wake who listens; within one transaction the same notice counts once."""
        for channel, payload in dict.fromkeys(notices):
            self.heard.append((channel, payload))
            for watch in tuple(self._watches):
                watch.offer(channel, payload)

    # ---- for who looks from outside: laws, tests, set-up

    def rows(self, table: str, **equal: Any) -> list[dict[str, Any]]:
        """Return committed rows with these values, as copies; columns by their keys (`class_`, `object_`)."""
        return [dict(row) for _, row in self.tables[table].find(equal)]

    def force(self, table: str, where: dict[str, Any] | None = None, **changes: Any) -> int:
        """Change committed rows as a superuser who switched the triggers off; how many there were."""
        laws, kept = TABLES[table], self.tables[table]
        touched = list(kept.find(where or {}))
        for key, row in touched:
            changed = laws.stored({**row, **changes})
            laws.check(changed)
            kept.put(key, changed)
        return len(touched)

    def plant(self, table: str, **values: Any) -> None:
        """Insert a row as a superuser who switched the triggers off (references too)."""
        laws = TABLES[table]
        row = laws.filled(values, self.now(), self.now)
        laws.check(row)
        self.tables[table].put(laws.key_of(row), row)

    @asynccontextmanager
    async def watch(self, channel: Channel, payload: str | None = None) -> AsyncIterator[MemoryWatch]:
        """Listen while the context is open (the port `Changes`)."""
        with self.listening(channel, payload) as watch:
            yield watch

    @contextmanager
    def listening(self, *channels: str | None) -> Iterator[MemoryWatch]:
        """Listen to (channel, payload or None): what `watch` does, without a coroutine."""
        channel, payload = (*channels, None)[:2]
        watch = MemoryWatch(self, str(channel), payload)
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    def deafen(self) -> None:
        """Let every watcher miss what it did not take yet, and look anew: the connection broke."""
        for watch in self._watches:
            watch.lose()


class MemoryWatch:
    """One listener's queue; it waits by the store's clock."""

    def __init__(self, store: MemoryStore, channel: str, payload: str | None) -> None:
        self._store = store
        self._channel = channel
        self._payload = payload
        self._queue: deque[str | None] = deque()

    def offer(self, channel: str, payload: str) -> None:
        """Take a notice that concerns it."""
        if channel == self._channel and self._payload in (None, payload):
            self._queue.append(payload)

    def lose(self) -> None:
        """Forget what came, and look anew."""
        self._queue.clear()
        self._queue.append(None)

    async def next(self, within: float) -> str | None:
        """Return the next payload, or None after `within` seconds of the store's clock, or a loss."""
        clock = self._store.clock
        until = None if clock is None else clock.now() + timedelta(seconds=within)

        def over() -> bool:
            return clock is None or until is None or clock.now() >= until

        while not self._queue and not over():
            await Wait(lambda: bool(self._queue) or over(), f"a notice on {self._channel}", until)
        return self._queue.popleft() if self._queue else None


if TYPE_CHECKING:

    def _hears(store: MemoryStore) -> ports.Changes:
        return store
