"""Draws what a port may be asked: any method of any repository, with arguments that mean something.

Arguments follow from the method's own signature: an id is drawn from the table that its name speaks of,
an instant from those of the town, a record is one of the table's own with a field or two exchanged. So a
method that somebody adds to a port is asked, too, from the day it stands there.
"""

from __future__ import annotations

import hashlib
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal, Protocol, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

from lockserver.app.ports import Answer, UnitOfWork
from lockserver.domain.ids import uuid7
from tests.contract.work.town import HOUR, NOW
from tests.sim.memory import MemoryStore, MemoryUnitOfWork
from tests.sim.memory.rows import Rows, read

TABLE_OF = {
    "account": "accounts",
    "case": "cases",
    "command": "commands",
    "credential": "credentials",
    "door": "doors",
    "image": "firmware_images",
    "duty": "duties",
    "grant": "grants",
    "holder": "holders",
    "house": "houses",
    "lock": "locks",
    "owner": "holders",
    "phone": "phones",
    "reader": "holders",
    "registration": "registrations",
    "session": "sessions",
    "tenancy": "tenancies",
    "wish": "wishes",
}
"""What an argument's name speaks of; other tables answer to their own names' singular."""
UNASKED = {("case_files", "hold_long")}


@dataclass(frozen=True)
class Question:
    """One call: `work.<repository>.<method>(*given)`."""

    repository: str
    method: str
    given: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...] = ()

    async def put_to(self, work: Any) -> Any:
        return await getattr(getattr(work, self.repository), self.method)(*self.given, **dict(self.named))


def repositories() -> dict[str, type[Any]]:
    """The ports of a unit of work, by name."""
    found = {}
    for name, member in vars(UnitOfWork).items():
        if isinstance(member, property) and member.fget is not None:
            found[name] = get_type_hints(member.fget)["return"]
    return found


def methods(port: type[Any]) -> list[str]:
    """What may be asked of a port."""
    names = {name for kind in port.__mro__ if kind not in (Protocol, object) for name in vars(kind)}
    return sorted(name for name in names if inspect.iscoroutinefunction(getattr(port, name)))


def asked() -> list[tuple[str, str]]:
    """Every (repository, method) that is asked."""
    every = [(name, method) for name, port in repositories().items() for method in methods(port)]
    return [one for one in every if one not in UNASKED and is_there(*one)]


def is_there(repository: str, method: str) -> bool:
    """Tell whether the memory has it; another test says what it lacks."""
    made = getattr(MemoryUnitOfWork, repository, None)
    return made is not None and hasattr(get_type_hints(made.func)["return"], method)


