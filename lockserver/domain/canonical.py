"""Canonical JSON between roles: sorted keys, no spaces, UTF-8, binary as base64url without padding.

The same facts give the same bytes, so that a digest of a body means something.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from lockserver.domain.errors import InvalidInputError
from lockserver.domain.times import require_utc


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return b64url(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return require_utc(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical form")


def dumps(value: Mapping[str, object]) -> bytes:
    """Return the canonical bytes; bytes, UUIDs and dates inside become strings."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=_plain,
    ).encode()


def loads(raw: bytes) -> dict[str, Any]:
    """Return the object that the bytes hold; raises InvalidInputError for anything else."""
    try:
        value = json.loads(raw)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as fault:
        raise InvalidInputError("not JSON") from fault
    if not isinstance(value, dict):
        raise InvalidInputError("not a JSON object")
    return value


def b64url(raw: bytes) -> str:
    """Return base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    """Return the bytes of base64url without padding; raises InvalidInputError."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as fault:
        raise InvalidInputError("not base64url") from fault
    if b64url(raw) != text:
        raise InvalidInputError("base64url in another spelling")
    return raw
