"""Who may speak for a grant: by which phone its holder signs, and who stands above it.

Asked twice: by the role api before it takes a wish, and by the issuer when it looks at the kept one.
"""

import hashlib
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.domain.account import Phone
from lockserver.domain.errors import PhoneUnknownError, WishInvalidError
from lockserver.domain.grant import Grant
from lockserver.domain.lock import SpentWish
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.wish import Wish, read_wish

DEEPEST = 3
"""Owner, staff, guest: nothing hangs deeper, and a row that says so is not believed."""


def key_of(phone: Phone) -> bytes:
    """Return what names a phone: SHA-256 of its signing key."""
    return hashlib.sha256(phone.sign_pub).digest()


async def signs_for(work: UnitOfWork, grant: Grant, phone: Phone) -> bool:
    """Tell whether this phone is the one by which the grant's holder signs.

    An owner's: proved by a lock's button. A tenant's: passed identity or the staff check for this very
    lease. A guest's or staff member's: the one whose key the grantor named. That a phone is proved
    somewhere else, perhaps in a house of a thief's own, counts for nothing.
    """
    if phone.holder_id != grant.holder_id:
        return False
    if grant.class_ == "owner":
        return phone.proved_by == "button"
    if grant.class_ == "tenant":
        if grant.tenancy_id is None:
            return False
        verdict = await work.verdicts.newest(grant.tenancy_id, phone.holder_id, phone.id)
        return verdict is not None and verdict.outcome == "approved"
    return grant.guest_key is not None and grant.guest_key == key_of(phone)


async def above(work: UnitOfWork, grant: Grant) -> list[Grant]:
    """Return the grants that it hangs under, the nearest first."""
    chain: list[Grant] = []
    while (chain[-1] if chain else grant).parent_id is not None and len(chain) < DEEPEST:
        parent_id = (chain[-1] if chain else grant).parent_id
        parent = None if parent_id is None else await work.grants.get(parent_id)
        if parent is None:
            break
        chain.append(parent)
    return chain


async def below(work: UnitOfWork, grant: Grant) -> list[Grant]:
    """Return the grants that hang under it and are not revoked, held, the nearest first."""
    found: list[Grant] = []
    level = [grant]
    for _ in range(DEEPEST):
        level = list(await work.grants.children([one.id for one in level])) if level else []
        found += level
    return found


async def kept_wish(work: UnitOfWork, spent: SpentWish) -> tuple[Wish, Phone] | None:
    """Return a kept wish and the phone that signed it; None where its row says another thing than it.

    The phone may be gone by now: it was active when the wish was kept, of which the database takes care.
    """
    phone = await work.phones.get(spent.phone_id)
    if phone is None or phone.holder_id != spent.holder_id:
        return None
    try:
        wish = read_wish(spent.raw, phone.sign_pub)
    except RemoteError:
        return None
    said = (UUID(bytes=wish.wish_id), UUID(bytes=wish.target_id), wish.operation.name.lower())
    return (wish, phone) if said == (spent.id, spent.target, spent.operation) else None


async def check_signs(work: UnitOfWork, grant: Grant, phone: Phone) -> None:
    """Raise PhoneUnknownError where a phone does not sign for the grant's holder."""
    if phone.holder_id != grant.holder_id:
        raise WishInvalidError
    if not await signs_for(work, grant, phone):
        raise PhoneUnknownError