class Questions:
    """Draws questions about a store as it is now."""

    def __init__(self, store: MemoryStore, random: Random) -> None:
        self.store = store
        self.random = random
        self._tables = {kind.record: kind for kind in _every(Rows)}

    def draw(self, repository: str, method: str, about: Mapping[str, Any] | None = None) -> Question:
        """Return a question to this method; `about` a row that its arguments are to name."""
        port = repositories()[repository]
        function = getattr(port, method)
        hints = _hints(port, function)
        given: list[Any] = []
        named: list[tuple[str, Any]] = []
        meant = self.a_row_of(repository) if about is None else about
        for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                named.append(("what", self.random.choice(["好", 1, None, b"\1", NOW])))
            elif name == "sightings":
                heard = [self.record(get_args(hints[name])[0]) for _ in range(3)]
                given.append(list({(one.gateway_id, one.lock_id): one for one in heard}.values()))
            elif method in NEVER_EMPTY:
                [of] = get_args(hints[name])
                given.append([self.value(name, of, repository) for _ in range(self.random.randrange(1, 4))])
            elif name == "limit":
                given.append(500)
            elif name == "key" and hints[name] is bytes:
                given.append(self._a_phones_key())
            elif name in meant:
                given.append(meant[name])
            else:
                given.append(self._given(name, hints[name], repository, method, about))
        return Question(repository, method, tuple(given), tuple(named))

    def _given(
        self, name: str, kind: Any, repository: str, method: str, about: Mapping[str, Any] | None
    ) -> Any:
        """One argument; a record, or a list of ids, is the row's own where there is one."""
        rows = self._tables.get(kind) if isinstance(kind, type) else None
        if about is not None and rows is not None and set(rows.record.__slots__) <= set(about):
            return read(kind, about)
        single = name.removesuffix("s")
        if about is not None and about.get(single) is not None and get_origin(kind) is Sequence:
            return [about[single]]
        return self.value(name, kind, repository, fresh=method in NEW)

    def a_row_of(self, repository: str, *, always: bool = False) -> Mapping[str, Any]:
        """Half of the time a row that all arguments are about, so that they mean something together."""
        made = get_type_hints(getattr(MemoryUnitOfWork, repository).func)["return"]
        rows = list(self.store.tables[made.table].rows.values()) if hasattr(made, "table") else []
        if not rows or (not always and self.random.random() < 0.5):
            return {}
        row = self.random.choice(rows)
        return {name: value for name, value in row.items() if value is not None} | {"row_id": row.get("id")}

    def _a_phones_key(self) -> bytes:
        """The hash of a phone's signing key, or one that a grant names."""
        named = [self._known("guest_key", bytes), self._known("sign_pub", bytes)]
        chosen = self.random.choice(named) or bytes(32)
        return bytes(chosen) if len(chosen) == 32 else hashlib.sha256(chosen).digest()

    def value(self, name: str, kind: Any, repository: str = "", *, fresh: bool = False) -> Any:
        """Draw a value of this type under this name."""
        origin, args = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            return self.value(name, self.random.choice(args), repository, fresh=fresh)
        if kind is type(None):
            return None
        if origin is Literal:
            return self.random.choice(args)
        if origin is tuple:
            return tuple(self.value(name, one, repository) for one in args)
        if origin in (Sequence, list):
            return [
                self.value(name.removesuffix("s"), args[0], repository, fresh=fresh)
                for _ in range(self.random.randrange(4))
            ]
        if origin in (Mapping, dict):
            return {}
        if is_dataclass(kind):
            return self.record(cast("type[Any]", kind), fresh=fresh)
        return self._plain(name, kind, repository)

    def _plain(self, name: str, kind: Any, repository: str) -> Any:
        if kind is UUID:
            return self.some_id(name, repository)
        if kind is datetime:
            return self._instant()
        if kind is bool:
            return self.random.random() < 0.5
        if kind is int:
            return self.random.randrange(7)
        if kind is bytes:
            return self._known(name, bytes) or self.random.randbytes(32)
        if kind is str:
            return self._known(name, str) or self.random.choice(["unlock", "end_tenancy", "k0", "x"])
        return self.random.randrange(3)

    def _instant(self) -> datetime:
        return (
            NOW + self.random.randrange(-48, 49, 6) * HOUR + timedelta(seconds=self.random.randrange(-1, 2))
        )

    def _known(self, column: str, kind: type[Any]) -> Any:
        """A value of this type that some row has under this name."""
        values = [
            row[column]
            for table in self.store.tables.values()
            if column in table.laws.columns
            for row in table.rows.values()
            if isinstance(row[column], kind)
        ]
        return self.random.choice(values) if values and self.random.random() < 0.9 else None

    def some_id(self, name: str, repository: str = "") -> UUID:
        """An id of the table that the name speaks of; now and then of nothing."""
        if self.random.random() < 0.05:
            return self.fresh_id()
        subject = name.removesuffix("s").removesuffix("_id")
        table = TABLE_OF.get(subject) or (subject + "s" if subject + "s" in self.store.tables else None)
        if subject in ("row", "id", "") or table is None:
            table = self._own_table(repository)
        ids = [row["id"] for row in self.store.tables[table].rows.values() if "id" in row]
        return self.random.choice(ids) if ids else self.fresh_id()

    def _own_table(self, repository: str) -> str:
        if repository in self.store.tables:
            return repository
        return {"case_files": "cases", "filings": "registrations", "wishes": "wishes"}.get(
            repository, "locks"
        )

    def fresh_id(self) -> UUID:
        return uuid7(NOW + timedelta(seconds=self.random.randrange(10**6)), self.random.randbytes(10))

    def record(self, kind: type[Any], *, fresh: bool = False) -> Any:
        """A record: one of its table's with a field or two exchanged; or made of its fields' types."""
        rows = self._tables.get(kind)
        if kind is Answer:
            return Answer(self.random.choice([200, 201]), {"a": "b"}, b"said")
        known = list(self.store.tables[rows.table].rows.values()) if rows is not None else []
        hints = get_type_hints(kind)
        if not known:
            return kind(*[self.value(field.name, hints[field.name]) for field in fields(kind)])
        made = read(kind, self.random.choice(known))
        if fresh and "id" in hints:
            made = replace(made, id=self.fresh_id())
        for field in self.random.sample(
            fields(kind), k=min(len(fields(kind)), self.random.choice([0, 0, 1, 1, 2]))
        ):
            if field.name != "id" or fresh:
                made = replace(made, **{field.name: self._other(known, field.name, hints[field.name])})
        return made

    def _other(self, known: list[Mapping[str, Any]], name: str, kind: Any) -> Any:
        """What another row has there, or any value of the type."""
        if self.random.random() < 0.6:
            return self.random.choice(known)[name]
        if kind == UUID | None and self.random.random() < 0.9:
            kind = UUID
        return self.value(name, kind)


NEVER_EMPTY = {"note_ways"}
"""Methods that nobody calls with nothing."""
NEW = {"add", "put", "file", "spend", "open", "bring", "write", "append", "add_code", "add_occupant", "make"}
"""Methods whose records get an id of their own."""


def _every(kind: type[Any]) -> Iterator[type[Any]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _every(sub)


def _hints(port: type[Any], function: Callable[..., Any]) -> dict[str, Any]:
    """A method's types, with a generic port's record filled in."""
    hints = get_type_hints(function)
    for base in _bases(port):
        origin, args = get_origin(base), get_args(base)
        for parameter, given in zip(getattr(origin, "__parameters__", ()), args, strict=False):
            hints = {name: given if hint is parameter else hint for name, hint in hints.items()}
    return hints


def _bases(port: type[Any]) -> Iterator[Any]:
    for kind in port.__mro__:
        yield from getattr(kind, "__orig_bases__", ())
