"""Destroy what a case kept: its key, its parts, its draft; leave a receipt of that (X10).

The receipt names digests of the sealed bytes, so that it proves which boxes died, and says nothing
about what was in them.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from lockserver.app.ports import UnitOfWork
from lockserver.domain.canonical import dumps
from lockserver.domain.case import IDLE_LIMIT

Cause = Literal["receipted", "idle", "face_consent_withdrawn"]


async def destroy_case(work: UnitOfWork, now: datetime, case_id: UUID, cause: Cause) -> bool:
    """Destroy a case's key and everything under it; False where that was done before."""
    case = await work.case_files.lock(case_id)
    if case.destroyed_at is not None:
        return False
    digests = await work.case_files.drop_parts(case_id)
    receipt = _receipt(case_id, now, cause, digests, key_destroyed=case.sealed_key is not None)
    await work.case_files.save(case.destroyed(now, receipt))
    await work.audit.write("role:verify", "destroy_case", f"case:{case_id}", cause=cause, parts=len(digests))
    return True


async def forget_face(work: UnitOfWork, now: datetime, case_id: UUID) -> None:
    """Destroy the selfie, what it was compared to, and the scores, after consent was withdrawn.

    The key the tenant already has stays his (L-47).
    """
    case = await work.case_files.lock(case_id)
    digests = await work.case_files.drop_parts(case_id, "selfie")
    receipt = _receipt(case_id, now, "face_consent_withdrawn", digests, key_destroyed=False)
    state = "open" if case.confirmed_digest is None else "confirmed"
    undecided = case.state in {"review", "declined", "confirmed", "open"}
    await work.case_files.save(
        replace(
            case,
            scores=None,
            destruction_receipt=receipt,
            state=state if undecided else case.state,  # type: ignore[arg-type]  # of CaseState's words
            outcome=None if undecided else case.outcome,
            repeat_step=None,
        )
    )
    await work.audit.write("role:verify", "forget_face", f"case:{case_id}", parts=len(digests))


async def destroy_what_is_due(work: UnitOfWork, now: datetime) -> int:
    """Destroy every case that has its receipt, was left alone too long, or lost a consent.

    Returns how many. A hundred of each at most; called after each receipt and every minute.
    """
    done = 0
    for case_id in await work.case_files.withdrawn_with_face():
        await forget_face(work, now, case_id)
        done += 1
    for case_id in await work.case_files.kept_and_receipted():
        done += await destroy_case(work, now, case_id, "receipted")
    for case in await work.case_files.kept_idle_since(now - IDLE_LIMIT):
        if case.idle_since(now):
            done += await destroy_case(work, now, case.id, "idle")
    return done


def _receipt(
    case_id: UUID, now: datetime, cause: Cause, digests: Sequence[bytes], *, key_destroyed: bool
) -> bytes:
    return dumps(
        {
            "case": case_id,
            "at": now,
            "cause": cause,
            "key_destroyed": key_destroyed,
            "parts": sorted(digest.hex() for digest in digests),
        }
    )
