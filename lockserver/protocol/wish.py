"""A wish: the acting holder's own signature under whatever opens, grants or ends access."""

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from lockserver.protocol.cose import Kind, sign1, verify1
from lockserver.protocol.curve import Signer, keys_by_id
from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.fields import Fields, bad, writable
from lockserver.protocol.limits import MAX_ARGS, MAX_TEXT

MAX_WISH = 512
"""Bytes: a wish with a key as its argument needs about 260."""

MAX_ARG = 128
"""Bytes of a byte-string argument: a point is 65."""

OF = "of"
"""The argument that binds a wish to the request that it came with: its digest."""

SALT = 16
"""Bytes: who keeps the wish and not its salt can try no telephone number against the digest."""

Arg: TypeAlias = int | str | bytes


class WishOperation(IntEnum):
    """What a holder wants.  Append-only."""

    UNLOCK = 1  # target: lock
    LOCK = 2  # target: lock
    HOLD_OPEN = 3  # target: lock
    SHARE = 4  # target: grant; args: of
    FREEZE = 5  # target: grant
    UNFREEZE = 6  # target: grant
    REVOKE = 7  # target: grant, or an entry that was allowed
    READ_PIN = 8  # target: lock; args: code, start, or backup
    SET_PIN = 9  # target: lock; args: pin (a box `pin_set`)
    END_TENANCY = 10  # target: tenancy
    CONSENT_ENTRY = 11  # target: lock; args: from, until, class, who (optional)
    EMERGENCY_ENTRY = 12  # target: lock; args: reason, until
    NAME_STAFF = 13  # target: house; args: of, key
    NAME_GUEST = 14  # target: door; args: of, key
    REMOVE_PHONE = 15  # target: phone
    SIGN_TENANCY = 16  # target: door; args: of, from, until
    RELEASE_LOCK = 17  # target: lock; args: emergency (its reason), or none
    CHECK_IDENTITY = 18  # target: case
    EDIT_GRANT = 19  # target: grant; args: of
    ENROL_CARD = 20  # target: lock
    REMOVE_SLOT = 21  # target: slot
    NAME_GATEWAY = 22  # target: house; args: of
    RETIRE = 23  # target: lock


@dataclass(frozen=True, slots=True)
class Wish:
    """``wish_id`` is used once; ``target_id`` is a lock, grant, tenancy ... by the operation.

    ``not_after``: Unix seconds; from then on it is void.  ``args``: a few named values.
    """

    wish_id: bytes
    target_id: bytes
    operation: WishOperation
    not_after: int
    args: dict[str, Arg] = field(default_factory=dict)


def digest_of(salt: bytes, canonical: bytes) -> bytes:
    """Return the argument ``of``: H(salt || canonical JSON of the request without wish and salt).

    LocalError: the salt is not 16 bytes.
    """
    if len(salt) != SALT:
        raise LocalError(f"a salt of {len(salt)} bytes, not {SALT}")
    return hashlib.sha256(salt + canonical).digest()


def sign_wish(wish: Wish, signer: Signer) -> bytes:
    """Sign as LK1-WISH, by the holder's phone."""
    fields: dict[int, object] = {
        1: wish.wish_id,
        2: wish.target_id,
        3: int(wish.operation),
        4: wish.not_after,
    }
    if wish.args:
        fields[5] = dict(wish.args)
    data = sign1(Kind.WISH, writable(fields, _read), signer)
    if len(data) > MAX_WISH:
        raise LocalError(f"a wish of {len(data)} bytes, limit {MAX_WISH}")
    return data


def read_wish(data: bytes, holder_public: bytes) -> Wish:
    """Verify a wish under the holder's key (65-byte point).

    RemoteError: WISH_BAD for another key or signature, else BAD_FORMAT, TOO_LARGE, UNKNOWN_CLAIM.
    Deadline and single use are the reader's to judge.
    """
    try:
        verified = verify1(Kind.WISH, data, keys_by_id((holder_public,)), limit=MAX_WISH)
    except RemoteError as error:
        if error.code in {Denial.UNKNOWN_KEY, Denial.BAD_SIGNATURE}:
            raise RemoteError(Denial.WISH_BAD, error.detail) from error
        raise
    return _read(verified.payload)


def _read(payload: object) -> Wish:
    fields = Fields(payload, "wish")
    wish = Wish(
        wish_id=fields.id(1),
        target_id=fields.id(2),
        operation=fields.choice(3, WishOperation),
        not_after=fields.time(4),
        args=_read_args(fields.raw(5)) if fields.has(5) else {},
    )
    fields.close()
    return wish


def _read_args(value: object) -> dict[str, Arg]:
    if type(value) is not dict or not 1 <= len(value) <= MAX_ARGS:
        raise bad(f"args are a map of 1 to {MAX_ARGS}")
    for name, arg in value.items():
        if type(name) is not str or len(name) > MAX_TEXT:
            raise bad("an argument's name is text")
        if type(arg) not in {int, str, bytes} or (type(arg) is not int and len(arg) > MAX_ARG):
            raise bad(f"argument {name} is no integer, text or bytes within its range")
    return value
