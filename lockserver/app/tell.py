"""Tell people, in the transaction of what they are told of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from lockserver.app.ports import Random, UnitOfWork
from lockserver.domain.entry import Notice, NoticeKind
from lockserver.domain.errors import NotFoundError
from lockserver.domain.ids import uuid7

SHOWN = 200
"""Newest notices of one answer."""


async def tell(
    work: UnitOfWork,
    random: Random,
    now: datetime,
    holder_ids: Iterable[UUID],
    kind: NoticeKind,
    about: UUID,
    detail: Mapping[str, object],
) -> None:
    """Write one notice a person. `detail` holds ids, times and codes: no field of any person."""
    for holder_id in sorted(set(holder_ids)):
        await work.notices.add(Notice(uuid7(now, random(10)), holder_id, kind, about, dict(detail), now))


async def read_notices(work: UnitOfWork, holder_id: UUID) -> Sequence[Notice]:
    """Return what he was told, newest first."""
    return await work.notices.of_holder(holder_id, SHOWN)


async def see_notice(work: UnitOfWork, now: datetime, holder_id: UUID, notice_id: UUID) -> Notice:
    """Note that he saw it; the first time counts. Raises NotFoundError, also for another's."""
    notice = await work.notices.get(notice_id)
    if notice is None or notice.holder_id != holder_id:
        raise NotFoundError
    if notice.seen_at is not None:
        return notice
    seen = replace(notice, seen_at=now)
    await work.notices.see(notice_id, now)
    return seen
