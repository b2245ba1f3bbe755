"""What the tables ask of a row, read from `lockserver.db.tables` and the migration's triggers.

Nothing is written down twice: a column, CHECK, unique rule or reference that somebody adds to a table
holds here at once. What cannot be read is listed in `UNREAD`, and a test fails while anything is in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, ExcludeConstraint

from lockserver.db.tables import Instant, metadata
from lockserver.db.tables.columns import Words
from tests.sim.memory import triggers
from tests.sim.memory.conditions import Condition, UnreadError, read

Row = Mapping[str, Any]
Key = Any
"""A row's primary key: the value itself, or a tuple where it has several columns."""

CLOCKED: Final = "clock_timestamp()"
UNREAD: Final[list[str]] = []
"""Laws of the schema that the memory does not keep yet."""

_SQL: Final = files("lockserver.db.migrations") / "sql"
_MADE: Final = "".join(one.read_text() for one in _SQL.iterdir() if one.name.endswith("tables.sql"))
_TRIGGER: Final = re.compile(
    r"CREATE (?P<deferred>CONSTRAINT )?TRIGGER (?P<name>\w+)\s+(?:BEFORE|AFTER) (?P<events>[A-Za-z_, ]+?)"
    r"\s+ON (?P<table>\w+)\s+(?:DEFERRABLE INITIALLY DEFERRED\s+)?FOR EACH (?P<each>ROW|STATEMENT)\s+"
    r"(?:WHEN \((?P<when>.*?)\)\s+)?EXECUTE FUNCTION (?P<function>\w+)\((?P<args>[^)]*)\)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Unique:
    """No two rows (of those that `where` holds for) have the same values in these columns.

    `made`: what must differ where that is more than columns' values; `columns` is empty then.
    `apart`: of an exclusion rule, whether two rows may stand beside each other; it alone counts then.
    """

    name: str
    columns: tuple[str, ...]
    where: Condition | None = None
    made: tuple[Condition, ...] = ()
    apart: Callable[[Row, Row], bool] | None = None

    def of(self, row: Row) -> tuple[Any, ...] | None:
        """Return what must be unique; None where the rule does not speak of this row."""
        if self.where is not None and self.where(row) is not True:
            return None
        values = tuple(row[name] for name in self.columns) + tuple(one(row) for one in self.made)
        return None if any(value is None for value in values) else values

    def clashes(self, one: Row, other: Row) -> bool:
        """Tell whether the rule forbids that both stand."""
        if self.apart is not None:
            return not self.apart(one, other)
        wanted = self.of(one)
        return wanted is not None and self.of(other) == wanted


@dataclass(frozen=True)
class Reference:
    """These columns name a row of another table, by its primary key."""

    name: str
    columns: tuple[str, ...]
    table: str

    def of(self, row: Row) -> Key | None:
        """Return the key that the row names; None where it names nothing."""
        values = tuple(row[name] for name in self.columns)
        if any(value is None for value in values):
            return None
        return values[0] if len(values) == 1 else values


@dataclass
class Laws:
    """One table."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    needed: tuple[str, ...] = ()
    defaults: dict[str, Callable[[datetime], Any]] = field(default_factory=dict)
    clocked: frozenset[str] = frozenset()
    """Columns that take the instant of the writing, not that of the transaction's beginning."""
    instants: frozenset[str] = frozenset()
    copied: frozenset[str] = frozenset()
    checks: list[tuple[str, Condition]] = field(default_factory=list)
    unique: list[Unique] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    indexed: frozenset[str] = frozenset()
    before: list[triggers.Trigger] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    """Laws that are judged at the commit of a change to it, by their functions' names."""

    def key_of(self, row: Row) -> Key:
        """Return a row's primary key."""
        if len(self.key) == 1:
            return row[self.key[0]]
        return tuple(row[name] for name in self.key)

    def check(self, row: Row) -> None:
        """Hold NOT NULL and the CHECKs against a row. Raises IntegrityRefusedError."""
        for name in self.needed:
            if row[name] is None:
                column = name.rstrip("_")
                raise triggers.refuse(
                    f'null value in column "{column}" of relation "{self.name}" violates not-null constraint'
                )
        for rule, condition in self.checks:
            if condition(row) is False:
                raise triggers.refuse(rule)

    def filled(self, values: Row, began: datetime, now: Callable[[], datetime]) -> dict[str, Any]:
        """Return a whole row: what is given, defaults for the rest, NULL where there is none.

        `began`: when the transaction did; `now()`: the instant of the writing.
        """
        unknown = set(values) - set(self.columns)
        if unknown:
            raise KeyError(f"{self.name} has no {sorted(unknown)}")
        row = {name: values.get(name) for name in self.columns}
        for name, default in self.defaults.items():
            if name not in values:
                row[name] = default(now() if name in self.clocked else began)
        return self.stored(row)

    def stored(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row as a database would give it back: instants in UTC, JSON copied."""
        for name in self.instants:
            at = row.get(name)
            if at is not None:
                if at.tzinfo is None:
                    raise ValueError("an instant must carry its offset")
                row[name] = at.astimezone(UTC)
        for name in self.copied:
            if row.get(name) is not None:
                row[name] = json.loads(json.dumps(row[name]))
        return row


def _condition(source: str, table: Table, name: str) -> Condition | None:
    try:
        return read(source, {column.name: str(column.key) for column in table.columns})
    except UnreadError as unread:
        UNREAD.append(f"{name}: {source} ({unread})")
        return None


def _default(column: Column[Any]) -> Callable[[datetime], Any] | None:
    """Return what a missing value becomes: `now` is the transaction's own instant."""
    if column.default is not None and column.default.is_scalar:
        value = column.default.arg  # type: ignore[attr-defined]  # a scalar default has one
        return lambda _now: value
    if column.server_default is None:
        return None
    source = str(getattr(column.server_default, "arg", ""))
    if source.lower() in ("now()", "current_timestamp", CLOCKED):
        return lambda now: now
    if source.lower() in ("true", "false"):
        return lambda _now: source.lower() == "true"
    if re.fullmatch(r"-?\d+", source):
        return lambda _now: int(source)
    if re.fullmatch(r"\w+", source) and source != "CURRENT_USER":
        return lambda _now: source
    if source not in ("pg_current_xact_id()", "CURRENT_USER", ""):
        UNREAD.append(f"{column.table.name}.{column.name}: DEFAULT {source}")
    return None  # an identity, a transaction's id: the store's own business


def _unique(table: Table) -> list[Unique]:
    found = [Unique(str(table.primary_key.name), tuple(str(c.key) for c in table.primary_key.columns))]
    found += [
        Unique(str(rule.name), tuple(str(c.key) for c in rule.columns))
        for rule in table.constraints
        if isinstance(rule, UniqueConstraint)
    ]
    for index in table.indexes:
        if not index.unique:
            continue
        where = index.dialect_options["postgresql"].get("where")
        condition = None if where is None else _condition(str(where), table, str(index.name))
        made = [
            _condition(str(one), table, str(index.name))
            for one in index.expressions
            if not isinstance(one, Column)
        ]
        if (where is None or condition is not None) and None not in made:
            columns = tuple(str(c.key) for c in index.columns)
            whole = tuple(one for one in made if one is not None)
            found.append(Unique(str(index.name), columns, condition, whole))
    return found


def _references(table: Table) -> list[Reference]:
    found = []
    for rule in table.constraints:
        if isinstance(rule, ForeignKeyConstraint):
            target = rule.referred_table
            if [e.column.key for e in rule.elements] != [c.key for c in target.primary_key.columns]:
                UNREAD.append(f"{rule.name}: names no primary key")
                continue
            found.append(Reference(str(rule.name), tuple(map(str, rule.column_keys)), target.name))
    return sorted(found, key=lambda one: _place(one.name))


def _place(rule: str) -> tuple[int, str]:
    """Return where the migration makes the rule: the first that is broken speaks."""
    at = _MADE.find(f" {rule} ")
    return (at if at >= 0 else len(_MADE), rule)


def _laws(table: Table) -> Laws:
    laws = Laws(
        name=table.name,
        key=tuple(str(c.key) for c in table.primary_key.columns),
        columns=tuple(str(c.key) for c in table.columns),
        instants=frozenset(str(c.key) for c in table.columns if isinstance(c.type, Instant)),
        copied=frozenset(str(c.key) for c in table.columns if isinstance(c.type, JSONB | Words | ARRAY)),
        unique=_unique(table),
        references=_references(table),
    )
    for column in table.columns:
        default = _default(column)
        if default is not None:
            laws.defaults[str(column.key)] = default
    laws.clocked = frozenset(
        str(c.key) for c in table.columns if str(getattr(c.server_default, "arg", "")) == CLOCKED
    )
    own = {"id", "txid"} if table.name == "audit_log" else set()  # drawn at the commit
    laws.needed = tuple(str(c.key) for c in table.columns if not c.nullable and c.key not in own)
    for rule in table.constraints:
        if isinstance(rule, CheckConstraint):
            condition = _condition(str(rule.sqltext), table, str(rule.name))
            if condition is not None:
                laws.checks.append((str(rule.name), condition))
        elif isinstance(rule, ExcludeConstraint):
            apart = triggers.APART.get(str(rule.name))
            if apart is None:
                UNREAD.append(f"{rule.name}: an exclusion rule")
            else:
                laws.unique.append(Unique(str(rule.name), (), apart=apart))
    laws.unique[1:] = sorted(laws.unique[1:], key=lambda rule: _place(rule.name))
    laws.checks.sort(key=lambda named: named[0])
    single = {str(next(iter(i.columns)).key) for i in table.indexes if len(i.columns)}
    laws.indexed = frozenset(
        single | {laws.key[0]} | {rule.columns[0] for rule in laws.unique if rule.columns}
    )
    return laws


def _attach(tables: dict[str, Laws]) -> None:
    """Hang the migration's triggers on the tables. One that looks only at a DELETE judges nothing here."""
    source = "\n".join(one.read_text() for one in _SQL.iterdir() if one.name.endswith("triggers.sql"))
    found = list(_TRIGGER.finditer(source))
    if len(found) != len(re.findall(r"^CREATE (?:CONSTRAINT )?TRIGGER", source, re.MULTILINE)):
        UNREAD.append("a trigger whose statement could not be read")
    for made in found:
        events = frozenset(re.findall(r"INSERT|UPDATE", made["events"]))
        if made["each"] == "ROW" and events:
            _hang(tables[made["table"]], made, events)
    for laws in tables.values():
        laws.before.sort(key=lambda trigger: trigger.name)


def _hang(laws: Laws, made: re.Match[str], events: frozenset[str]) -> None:
    function = made["function"]
    if made["deferred"]:
        if function in triggers.AT_COMMIT and not made["when"]:
            laws.judged.append(function)
        else:
            UNREAD.append(f"{made['name']} on {laws.name}: {function}")
        return
    when = None
    if made["when"]:
        try:
            when = read(made["when"].replace("NEW.", ""), {name.rstrip("_"): name for name in laws.columns})
        except UnreadError as unread:
            UNREAD.append(f"{made['name']} on {laws.name}: {made['when']} ({unread})")
            return
    names = tuple(word.strip().strip("'") for word in made["args"].split(",") if word.strip())
    names = tuple(next(key for key in laws.columns if name in (key, key.rstrip("_"))) for name in names)
    judge = triggers.BEFORE.get(function)
    if judge is None:
        UNREAD.append(f"{made['name']} on {laws.name}: {function}")
    else:
        laws.before.append(triggers.Trigger(made["name"], judge, names, events, when))


TABLES: Final[dict[str, Laws]] = {table.name: _laws(table) for table in metadata.sorted_tables}
_attach(TABLES)
