"""Take a grantor's signature under all that a request of his grants: whom it names, until when (L-38).

A session is not enough to let people into a house or to make them its staff: it may be stolen, and a
wish that only says "sign a lease of this room" would serve for anybody else's lease of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.app.spend_wish import Taken, spend_wish
from lockserver.domain.canonical import dumps, loads
from lockserver.domain.errors import PhoneUnknownError, WishInvalidError
from lockserver.protocol.wish import OF, Arg, WishOperation, digest_of

APART = frozenset({"wish", "salt"})
"""Members of the request that the wish does not cover."""


@dataclass(frozen=True, slots=True, repr=False)
class Wished:
    """A request that grants something, and its holder's wish.

    `sent` is the JSON body as the client sent it, wish and salt included: what he signed is that, not
    our reading of it. The salt is kept only beside a body without a telephone number, so that what is
    kept lets nobody try telephone numbers.
    """

    wish: bytes
    salt: bytes
    sent: bytes

    @property
    def body(self) -> dict[str, Any]:
        """What the wish covers; raises InvalidInputError."""
        return {name: said for name, said in loads(self.sent).items() if name not in APART}


async def spend_covering_wish(
    work: UnitOfWork,
    now: datetime,
    holder_id: UUID,
    wished: Wished,
    operation: WishOperation,
    target: UUID,
    args: Mapping[str, Arg],
) -> Taken:
    """Use a wish that covers the whole request and names `args` besides; by which phone is the caller's to judge.

    Raises WishInvalidError, PhoneUnknownError, WishExpiredError, WishUsedError.
    """
    taken = await spend_wish(work, now, holder_id, wished.wish, operation, target)
    if taken.wish.args != {OF: digest_of(wished.salt, dumps(wished.body)), **args}:
        raise WishInvalidError
    return taken


async def spend_owners_wish(
    work: UnitOfWork,
    now: datetime,
    holder_id: UUID,
    wished: Wished,
    operation: WishOperation,
    target: UUID,
    args: Mapping[str, Arg] | None = None,
) -> Taken:
    """Use a wish that covers the whole request, by a phone that a lock's button proved.

    A phone that was proved as somebody's tenant is none of an owner's: whoever has the number could
    have had it proved in a house of his own.
    Raises WishInvalidError, PhoneUnknownError, WishExpiredError, WishUsedError.
    """
    taken = await spend_covering_wish(work, now, holder_id, wished, operation, target, args or {})
    if taken.phone.proved_by != "button":
        raise PhoneUnknownError
    return taken
