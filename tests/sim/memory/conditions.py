"""Reads the SQL conditions of our tables' CHECKs and partial indexes, so that nobody writes them twice.

A condition becomes a function of a row (column key → value) that answers True, False or None (unknown:
a NULL stood in it), by SQL's three-valued logic. Precedence is PostgreSQL's (manual, table 4.2).
"""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Row = Mapping[str, Any]
Condition = Callable[[Row], Any]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<name>[a-z_][a-z0-9_]*)"
    r"|(?P<sign><=|>=|<>|!=|::|[=<>~(),+\-*]))",
    re.IGNORECASE,
)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SUM: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_STRICT: Final[dict[str, Callable[..., Any]]] = {
    "octet_length": len,
    "length": len,
    "char_length": len,
    "abs": abs,
    "sha256": lambda value: hashlib.sha256(value).digest(),
}


class UnreadError(Exception):
    """A condition uses something that this reader does not know."""


def read(source: str, keys: Mapping[str, str]) -> Condition:
    """Return the condition as a function. `keys`: column name → key in the row. Raises UnreadError."""
    reader = _Reader(_split(source), keys)
    condition = reader.either()
    if reader.left:
        raise UnreadError(source)
    return condition


def _split(source: str) -> list[tuple[str, str]]:
    tokens, at, end = [], 0, len(source.rstrip())
    while at < end:
        found = _TOKEN.match(source, at)
        if found is None or found.lastgroup is None:
            raise UnreadError(source[at:])
        value = found.group(found.lastgroup)
        tokens.append((found.lastgroup, value if found.lastgroup == "text" else value.lower()))
        at = found.end()
    return tokens


class _Reader:
    """Recursive descent, loosest binding first."""

    def __init__(self, tokens: list[tuple[str, str]], keys: Mapping[str, str]) -> None:
        self.left = tokens[::-1]
        self.keys = keys

    def _sees(self, *words: str) -> bool:
        ahead = self.left[: -len(words) - 1 : -1]
        return len(ahead) == len(words) and all(
            kind != "text" and value == word for (kind, value), word in zip(ahead, words, strict=True)
        )

    def _takes(self, *words: str) -> bool:
        if not self._sees(*words):
            return False
        del self.left[-len(words) :]
        return True

    def _needs(self, *words: str) -> None:
        if not self._takes(*words):
            raise UnreadError(f"wanted {words}, left {self.left[::-1]}")

    def either(self) -> Condition:
        parts = [self._both()]
        while self._takes("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda row: _any([part(row) for part in parts])

    def _both(self) -> Condition:
        parts = [self._not()]
        while self._takes("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda row: _all([part(row) for part in parts])

    def _not(self) -> Condition:
        if not self._takes("not"):
            return self._is()
        inner = self._not()
        return lambda row: _turned(inner(row), turned=True)

    def _is(self) -> Condition:
        inner = self._compared()
        while self._takes("is"):
            inner = self._is_what(inner)
        return inner

    def _is_what(self, inner: Condition) -> Condition:
        turned = self._takes("not")
        if self._takes("distinct", "from"):
            other = self._compared()
            return lambda row: (inner(row) != other(row)) is not turned
        for word, value in (("null", None), ("true", True), ("false", False)):
            if self._takes(word):
                return _is_just(inner, value, turned=turned)
        raise UnreadError(f"IS what? {self.left[::-1]}")

    def _compared(self) -> Condition:
        one = self._listed()
        for sign, compare in _COMPARE.items():
            if self._takes(sign):
                other = self._listed()
                return _strictly(compare, one, other)
        return one

    def _listed(self) -> Condition:
        one = self._matched()
        turned = self._takes("not") if self._sees("not", "in") else False
        if self._takes("between"):
            low = self._matched()
            self._needs("and")
            high = self._matched()
            return _strictly(lambda value, least, most: least <= value <= most, one, low, high)
        if not self._takes("in"):
            return one
        self._needs("(")
        options = self._arguments()
        equal = [_strictly(operator.eq, one, option) for option in options]
        return lambda row: _turned(_any([option(row) for option in equal]), turned)

    def _matched(self) -> Condition:
        one = self._sum()
        if not self._takes("~"):
            return one
        return _strictly(lambda value, pattern: re.search(pattern, value) is not None, one, self._sum())

    def _sum(self) -> Condition:
        one = self._value()
        while self.left and self.left[-1][0] == "sign" and self.left[-1][1] in _SUM:
            one = _strictly(_SUM[self.left.pop()[1]], one, self._value())
        return one

    def _arguments(self) -> list[Condition]:
        given = [self.either()]
        while self._takes(","):
            given.append(self.either())
        self._needs(")")
        return given

    def _value(self) -> Condition:
        if self._takes("("):
            inner = self.either()
            self._needs(")")
            return inner
        if not self.left:
            raise UnreadError("the condition ends early")
        if self._takes("-"):
            return _strictly(operator.neg, self._value())
        kind, word = self.left.pop()
        if kind == "text":
            text = word[1:-1].replace("''", "'")
            return lambda _row: text
        if kind == "number":
            number = int(word)
            return lambda _row: number
        if kind == "name":
            return self._named(word)
        raise UnreadError(word)

    def _named(self, word: str) -> Condition:
        if self._takes("("):
            return _called(word, self._arguments())
        if word in ("true", "false", "null"):
            constant = {"true": True, "false": False, "null": None}[word]
            return lambda _row: constant
        if word not in self.keys:
            raise UnreadError(word)
        key = self.keys[word]
        return lambda row: row[key]


def _called(name: str, given: list[Condition]) -> Condition:
    if name == "coalesce":
        return lambda row: next((value for one in given if (value := one(row)) is not None), None)
    if name == "num_nonnulls":
        return lambda row: sum(one(row) is not None for one in given)
    if name == "num_nulls":
        return lambda row: sum(one(row) is None for one in given)
    if name not in _STRICT:
        raise UnreadError(name)
    return _strictly(_STRICT[name], *given)


def _strictly(function: Callable[..., Any], *given: Condition) -> Condition:
    """Apply a function, unless something is unknown: then so is the result."""

    def applied(row: Row) -> Any:
        values = [one(row) for one in given]
        return None if any(value is None for value in values) else function(*values)

    return applied


def _is_just(inner: Condition, value: bool | None, *, turned: bool) -> Condition:
    return lambda row: (inner(row) is value) is not turned


def _turned(value: bool | None, turned: bool) -> bool | None:
    return None if value is None else value is not turned


def _any(values: list[Any]) -> bool | None:
    if any(value is True for value in values):
        return True
    return None if any(value is None for value in values) else False


def _all(values: list[Any]) -> bool | None:
    if any(value is False for value in values):
        return False
    return None if any(value is None for value in values) else True
