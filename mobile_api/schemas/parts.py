"""Field types that several resources share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
)

from lockserver.domain.canonical import b64url, unb64url
from lockserver.domain.errors import InvalidInputError
from lockserver.domain.times import require_utc
from lockserver.protocol.wish import SALT


def example(**fields: JsonValue) -> ConfigDict:
    """Return the model configuration that shows this body in the documentation."""
    return ConfigDict(json_schema_extra={"examples": [dict(fields)]})


def octets(count: int) -> str:
    """Return base64url of that many zero octets: the shape of a value in an example, and no value."""
    return b64url(bytes(count))


class In(BaseModel):
    """A request body: an unknown field is refused, so that a misspelt one is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Out(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True)


def _bytes_of(value: object) -> object:
    if isinstance(value, bytes):
        return value  # ours, on the way out; JSON has no bytes
    if not isinstance(value, str):
        raise ValueError("base64url text")  # noqa: TRY004 - pydantic's validators raise ValueError
    try:
        return unb64url(value)
    except InvalidInputError:
        raise ValueError("base64url without padding") from None


def _instant_of(value: datetime) -> str:
    return require_utc(value).isoformat().replace("+00:00", "Z")


Bytes = Annotated[
    bytes,
    BeforeValidator(_bytes_of),
    PlainSerializer(b64url, return_type=str),
    WithJsonSchema({"type": "string", "format": "base64url", "pattern": "^[A-Za-z0-9_-]*$"}),
]
"""base64url without padding."""

Point = Annotated[Bytes, Field(min_length=65, max_length=65)]
"""An uncompressed P-256 point."""

Wish = Annotated[Bytes, Field(min_length=64, max_length=512)]
"""An LK1-WISH."""

Salt = Annotated[Bytes, Field(min_length=SALT, max_length=SALT)]
"""Fresh for every wish over a body, and kept by nobody."""

Sealed = Annotated[Bytes, Field(min_length=82, max_length=16384)]
"""An ECIES box to the verify key."""

Instant = Annotated[
    datetime,
    PlainSerializer(_instant_of, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
PhoneNumber = Annotated[
    str, Field(min_length=6, max_length=20, pattern=r"^\+?[0-9 ()-]+$", examples=["13912345678"])
]


class WindowBody(BaseModel):
    """A half-open window `[from, until)`."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid", frozen=True)

    lower: Instant = Field(alias="from")
    upper: Instant = Field(alias="until")


class WishedIn(In):
    """A body that grants something, under the wish of an active phone of whoever grants it."""

    wish: Wish = Field(
        description="An LK1-WISH whose one argument `of` is SHA-256(salt ‖ J). J is this body as sent,"
        " without `wish` and `salt`, in canonical JSON: keys sorted, no spaces, UTF-8 (RFC 8785)."
        " Another body than that is `wish_invalid`."
    )
    salt: Salt = Field(description="16 random bytes, fresh for every wish; kept nowhere.")
