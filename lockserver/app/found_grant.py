"""Whether a grant stands on what it says it stands on: the issuer signs for no row that is only a row.

Grants are written by the role api, which a stolen session or an intruder reaches first. So what a
grant claims is looked up again where it cannot be made up beside it: who owns the house, which lease
lives there and who is named in it, and the signatures of those who granted it, up to owner or tenant.
Wishes about a grant are read again in the order in which they were kept: what its holder or grantor
froze, revoked or cut stays so, whatever its row says.
"""

from dataclasses import replace
from typing import Final
from uuid import UUID

from lockserver.app.keep_house import KEY, OWNER_CAPABILITIES
from lockserver.app.ports import UnitOfWork
from lockserver.app.sign_for_grant import DEEPEST, above, kept_wish, signs_for
from lockserver.app.sign_tenancy import FROM, GATE_CAPABILITIES, TENANT_CAPABILITIES, UNTIL
from lockserver.domain.account import Phone
from lockserver.domain.canonical import dumps, loads
from lockserver.domain.errors import DomainError
from lockserver.domain.grant import Capability, Grant, GrantClass, Reach
from lockserver.domain.house import Door
from lockserver.domain.lock import SpentWish
from lockserver.domain.tenancy import Tenancy
from lockserver.domain.terms import Terms, read_edit, read_terms
from lockserver.domain.times import whole_seconds
from lockserver.protocol.wish import OF, Wish, WishOperation, digest_of

GUEST_CAPABILITIES: Final = int(Capability.UNLOCK | Capability.HOLD_OPEN | Capability.LOCK)
MOST: Final[dict[GrantClass, int]] = {
    "owner": OWNER_CAPABILITIES,
    "staff": OWNER_CAPABILITIES,
    "tenant": TENANT_CAPABILITIES,
    "guest": GUEST_CAPABILITIES,
}
"""What a class may convey at most. `entry` to an occupied room stands in none of them: that takes the
tenant's wish or a recorded emergency."""
CHANGES: Final = frozenset(
    {WishOperation.FREEZE, WishOperation.UNFREEZE, WishOperation.REVOKE, WishOperation.EDIT_GRANT}
)


async def is_founded(work: UnitOfWork, grant: Grant, door: Door, phone: Phone | None = None) -> bool:
    """Tell whether house, lease and kept wishes bear the grant out; for this phone, where one asks for a key."""
    if phone is not None and grant.class_ in {"guest", "staff"} and not await signs_for(work, grant, phone):
        return False
    return await _stands(work, grant, door, DEEPEST)


async def _stands(work: UnitOfWork, grant: Grant, door: Door, deep: int) -> bool:
    """Tell whether the grant stands; those above it too, `deep` of them at most."""
    if grant.capabilities & ~MOST[grant.class_] or grant.door_id != door.id or grant.state != "active":
        return False
    given = await _given(work, grant, door, deep)
    return given is not None and await _still(work, grant, given)


async def _given(work: UnitOfWork, grant: Grant, door: Door, deep: int) -> Reach | None:
    """Return how far the grant went when it was given, or None where nothing gives it."""
    house = await work.houses.one(door.house_id)
    if grant.class_ == "owner":
        owns = house.owner_holder_id == grant.holder_id
        return replace(grant.reach, capabilities=OWNER_CAPABILITIES) if owns else None
    if grant.class_ == "tenant":
        return None if grant.tenancy_id is None else await _leased(work, grant, door, grant.tenancy_id)
    return await _named(work, grant, door, deep)


async def _leased(work: UnitOfWork, grant: Grant, door: Door, tenancy_id: UUID) -> Reach | None:
    """Return what a lease that the landlord signed lets to this person at this door."""
    tenancy = await work.tenancies.one(tenancy_id)
    room = door if door.id == tenancy.door_id else await work.doors.one(tenancy.door_id)
    own = room.id == door.id
    lets = own or (door.kind == "gate" and room.house_id == door.house_id)
    if not lets or tenancy.state != "signed" or grant.epoch != (tenancy.epoch if own else None):
        return None
    if grant.holder_id not in {one.holder_id for one in await work.tenancies.occupants(tenancy_id)}:
        return None
    if not await is_signed(work, tenancy, room):
        return None
    return Reach(tenancy.window, TENANT_CAPABILITIES if own else GATE_CAPABILITIES)


