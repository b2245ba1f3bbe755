"""What survives a power cut: a log of records in flash, torn writes included.

A record holds any number of keys and is written whole or not at all: its CRC decides at boot. A
torn record can only be the last one, since nothing is written after the power went; it is dropped and
its bytes are overwritten by the next. When the log outgrows its bank, the living keys are written to
the other bank and the banks are swapped, which is one atomic step (a flag word in real flash).

`Medium` is the chip: bytes only. Tests inject a power cut at any call of it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

#: Bytes of one bank. 500 journal entries and all documents are below 128 KiB; the rest is room to
#: append in, so that a swap (an erase in real flash) comes once in some hundred unlocks.
BANK: Final = 256 * 1024
#: Bytes of one record: the largest is an access document and its number.
RECORD_LIMIT: Final = 16 * 1024

_HEAD: Final = 6  # length (2), CRC-32 (4)
_WIPING: Final = "wiping"


class PowerCutError(Exception):
    """The power went. Nothing of the lock's memory is left; only the medium is."""


class Medium(Protocol):
    """A flash chip with two banks. Any call may raise `PowerCutError`."""

    def read(self) -> bytes:
        """The current bank."""

    def append(self, data: bytes, at: int) -> None:
        """Write `data` at offset `at` of the current bank, over a torn tail if there is one."""

    def swap(self, data: bytes) -> None:
        """Write `data` to the other bank and make it the current one, atomically."""

    def erase_other(self) -> None:
        """Erase the bank that is not the current one, to its last byte."""


class Flash:
    """Keys and values that survive. `put` returns only when they do."""

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self._values: dict[str, bytes] = {}
        self._end = 0
        for record, end in _records(medium.read()):
            self._apply(record)
            self._end = end
        if _WIPING in self._values:
            self._wiped()

    def get(self, key: str) -> bytes | None:
        """The value last put under `key`, or None."""
        return self._values.get(key)

    def names(self) -> list[str]:
        """All keys with a value."""
        return list(self._values)

    def put(self, values: Mapping[str, bytes | None]) -> None:
        """Write all of `values` in one record: after a power cut, all of them or none. None forgets."""
        body = encode(dict(values))
        if len(body) > RECORD_LIMIT:
            message = f"a record of {len(body)} bytes, limit {RECORD_LIMIT}"
            raise ValueError(message)
        data = _framed(body)
        if self._end + len(data) > BANK:
            self._compact()
        self._medium.append(data, self._end)
        self._end += len(data)
        self._apply(values)

    def wipe(self, kept: Collection[str]) -> None:
        """Forget all but the keys `kept`, on the chip too: no byte of the rest can be read out of it."""
        values = {key: value for key, value in self._values.items() if key in kept}
        self._values = values | {_WIPING: b"\xf5"}
        self._compact()
        self._wiped()

    def _wiped(self) -> None:
        """The old bank still holds everything; a cut before this ends is made good at the next boot."""
        self._medium.erase_other()
        self.put({_WIPING: None})

    def _compact(self) -> None:
        image = b"".join(_framed(encode({key: value})) for key, value in self._values.items())
        self._medium.swap(image)
        self._end = len(image)

    def _apply(self, values: Mapping[str, bytes | None]) -> None:
        for key, value in values.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + zlib.crc32(body).to_bytes(4, "big") + body


def _records(bank: bytes) -> Iterator[tuple[dict[str, bytes | None], int]]:
    """Whole records from the start; the first broken one ends the log."""
    at = 0
    while at + _HEAD <= len(bank):
        size = int.from_bytes(bank[at : at + 2], "big")
        check = int.from_bytes(bank[at + 2 : at + _HEAD], "big")
        body = bank[at + _HEAD : at + _HEAD + size]
        if size == 0 or len(body) < size or zlib.crc32(body) != check:
            return
        at += _HEAD + size
        yield _values_of(body), at


def _values_of(body: bytes) -> dict[str, bytes | None]:
    try:
        value = decode(body, limit=RECORD_LIMIT)
    except RemoteError as error:
        message = "flash holds a record with a good CRC that is not ours"
        raise ValueError(message) from error
    if not isinstance(value, dict):
        message = "flash holds a record that is no map"
        raise TypeError(message)
    return {str(key): item if isinstance(item, bytes) else None for key, item in value.items()}
