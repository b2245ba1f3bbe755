"""A filing: the body that goes to the province, its canonical bytes, and the digest of them.

Canonical JSON is RFC 8785 restricted to what the contract uses (no floats); see the contract's
README. The relay never builds a body: it opens what the declaring role sealed and sends exactly that.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

BODY_LIMIT = 256 * 1024  # bytes; a body with the largest portrait is about 165 KiB


class Kind(StrEnum):
    """The four filings of the contract."""

    REGISTER = "register"
    CHANGE = "change"
    DEPARTURE = "departure"
    WITHDRAWAL = "withdrawal"


class NotJsonError(ValueError):
    """The bytes are not the JSON that the contract allows."""


@dataclass(frozen=True, slots=True)
class Filing:
    """One body, ready to leave. `wire` holds personal data: it prints as its digest only."""

    client_no: str
    version: int
    kind: Kind
    wire: bytes
    content_digest: str
    fields: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Filing({self.client_no!r}, {self.version}, {self.kind.value}, {self.content_digest})"


@dataclass(frozen=True, slots=True)
class Sent:
    """What an attempt was recorded for: enough to hold an answer to it, and nothing personal."""

    kind: Kind
    content_digest: str


def _refuse(value: str) -> NoReturn:
    raise NotJsonError(f"number not in the contract's JSON: {value[:20]}")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJsonError("a key occurs twice")
    return found


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`.

    Raises:
        NotJsonError: not UTF-8, not JSON, not an object, a float, a key twice, nested too deep.

    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_twins,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except NotJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJsonError(type(error).__name__) from None
    if not isinstance(value, dict):
        raise NotJsonError("not an object")
    return value


def canonical(value: dict[str, Any]) -> bytes:
    """`value` in canonical form. All keys of the contract are ASCII, so sorting needs no UTF-16.

    Raises:
        NotJsonError: a string that UTF-8 cannot carry (a lone surrogate).

    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotJsonError("a lone surrogate") from None


def content_digest(wire: bytes) -> str:
    """`sha-256:` and the hex digest of canonical bytes."""
    return "sha-256:" + hashlib.sha256(wire).hexdigest()
