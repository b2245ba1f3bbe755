"""Take a holder's signed wish: by an active phone of his, for this very thing, now, once (L-38)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.domain.account import Phone
from lockserver.domain.errors import (
    PhoneUnknownError,
    WishExpiredError,
    WishInvalidError,
    WishUsedError,
)
from lockserver.domain.lock import SpentWish
from lockserver.domain.times import from_seconds
from lockserver.protocol.cose import peek_kid
from lockserver.protocol.curve import key_id
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.wish import MAX_WISH, Wish, WishOperation, read_wish

LIFE_MAX = timedelta(minutes=10)
"""A wish is about now; one signed for next week is a right lying about."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A wish that held, and the phone that signed it."""

    wish: Wish
    phone: Phone


async def read_holders_wish(
    work: UnitOfWork, holder_id: UUID, raw: bytes, proved_for: UUID | None = None
) -> Taken:
    """Return the wish if one of the holder's active phones signed it.

    `proved_for`: a lease for which that phone must have passed identity or the staff check.
    Raises WishInvalidError, PhoneUnknownError (a phone of his that is not active, or did not pass).
    """
    try:
        kid = peek_kid(raw, limit=MAX_WISH)
    except RemoteError:
        raise WishInvalidError from None
    for phone in await work.phones.of_holder(holder_id):
        if key_id(phone.sign_pub) != kid:
            continue
        if phone.state != "active" or not await _passed(work, phone, proved_for):
            raise PhoneUnknownError
        try:
            return Taken(read_wish(raw, phone.sign_pub), phone)
        except RemoteError:
            raise WishInvalidError from None
    raise WishInvalidError


async def _passed(work: UnitOfWork, phone: Phone, tenancy_id: UUID | None) -> bool:
    if tenancy_id is None:
        return True
    verdict = await work.verdicts.newest(tenancy_id, phone.holder_id, phone.id)
    return verdict is not None and verdict.outcome == "approved"


async def spend_wish(
    work: UnitOfWork,
    now: datetime,
    holder_id: UUID,
    raw: bytes,
    operation: WishOperation,
    target: UUID,
    *,
    proved_for: UUID | None = None,
) -> Taken:
    """Use a wish. Its id can never be used again, whatever becomes of what it asked for.

    Raises WishInvalidError, PhoneUnknownError, WishExpiredError, WishUsedError.
    """
    taken = await read_holders_wish(work, holder_id, raw, proved_for)
    wish = taken.wish
    if wish.operation is not operation or wish.target_id != target.bytes:
        raise WishInvalidError
    not_after = from_seconds(wish.not_after)
    if now >= not_after:
        raise WishExpiredError
    if not_after - now > LIFE_MAX:
        raise WishInvalidError
    await work.wishes.spend(
        SpentWish(
            id=UUID(bytes=wish.wish_id),
            holder_id=holder_id,
            phone_id=taken.phone.id,
            operation=operation.name.lower(),
            target=target,
            not_after=not_after,
            raw=raw,
        )
    )
    return taken


async def check_same_phone(work: UnitOfWork, taken: Taken) -> None:
    """Let a wish be answered again only to the phone that spent it; raises WishUsedError.

    Its id alone is no proof: another phone of the same holder, proved somewhere else, may sign a wish with the
    id of his, and what is answered again is sealed to whoever asks.
    """
    spent = await work.wishes.get(UUID(bytes=taken.wish.wish_id))
    if spent is None or spent.phone_id != taken.phone.id:
        raise WishUsedError
