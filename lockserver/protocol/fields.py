"""Reading a decoded map or array field by field, strictly.

Every signed map of the wire has integer keys.  Keys below 256 are critical: a reader that does not
know one refuses the whole.  Keys from 256 up are ignorable.  Both are append-only.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TypeVar

from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.limits import ID, MAX_CLAIMS, MAX_INT, MAX_NUMBER, MAX_TEXT, MAX_TIME

IGNORABLE = 256
"""First field number that a reader may ignore."""

HASH = 32
"""Bytes of a SHA-256."""

Choice = TypeVar("Choice", bound=IntEnum)


def bad(detail: str) -> RemoteError:
    """A refusal of the format."""
    return RemoteError(Denial.BAD_FORMAT, detail)


def as_octets(value: object, length: int | None, what: str, *, most: int | None = None) -> bytes:
    """A byte string of exactly ``length`` bytes, or, if that is None, of at most ``most``."""
    if type(value) is not bytes:
        raise bad(f"{what} is no byte string")
    if length is not None and len(value) != length:
        raise bad(f"{what} has {len(value)} bytes, not {length}")
    if most is not None and len(value) > most:
        raise RemoteError(Denial.TOO_LARGE, f"{what} has {len(value)} bytes, limit {most}")
    return value


def as_uint(value: object, most: int, what: str) -> int:
    """An integer within [0, most]."""
    if type(value) is not int or not 0 <= value <= most:
        raise bad(f"{what} is no integer within its range")
    return value


def as_choice(value: object, kind: type[Choice], what: str) -> Choice:
    """A member of an append-only enum."""
    if type(value) is not int:
        raise bad(f"{what} is no integer")
    try:
        return kind(value)
    except ValueError:
        raise bad(f"{what} {value} is unknown") from None


def as_list(
    value: object, what: str, *, length: int | None = None, most: int = MAX_CLAIMS
) -> Sequence[object]:
    """An array of exactly ``length`` items, or of at most ``most``."""
    if type(value) is not list:
        raise bad(f"{what} is no array")
    if length is not None and len(value) != length:
        raise bad(f"{what} has {len(value)} items, not {length}")
    if length is None and len(value) > most:
        raise RemoteError(Denial.TOO_LARGE, f"{what} has {len(value)} items, limit {most}")
    return value


class Fields:
    """One signed map.  Take each field once, then ``close``: what is left and critical is refused."""

    def __init__(self, value: object, what: str) -> None:
        if type(value) is not dict:
            raise bad(f"{what} is no map")
        if len(value) > MAX_CLAIMS:
            raise RemoteError(Denial.TOO_LARGE, f"{what} has {len(value)} fields, limit {MAX_CLAIMS}")
        self._left = dict(value)
        self._what = what

    def has(self, number: int) -> bool:
        """Whether the field is present (an optional field is absent, never null)."""
        return number in self._left

    def raw(self, number: int) -> object:
        """The field as decoded; RemoteError if it is missing."""
        try:
            return self._left.pop(number)
        except KeyError:
            raise bad(f"{self._what} lacks field {number}") from None

    def octets(self, number: int, length: int | None, *, most: int | None = None) -> bytes:
        """A byte string of exactly ``length``, or of at most ``most``, bytes."""
        return as_octets(self.raw(number), length, self._name(number), most=most)

    def id(self, number: int) -> bytes:
        """A 16-byte id."""
        return self.octets(number, ID)

    def uint(self, number: int, most: int = MAX_NUMBER) -> int:
        """An integer within [0, most]."""
        return as_uint(self.raw(number), most, self._name(number))

    def time(self, number: int) -> int:
        """Unix seconds."""
        return self.uint(number, MAX_TIME)

    def integer(self, number: int) -> int:
        """A signed integer."""
        value = self.raw(number)
        if type(value) is not int or not -MAX_INT <= value <= MAX_INT:
            raise bad(f"{self._name(number)} is no integer")
        return value

    def flag(self, number: int) -> bool:
        """A boolean."""
        value = self.raw(number)
        if type(value) is not bool:
            raise bad(f"{self._name(number)} is no boolean")
        return value

    def text(self, number: int, most: int = MAX_TEXT) -> str:
        """Text of at most ``most`` characters."""
        value = self.raw(number)
        if type(value) is not str or len(value) > most:
            raise bad(f"{self._name(number)} is no text within its range")
        return value

    def choice(self, number: int, kind: type[Choice]) -> Choice:
        """A member of an append-only enum."""
        return as_choice(self.raw(number), kind, self._name(number))

    def list(self, number: int, *, length: int | None = None, most: int = MAX_CLAIMS) -> Sequence[object]:
        """An array of exactly ``length``, or of at most ``most``, items."""
        return as_list(self.raw(number), self._name(number), length=length, most=most)

    def optional_uint(self, number: int, most: int = MAX_NUMBER) -> int | None:
        """An integer within [0, most], or None if the field is absent."""
        return self.uint(number, most) if self.has(number) else None

    def optional_id(self, number: int) -> bytes | None:
        """A 16-byte id, or None if the field is absent."""
        return self.id(number) if self.has(number) else None

    def close(self) -> None:
        """Refuse what was not taken and may not be ignored."""
        for key in self._left:
            if type(key) is not int or key < IGNORABLE:
                raise RemoteError(Denial.UNKNOWN_CLAIM, f"{self._what} field {key}")

    def _name(self, number: int) -> str:
        return f"{self._what} field {number}"


def writable(fields: dict[int, object], read: Callable[[object], object]) -> dict[int, object]:
    """``fields``, or LocalError if our own reader would refuse them: what none reads is not signed."""
    try:
        read(fields)
    except RemoteError as error:
        raise LocalError(f"what no reader would take: {error}") from error
    return fields


def present(fields: dict[int, object]) -> dict[int, object]:
    """The map without its None values: an optional field is absent, never null."""
    return {number: value for number, value in fields.items() if value is not None}
