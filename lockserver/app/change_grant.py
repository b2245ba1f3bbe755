"""Freeze, thaw, revoke or edit a grant, by the signed wish of who gave it, or of its own holder.

What hangs under a grant follows it: frozen with it, revoked with it, cut to what is left of it. A tenant's
way in is his alone (L-45): he may freeze and thaw it, say when a phone is gone; nobody else may touch it,
nor what he gave his guests; and it ends with the lease, by the wishes of those who live there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lockserver.app.found_grant import MOST
from lockserver.app.give_grants import check_inside
from lockserver.app.ports import Random, UnitOfWork
from lockserver.app.sign_for_grant import above, below, check_signs
from lockserver.app.spend_owners_wish import Wished, spend_covering_wish
from lockserver.app.spend_wish import spend_wish
from lockserver.app.tell import tell
from lockserver.domain.canonical import dumps
from lockserver.domain.entry import NoticeKind
from lockserver.domain.errors import (
    NotAllowedError,
    NotFoundError,
    TenantProtectedError,
    WindowInvalidError,
)
from lockserver.domain.grant import Grant
from lockserver.domain.grant_errors import GrantEndedError
from lockserver.domain.lock import WishTerms
from lockserver.domain.terms import check_ahead, read_edit
from lockserver.protocol.wish import WishOperation


@dataclass(frozen=True, slots=True)
class Changed:
    """The grant as it stands now, and the locks whose revocation list must follow."""

    grant: Grant
    lock_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Speaker:
    """A grant, held; those above it; and the one of them through which the caller speaks."""

    grant: Grant
    chain: Sequence[Grant]
    through: Grant

    @property
    def ranks(self) -> list[UUID]:
        """Its holder, who gave it to him, who gave it to that one."""
        return [one.holder_id for one in (self.grant, *self.chain)]


async def speaker_for(work: UnitOfWork, caller_id: UUID, grant_id: UUID, *, ends: bool) -> Speaker:
    """Return the grant, held, with how the caller speaks for it. `ends`: for good, or by an edit.

    Raises NotFoundError for who has nothing to do with it, TenantProtectedError, NotAllowedError.
    """
    grant = await work.grants.lock(grant_id)
    chain = await above(work, grant)
    through = next((one for one in (grant, *chain) if one.holder_id == caller_id), None)
    if through is None:
        if grant.tenancy_id is not None and await _runs(work, caller_id, grant):
            raise TenantProtectedError
        raise NotFoundError
    # Nobody has a lease's key taken for good but by its end, nor an owner's; and only a grantor edits.
    if ends and grant.class_ in {"owner", "tenant"}:
        raise NotAllowedError
    return Speaker(grant, chain, through)


async def _runs(work: UnitOfWork, caller_id: UUID, grant: Grant) -> bool:
    door = await work.doors.one(grant.door_id)
    house = await work.houses.one(door.house_id)
    return house.owner_holder_id == caller_id or await work.houses.is_staff(house.id, caller_id)


async def freeze_grant(
    work: UnitOfWork, random: Random, now: datetime, caller_id: UUID, grant_id: UUID, wish: bytes
) -> Changed:
    """Freeze it, and with it what hangs under it. Raises as `speaker_for`, GrantEndedError, Wish…Error."""
    speaker = await speaker_for(work, caller_id, grant_id, ends=False)
    await _spend(work, now, speaker, wish, WishOperation.FREEZE)
    frozen = speaker.grant.frozen(now, caller_id, speaker.ranks)
    under = await below(work, speaker.grant)
    return await _close(work, random, now, speaker, frozen, "grant_frozen", under)


async def unfreeze_grant(
    work: UnitOfWork, random: Random, now: datetime, caller_id: UUID, grant_id: UUID, wish: bytes
) -> Changed:
    """Thaw it, if it was frozen by the caller; new credentials are cut at the next sync.

    Raises as `speaker_for`, GrantEndedError, Wish…Error.
    """
    speaker = await speaker_for(work, caller_id, grant_id, ends=False)
    await _spend(work, now, speaker, wish, WishOperation.UNFREEZE)
    thawed = speaker.grant.unfrozen(caller_id)
    await work.grants.save(thawed)
    return await _told(work, random, now, speaker, thawed, "grant_unfrozen", ())


async def revoke_grant(
    work: UnitOfWork, random: Random, now: datetime, caller_id: UUID, grant_id: UUID, wish: bytes
) -> Changed:
    """Take it away for good, and all that hangs under it. Raises as `speaker_for`, GrantEndedError, Wish…Error."""
    speaker = await speaker_for(work, caller_id, grant_id, ends=True)
    await _spend(work, now, speaker, wish, WishOperation.REVOKE)
    if speaker.grant.state == "revoked":
        raise GrantEndedError
    under = await below(work, speaker.grant)
    for child in under:
        await work.grants.save(child.revoked(now))
    return await _close(work, random, now, speaker, speaker.grant.revoked(now), "grant_revoked", under)


async def edit_grant(
    work: UnitOfWork, random: Random, now: datetime, caller_id: UUID, grant_id: UUID, wished: Wished
) -> Changed:
    """Change what is mentioned and keep the rest; reach further only by saying `widen`, inside the grantor's own.

    Raises as `speaker_for`, GrantEndedError, WideningRefusedError, WindowInvalidError, WindowPastError,
    WindowWideError, CapabilityWideError, ScheduleInvalidError, ScheduleZoneError, ScheduleWideError,
    InvalidInputError, Wish…Error.
    """
    speaker = await speaker_for(work, caller_id, grant_id, ends=True)
    grant = speaker.grant
    if speaker.through.id == grant.id or not speaker.chain:
        raise NotAllowedError
    edit = read_edit(wished.body)
    operation = WishOperation.EDIT_GRANT
    taken = await spend_covering_wish(work, now, caller_id, wished, operation, grant.id, {})
    await check_signs(work, speaker.through, taken.phone)
    try:
        edited = grant.edited(edit)
    except ValueError as turned:
        raise WindowInvalidError(field="window.until", later_than=grant.lower.isoformat()) from turned
    check_ahead(edited.window, now)
    door = await work.doors.one(grant.door_id)
    check_inside(edited.reach, speaker.chain[0].reach, MOST[grant.class_], door)
    terms = WishTerms(UUID(bytes=taken.wish.wish_id), dumps(wished.body), wished.salt)
    await work.wishes.keep_terms(terms)
    under = await below(work, grant)
    await _cut_below(work, now, edited)
    return await _close(work, random, now, speaker, edited, "grant_edited", under)


async def _cut_below(work: UnitOfWork, now: datetime, parent: Grant) -> None:
    """Cut what hangs under a grant to what is left of it; where nothing is left it is revoked."""
    for child in await work.grants.children([parent.id]):
        left = child.reach.cut_to(parent.reach)
        if left == child.reach:
            continue
        cut = child.revoked(now) if left is None else child.reaching(left)
        await work.grants.save(cut)
        await work.credentials.withdraw([child.id], now)
        if left is None:
            for lower in await below(work, child):
                await work.grants.save(lower.revoked(now))
                await work.credentials.withdraw([lower.id], now)
        else:
            await _cut_below(work, now, cut)


async def _spend(
    work: UnitOfWork, now: datetime, speaker: Speaker, wish: bytes, operation: WishOperation
) -> None:
    """Take the wish of who speaks, by the phone with which he signs for the grant that he speaks through."""
    through = speaker.through
    taken = await spend_wish(work, now, through.holder_id, wish, operation, speaker.grant.id)
    await check_signs(work, through, taken.phone)


async def _close(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    speaker: Speaker,
    after: Grant,
    kind: NoticeKind,
    under: Sequence[Grant],
) -> Changed:
    """Write the grant, and mark its keys and those of what hangs under it: the next list names them."""
    await work.grants.save(after)
    await work.credentials.withdraw([after.id, *(one.id for one in under)], now)
    return await _told(work, random, now, speaker, after, kind, under)


async def _told(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    speaker: Speaker,
    after: Grant,
    kind: NoticeKind,
    under: Sequence[Grant],
) -> Changed:
    caller = speaker.through.holder_id
    await work.audit.write(f"holder:{caller}", kind, f"grant:{after.id}", under=len(under))
    touched = {one.holder_id for one in (after, *under)} - {caller}
    await tell(work, random, now, touched, kind, after.id, {"door": str(after.door_id)})
    # All hang at the same door: a child's door is its parent's.
    lock = await work.locks.at_door(after.door_id)
    if lock is None:
        return Changed(after, ())
    await work.notify("lock_state", lock.id.hex)
    return Changed(after, [lock.id])


async def read_grant(work: UnitOfWork, caller_id: UUID, grant_id: UUID) -> Grant:
    """Return a grant to its holder and to who stands above it; raises NotFoundError for everybody else."""
    grant = await work.grants.get(grant_id)
    if grant is None:
        raise NotFoundError
    if caller_id not in {one.holder_id for one in (grant, *await above(work, grant))}:
        raise NotFoundError
    return grant