async def is_signed(work: UnitOfWork, tenancy: Tenancy, room: Door) -> bool:
    """Tell whether the house's owner signed a lease of this room for at least this window.

    The names in it stood in his wish as a digest that nobody can open any more; one wish makes one lease.
    """
    spent = None if tenancy.wish_id is None else await work.wishes.get(tenancy.wish_id)
    kept = None if spent is None else await kept_wish(work, spent)
    if kept is None:
        return False
    wish, phone = kept
    house = await work.houses.one(room.house_id)
    since, until = wish.args.get(FROM), wish.args.get(UNTIL)
    return (
        wish.operation is WishOperation.SIGN_TENANCY
        and wish.target_id == room.id.bytes
        and phone.holder_id == house.owner_holder_id
        and phone.proved_by == "button"
        and type(since) is int
        and type(until) is int
        and since <= whole_seconds(tenancy.lower)
        and whole_seconds(tenancy.upper) <= until
    )


async def _named(work: UnitOfWork, grant: Grant, door: Door, deep: int) -> Reach | None:
    """Return what a grantor signed for this guest or staff member, under a grant of his that stands."""
    spent = None if grant.wish_id is None else await work.wishes.get(grant.wish_id)
    parent = None if grant.parent_id is None else await work.grants.get(grant.parent_id)
    if deep == 0 or spent is None or parent is None or parent.door_id != door.id:
        return None
    kept = await kept_wish(work, spent)
    if kept is None or not await signs_for(work, parent, kept[1]):
        return None
    terms = await _terms(work, grant, door, kept[0])
    if terms is None or not await may_name(work, parent, grant.class_, door):
        return None
    if (grant.tenancy_id, grant.epoch) != (parent.tenancy_id, parent.epoch):
        return None
    inside = grant.reach.lies_in(parent.reach)
    return terms.reach if inside and await _stands(work, parent, door, deep - 1) else None


async def _terms(work: UnitOfWork, grant: Grant, door: Door, wish: Wish) -> Terms | None:
    """Return the terms of the wish, where it is about this grant's door, class, phone and number of uses."""
    kept = None if grant.wish_id is None else await work.wishes.terms(grant.wish_id)
    if kept is None or wish.args != {OF: digest_of(kept.salt, kept.body), KEY: grant.guest_key}:
        return None
    try:
        body = loads(kept.body)
        terms = read_terms(body)
    except DomainError:
        return None
    guest = terms.class_ == "guest"
    target = terms.door_ids[0] if guest else door.house_id
    operation = WishOperation.NAME_GUEST if guest else WishOperation.NAME_STAFF
    about = (wish.operation, wish.target_id, terms.class_, terms.key, terms.uses, dumps(body))
    if about != (operation, target.bytes, grant.class_, grant.guest_key, grant.uses, kept.body):
        return None
    return terms if grant.door_id in terms.door_ids else None


async def may_name(work: UnitOfWork, parent: Grant, class_: GrantClass, door: Door) -> bool:
    """Tell whether who holds this grant may name such people at this door.

    Staff: the owner. Guests of a room: an adult who lives there; of a gate: he, or owner and staff.
    """
    if class_ == "staff":
        return parent.class_ == "owner"
    if parent.class_ == "tenant" and parent.tenancy_id is not None:
        people = await work.tenancies.occupants(parent.tenancy_id)
        return parent.holder_id in {one.holder_id for one in people if not one.is_minor}
    return door.kind == "gate" and parent.class_ in {"owner", "staff"}


async def _still(work: UnitOfWork, grant: Grant, given: Reach) -> bool:
    """Tell whether the kept wishes about the grant leave it alive, and as wide as its row."""
    chain = await above(work, grant)
    ranks = [one.holder_id for one in (grant, *chain)]
    now = replace(grant.reaching(given), state="active", frozen_at=None, frozen_by=None)
    for spent in await work.wishes.about(grant.id):
        kept = await kept_wish(work, spent)
        if kept is None or kept[0].operation not in CHANGES or not await _speaks(work, grant, chain, kept[1]):
            continue
        now = await _after(work, now, kept[0], spent, ranks)
    return now.state == "active" and grant.reach.lies_in(now.reach)


async def _speaks(work: UnitOfWork, grant: Grant, chain: list[Grant], phone: Phone) -> bool:
    for one in (grant, *chain):
        if one.holder_id == phone.holder_id and await signs_for(work, one, phone):
            return True
    return False


async def _after(work: UnitOfWork, grant: Grant, wish: Wish, spent: SpentWish, ranks: list[UUID]) -> Grant:
    """Return the grant after one more wish; one that changes nothing is passed over."""
    try:
        if wish.operation is WishOperation.REVOKE:
            return grant.revoked(spent.not_after)
        if wish.operation is WishOperation.FREEZE:
            return grant.frozen(spent.not_after, spent.holder_id, ranks)
        if wish.operation is WishOperation.UNFREEZE:
            return grant.unfrozen(spent.holder_id)
        kept = await work.wishes.terms(spent.id)
        if kept is None or wish.args != {OF: digest_of(kept.salt, kept.body)}:
            return grant
        return grant.edited(read_edit(loads(kept.body)))
    except (DomainError, ValueError):
        return grant
