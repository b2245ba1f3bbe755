"""L-45: an emergency for which a lock was to be let go takes no way in of who moved in months later.

The lock is offline, so the order reaches nobody; the server goes on signing it anew.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from lockserver.app import release_lock
from lockserver.app.release_lock import renew_releases
from lockserver.domain.canonical import unb64url
from lockserver.protocol.access import Operation
from lockserver.protocol.carried import DocumentKind, SignedDocument
from lockserver.protocol.documents import ReleaseReason
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.wish import Arg, WishOperation
from tests.support.app_door import Door
from tests.support.house_party import Party, a_party
from tests.support.site import Holder

pytestmark = pytest.mark.contract

REASON = "the bolt is stuck and must be drilled open"


async def declared(door: Door) -> Party:
    """A room whose lock knows that somebody lives there; its owner had an emergency, and the lock heard nothing."""
    party = await a_party(door)
    assert await party.opens(party.tenant, party.room) == "open", "the room is occupied, the lock knows it"
    lock = party.locks[party.room]
    args: dict[str, Arg] = {"emergency": REASON}
    wish = party.landlord.wish(WishOperation.RELEASE_LOCK, str(lock), args=args)
    [(owner,)] = door.database.execute(
        "SELECT holder_id FROM phones WHERE id = %s", UUID(party.landlord.phone_id)
    )
    await release_lock.release_lock(party.issuing, owner, lock, unb64url(wish))
    return party


async def still_lives_there(party: Party) -> bool:
    """Four days later; whoever carries it brings the newest order to the lock. Whether the tenant's key opens then."""
    await party.pass_time(timedelta(hours=90))
    await renew_releases(party.issuing)
    async with party.issuing.transactions.begin() as work:
        latest = await work.lock_documents.latest(party.locks[party.room], "release")
    assert latest is not None
    assert latest.number == 2, "it was signed anew"
    order = SignedDocument(DocumentKind.RELEASE, latest.raw)
    return await opens_with(party, order)


async def opens_with(party: Party, order: SignedDocument) -> bool:
    desk = party.desks[party.room]
    kit = await party.at(party.tenant, party.room)
    assert kit is not None
    assert kit.credential is not None
    desk.open(Holder(party.tenant.sign_key, b""), kit.credential.raw, order, operation=Operation.SYNC)
    desk.lock.wait(15)
    try:
        return party.tries(party.tenant, party.room, kit, carried=False) == "open"
    except RemoteError:  # a lock that is nobody's has no identity to shake hands with
        return False


async def test_L45_an_emergency_signed_anew_is_none(door: Door) -> None:
    assert await still_lives_there(await declared(door))


async def test_L45_mutant_an_emergency_without_end_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Emergency:
        RELEASED = EMERGENCY = ReleaseReason.EMERGENCY

    monkeypatch.setattr(release_lock, "ReleaseReason", Emergency)
    assert not await still_lives_there(await declared(door))
