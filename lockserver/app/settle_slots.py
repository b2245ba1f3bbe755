"""What a lock's report of its documents settles: slots, and which document it will not have (L-22).

A slot is `set` because the lock said that it holds a version in which it stands, and gone for the same reason. A
document that the lock refuses again and again is sent no more: that would drain it and change nothing. It is
shown as `refusing`, and tried again when the lock has booted, or when there is a newer one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lockserver.app.ports import UnitOfWork
from lockserver.domain.lock import DocumentKind, LockDocument, LockStatus
from lockserver.protocol.errors import Denial
from lockserver.protocol.reports import Applied

REFUSALS: Final = 5
"""So often a lock may refuse one document before it is believed."""
_NO_DOCUMENT: Final = frozenset({Denial.WRONG_NONCE})
"""Denials that are about a time statement: it came late, and the next one will not."""


async def settle_slots(work: UnitOfWork, said: LockStatus, now: datetime) -> None:
    """Take the lock's word for the version that it reported. Call it once that is written down."""
    if said.state_number is None:
        return
    for slot in await work.slots.settle(said.lock_id, said.state_number, now):
        await work.audit.write(
            "role:bridge",
            f"slot_{slot.state}",
            f"slot:{slot.id}",
            lock=str(slot.lock_id),
            version=said.state_number,
        )


async def count_refusals(work: UnitOfWork, said: LockStatus, applied: Applied) -> None:
    """Count against each document that the lock still lacks after it refused something."""
    denials = [denial for denial in applied.denials if denial not in _NO_DOCUMENT]
    if not denials:
        return
    held = held_numbers(said)
    for one in await work.lock_documents.all_latest(said.lock_id):
        if one.kind in held and one.number > held[one.kind]:
            await work.lock_documents.refuse(one, denials[0].word)
            if one.refused + 1 == REFUSALS:
                await work.audit.write(
                    "role:bridge", "lock_refuses", f"lock:{said.lock_id}", kind=one.kind, number=one.number,
                    denial=denials[0].word,
                )  # fmt: skip


def held_numbers(said: LockStatus) -> dict[DocumentKind, int]:
    """Return the numbers that the lock last reported, -1 for what it never spoke of."""
    numbers: dict[DocumentKind, int | None] = {
        "keys": said.keys_number,
        "revocation": said.revocation_number,
        "state": said.state_number,
    }
    return {kind: -1 if number is None else number for kind, number in numbers.items()}


def refusing(desired: Sequence[LockDocument], said: LockStatus) -> list[LockDocument]:
    """Return the documents that the lock lacks because it would not have them."""
    held = held_numbers(said)
    return [one for one in desired if one.refused >= REFUSALS and one.number > held.get(one.kind, one.number)]
