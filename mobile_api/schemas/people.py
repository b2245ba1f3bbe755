"""Login, the person himself, his phones."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from mobile_api.schemas.parts import (
    Bytes,
    In,
    Instant,
    Out,
    PhoneNumber,
    Point,
    Wish,
    example,
    octets,
)


class CodeIn(In):
    """Where to send a one-time code."""

    model_config = example(phone="13912345678")

    phone: PhoneNumber


class CodeOut(Out):
    """Said of every number alike."""

    sent: Literal[True] = True
    expires_in_s: int


class LoginIn(In):
    """A one-time code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"phone": "13912345678", "code": "042917"}]})

    phone: PhoneNumber
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class RefreshIn(In):
    """A refresh token; it dies by being used."""

    model_config = example(refresh_token=octets(32))

    refresh_token: Annotated[str, Field(min_length=40, max_length=64)]


class TokensOut(Out):
    """A session. `session_id` is what a phone's proof is bound to."""

    session_id: UUID
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6750's word
    expires_at: Instant


class PhoneIn(In):
    """A phone's two public keys, and their proof.

    `proof` is an LK1-REQ signed by `sign_pub`'s key: `phone_id` = this session's id, `method_path` =
    `POST /v1/phones`, `body_hash` = SHA-256(sign_pub ‖ ecdh_pub).
    """

    model_config = example(sign_pub=octets(65), ecdh_pub=octets(65), proof=octets(200))

    sign_pub: Point
    ecdh_pub: Point
    proof: Annotated[Bytes, Field(min_length=64, max_length=512)]


class PhoneOut(Out):
    """A phone; `phone_code` is what staff read off its screen."""

    id: UUID
    state: Literal["pending", "active", "revoked"]
    proved_by: Literal["button", "face", "staff", "grantor"] | None
    sign_pub: Bytes
    phone_code: str


class WishIn(In):
    """The acting holder's own signature."""

    model_config = example(wish=octets(160))

    wish: Wish


class MeOut(Out):
    """The session, its account and the person behind it."""

    session_id: UUID
    account_id: UUID
    holder_id: UUID
    subject: Bytes
    phone_mask: str
    phones: list[PhoneOut]
