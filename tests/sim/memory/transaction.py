"""One transaction: its own writes over what is committed, the rows it holds, and its one end.

READ COMMITTED, as PostgreSQL does it: every look sees what is committed by then and its own writes;
who writes a row holds it until his end, and the next one waits, then judges the row anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lockserver.domain.errors import ConflictError
from tests.sim.memory import triggers
from tests.sim.memory.pausing import DeadlockError, Wait
from tests.sim.memory.schema import TABLES, Key, Laws, Row, Unique

if TYPE_CHECKING:
    from lockserver.app.ports import Channel
    from tests.sim.memory.store import MemoryStore

KEY_SHARE: Final = 1
"""Somebody refers to the row."""
NO_KEY_UPDATE: Final = 2
"""Somebody writes it, or will; others may still refer to it."""
UPDATE: Final = 3
"""FOR UPDATE: nobody else may even refer to it."""
ADVISORY: Final = "advisory"
_NOBODY: Final = object()

_CLASH: Final = frozenset({(1, 3), (3, 1), (2, 2), (2, 3), (3, 2), (3, 3)})


class AbortedError(Exception):
    """A statement of this transaction was refused: it takes no other, and its end undoes it."""


class Transaction:
    """Everything between BEGIN and COMMIT. `role` is who writes, for the laws that ask."""

    def __init__(self, store: MemoryStore, role: str = "") -> None:
        self.store = store
        self.role = role
        self.id = store.draw()
        self.began = store.now()
        self.failed = False
        self.writes: dict[str, dict[Key, Row | None]] = {}
        self.notices: list[tuple[Channel, str]] = []
        self.waits_for: set[int] = set()
        self._held: set[tuple[str, Key]] = set()
        self._judged: dict[tuple[str, UUID], None] = {}
        store.open[self.id] = self

    # ---- looking

    def row(self, table: str, key: Key) -> Row | None:
        """Return a row as this transaction sees it now."""
        mine = self.writes.get(table)
        if mine is not None and key in mine:
            return mine[key]
        return self.store.tables[table].rows.get(key)

    def rows(self, table: str, **equal: Any) -> list[Row]:
        """Return the rows that have these values, as this transaction sees them now."""
        mine = self.writes.get(table)
        found = self.store.tables[table].find(equal)
        if not mine:
            return [row for _, row in found]
        seen = [row for key, row in found if key not in mine]
        own = [row for row in mine.values() if row is not None]
        return seen + [row for row in own if all(row[name] == value for name, value in equal.items())]

    # ---- holding

    async def hold(self, table: str, key: Key, mode: int = NO_KEY_UPDATE) -> None:
        """Hold a row until the end; wait for who holds it. Raises DeadlockError."""
        while rivals := self._rivals(table, key, mode):
            await self._outwait(rivals, f"{table} {key}")
        self._grip(table, key, mode)

    def tries(self, table: str, key: Key, mode: int = NO_KEY_UPDATE) -> bool:
        """Hold a row if nobody is in the way; tell whether it is held."""
        if self._rivals(table, key, mode):
            return False
        self._grip(table, key, mode)
        return True

    async def held_rows(
        self,
        table: str,
        rows: Iterable[Row],
        still: Callable[[Row], bool] = lambda _row: True,
        mode: int = NO_KEY_UPDATE,
    ) -> list[Row]:
        """Hold these rows in their order; return those that are `still` meant, as they are now."""
        laws, held = TABLES[table], []
        for seen in rows:
            key = laws.key_of(seen)
            await self.hold(table, key, mode)
            row = self.row(table, key)
            if row is not None and still(row):
                held.append(row)
        return held

    def _grip(self, table: str, key: Key, mode: int) -> None:
        modes = self.store.holders.setdefault((table, key), {})
        modes[self.id] = max(mode, modes.get(self.id, 0))
        self._held.add((table, key))

    def _rivals(self, table: str, key: Key, mode: int) -> set[int]:
        modes = self.store.holders.get((table, key))
        if not modes:
            return set()
        return {other for other, theirs in modes.items() if other != self.id and (theirs, mode) in _CLASH}

    async def _outwait(self, rivals: set[int], what: str) -> None:
        """Give way until one of these transactions has ended; a circle is a fault of the world."""
        self.waits_for = rivals
        try:
            self._refuse_circle(what)
            await Wait(
                lambda: not rivals <= self.store.open.keys(), f"transaction {self.id} waits for {what}"
            )
        finally:
            self.waits_for = set()

    def _refuse_circle(self, what: str) -> None:
        seen: set[int] = set()
        ahead = set(self.waits_for)
        while ahead:
            one = ahead.pop()
            if one == self.id:
                raise DeadlockError(f"transaction {self.id} waits in a circle for {what}")
            if one not in seen and one in self.store.open:
                seen.add(one)
                ahead |= self.store.open[one].waits_for

    # ---- writing

    async def insert(self, table: str, values: Row, *, or_nothing: bool | tuple[str, ...] = False) -> bool:
        """Write a new row; tell whether it was written.

        `or_nothing`: it is not, where a unique rule (that of these columns) is in the way.
        Raises ConflictError, IntegrityRefusedError.
        """
        laws = TABLES[table]
        row = laws.filled(values, self.began, self.store.now)
        for trigger in laws.before:
            trigger.judges(self, None, row)
        laws.check(row)
        key = laws.key_of(row)
        arbiters = [rule for rule in laws.unique if or_nothing is True or rule.columns == or_nothing]
        if arbiters and or_nothing and await self._taken(laws, _NOBODY, None, row, arbiters) is not None:
            return False
        taken = await self._taken(laws, _NOBODY, None, row, laws.unique)
        if taken is not None:
            raise ConflictError(rule=taken)
        self._put(table, key, row)
        await self._refer(laws, None, row)
        self._judge_later(table, row)
        return True

    async def upsert(self, table: str, values: Row, still: Callable[[Row], bool] = lambda _row: True) -> bool:
        """Write a row, new or over the one that has its key and is `still` meant; tell whether it was written."""
        laws = TABLES[table]
        key = laws.key_of(values)
        while not await self.insert(table, values, or_nothing=laws.key):
            if self.row(table, key) is not None:
                return await self.update(table, key, values, still) is not None
        return True

    async def update(
        self,
        table: str,
        key: Key,
        changes: Row | Callable[[Row], Row],
        still: Callable[[Row], bool] = lambda _row: True,
    ) -> Row | None:
        """Change a row that is `still` meant once it is held; the new row, or None.

        Raises ConflictError, IntegrityRefusedError.
        """
        seen = self.row(table, key)
        if seen is None or not still(seen):
            return None  # who is not meant is not held either
        await self.hold(table, key)
        before = self.row(table, key)
        if before is None or not still(before):
            return None
        laws = TABLES[table]
        changed = changes(before) if callable(changes) else changes
        row = laws.stored({**before, **changed})
        for trigger in laws.before:
            trigger.judges(self, before, row)
        laws.check(row)
        if any(before[n] != row[n] for rule in laws.unique if rule.where is None for n in rule.columns):
            await self.hold(table, key, UPDATE)
        taken = await self._taken(laws, key, before, row, laws.unique)
        if taken is not None:
            raise ConflictError(rule=taken)
        self._put(table, key, row)
        await self._refer(laws, before, row)
        self._judge_later(table, row)
        return row

    def notify(self, channel: Channel, payload: str) -> None:
        """Tell listeners at the commit."""
        self.notices.append((channel, payload))

    def _put(self, table: str, key: Key, row: Row) -> None:
        self.writes.setdefault(table, {})[key] = row

    async def _taken(
        self, laws: Laws, own: Key, before: Row | None, row: Row, rules: Sequence[Unique]
    ) -> str | None:
        """Return the first of these rules that another row is in the way of; wait for who has not ended.

        `own`: the key of the row that is written; it is not in its own way. A new row has none yet.
        """
        for rule in rules:
            wanted = rule.of(row)
            kept = before is not None and rule.of(before) == wanted
            if rule.apart is None and (wanted is None or kept):
                continue
            if await self._in_the_way(laws, own, row, rule):
                return rule.name
        return None

    async def _in_the_way(self, laws: Laws, own: Key, row: Row, rule: Unique) -> bool:
        """Tell whether another row clashes for good; wait while an open transaction may still decide it."""
        equal = {name: row[name] for name in rule.columns}
        while True:
            rivals: set[int] = set()
            for other in self._others(laws.name):
                for at, theirs in other.writes[laws.name].items():
                    if at != own and theirs is not None and rule.clashes(row, theirs):
                        rivals.add(other.id)
            for kept in self.rows(laws.name, **equal):
                at = laws.key_of(kept)
                if at == own or not rule.clashes(row, kept):
                    continue
                writer = self._writer(laws.name, at)
                if writer is None:
                    return True
                rivals.add(writer)
            if not rivals:
                return False
            await self._outwait(rivals, rule.name)

    def _others(self, table: str) -> list[Transaction]:
        return [one for one in self.store.open.values() if one is not self and table in one.writes]

    def _writer(self, table: str, key: Key) -> int | None:
        """Return who else has written this committed row and not ended yet."""
        return next((one.id for one in self._others(table) if key in one.writes[table]), None)

    async def _refer(self, laws: Laws, before: Row | None, row: Row) -> None:
        """Hold what the row refers to against going away. Raises IntegrityRefusedError."""
        for reference in laws.references:
            named = reference.of(row)
            if named is None or (before is not None and reference.of(before) == named):
                continue
            if self.row(reference.table, named) is None:
                raise triggers.refuse(reference.name)
            await self.hold(reference.table, named, KEY_SHARE)

    def _judge_later(self, table: str, row: Row) -> None:
        for law in TABLES[table].judged:
            of_row, _ = triggers.AT_COMMIT[law]
            self._judged[law, of_row(table, row)] = None

    # ---- ending

    async def commit(self) -> None:
        """Make it so, or undo all of it. Raises IntegrityRefusedError where a deferred law speaks."""
        if self.failed or not (self.writes or self.notices):
            self.end()
            return
        await self.store.boundary("commit")
        await self.judge()
        for table, rows in self.writes.items():
            kept = self.store.tables[table]
            for key, row in rows.items():
                kept.put(key, row)
        notices = self.notices
        self.end()
        self.store.deliver(notices)
        await self.store.boundary("committed")

    async def judge(self) -> None:
        """Let the deferred laws speak. Raises IntegrityRefusedError."""
        for law, judged in self._judged:
            _, judge = triggers.AT_COMMIT[law]
            await judge(self, judged)

    def spoil(self) -> None:
        """A statement was refused: what was written is undone and what was held is free, at once."""
        self.failed = True
        self.end()

    def end(self) -> None:
        """Let go of everything; what was not committed is lost."""
        self.writes, self.notices = {}, []
        for at in self._held:
            modes = self.store.holders[at]
            del modes[self.id]
            if not modes:
                del self.store.holders[at]
        self._held = set()
        self.store.open.pop(self.id, None)
