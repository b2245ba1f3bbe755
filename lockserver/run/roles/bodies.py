"""Reading the bodies of requests between roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.domain.canonical import unb64url
from lockserver.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping


def uuid(body: Mapping[str, Any], name: str) -> UUID:
    """Return an id. Raises InvalidInputError, which names the field."""
    try:
        return UUID(str(body[name]))
    except (KeyError, ValueError) as error:
        raise InvalidInputError(field=name) from error


def octets(body: Mapping[str, Any], name: str) -> bytes:
    """Return bytes of base64url. Raises InvalidInputError, which names the field."""
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidInputError(field=name)
    return unb64url(value)
