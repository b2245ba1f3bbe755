"""Deterministic CBOR (RFC 8949 section 4.2.1), narrowed to what the wire uses.

Allowed: integers within +-(2**53 - 1), byte strings, text, booleans, null, arrays, maps with integer
or text keys.  No floats, no tags, no other simple values, no indefinite lengths, no duplicate keys.
There is exactly one encoding of a value; a reader refuses every other one by encoding again and
comparing, so trailing bytes and over-long heads fall out of the same check.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import cbor2

from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.limits import MAX_DEPTH, MAX_INT, MAX_MESSAGE


def _refuse(*_: object) -> object:
    raise ValueError("a tag")


# Every tag for which cbor2 has a decoder of its own (dates, bignums, regular expressions, shared
# references ...) is refused before that decoder runs; `tag_hook` refuses the rest.
_TAGS: Final = dict.fromkeys(
    (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799),
    _refuse,
)


def _key_order(key: object) -> tuple[int, int, bytes]:
    """Bytewise order of the encoded keys: unsigned, then negative, then text, shorter first."""
    if type(key) is int:
        return (0, key, b"") if key >= 0 else (1, -1 - key, b"")
    if type(key) is str:
        raw = key.encode()
        return 3, len(raw), raw
    raise LocalError(f"a map key of type {type(key).__name__}")


def _plain(value: object, depth: int) -> object:
    """The value in plain types, maps in order, or LocalError for what the wire does not carry."""
    kind = type(value)
    if kind is int or kind in _SCALARS:  # first what is nearly everything: a phone waits for this
        return value
    if isinstance(value, int):
        return int(value)  # an enum's number
    if isinstance(value, str):
        return str(value)
    if depth == 0:
        raise LocalError(f"nested deeper than {MAX_DEPTH}")
    if kind is list or kind is tuple:
        return [_plain(item, depth - 1) for item in value]  # type: ignore[attr-defined]  # kind says so
    if isinstance(value, Mapping):
        plain = {(int(k) if isinstance(k, int) else k): _plain(v, depth - 1) for k, v in value.items()}
        return {key: plain[key] for key in sorted(plain, key=_key_order)}
    if isinstance(value, Sequence):
        return [_plain(item, depth - 1) for item in value]
    raise LocalError(f"a value of type {kind.__name__}")


def _check(value: object, depth: int = MAX_DEPTH) -> None:
    """LocalError unless the plain value is one of the wire's: its maps in order, ``depth`` deep at most.

    The decoder's own bound lets an empty array or map stand one level too deep.
    """
    kind = type(value)
    if depth == 0 and kind in {list, dict}:
        raise LocalError(f"nested deeper than {MAX_DEPTH}")
    if kind is int:
        if not -MAX_INT <= value <= MAX_INT:  # type: ignore[operator]  # kind says that it is an int
            raise LocalError("an integer beyond 2**53 - 1")
    elif kind in _SCALARS:
        return
    elif kind is list:
        for item in value:  # type: ignore[attr-defined]  # kind says that it is a list
            if type(item) not in _SCALARS:
                _check(item, depth - 1)
    elif kind is dict:
        last = (-1, 0, b"")
        for key, item in value.items():  # type: ignore[attr-defined]  # kind says that it is a dict
            order = _key_order(key)
            if order <= last:
                raise LocalError("a map out of order")
            last = order
            _check(key)
            if type(item) not in _SCALARS:
                _check(item, depth - 1)
    else:
        raise LocalError(f"a value of type {kind.__name__}")


_SCALARS: Final = frozenset({bytes, str, bool, type(None)})


def encode(value: object) -> bytes:
    """The one encoding of ``value``.  Raises LocalError for types, sizes or depth outside the wire."""
    try:
        plain = _plain(value, MAX_DEPTH)
        _check(plain)
        return cbor2.dumps(plain)
    except UnicodeEncodeError as error:
        raise LocalError("text with a lone surrogate") from error


def decode(data: bytes, *, limit: int = MAX_MESSAGE) -> object:
    """The value of ``data``, at most ``limit`` bytes; anything but its one encoding is a RemoteError."""
    if len(data) > limit:
        raise RemoteError(Denial.TOO_LARGE, f"{len(data)} bytes, limit {limit}")
    try:
        value = cbor2.loads(
            data,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_TAGS,
            tag_hook=_refuse,
        )
        _check(value)
        again = cbor2.dumps(value)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the decoder is compiled: its panics are no Exceptions
        raise RemoteError(Denial.BAD_FORMAT, "no CBOR of the wire") from error
    if again != data:
        raise RemoteError(Denial.BAD_FORMAT, "not the deterministic encoding")
    return value
