"""The attack that every offline lock has: a guest who is revoked keeps his phone, and himself, off the network."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lockserver.app.phone_sync import DoorKit
from tests.support.app_door import App, Door
from tests.support.house_party import Party, a_party

pytestmark = pytest.mark.contract


async def a_revoked_guest(door: Door) -> tuple[Party, str, App, DoorKit]:
    party = await a_party(door)
    guest = await party.guest()
    [grant] = await party.name(party.tenant, guest, party.room)
    await party.pass_time(timedelta(minutes=1))
    kept = await party.at(guest, party.room)
    assert kept is not None
    await party.act(party.tenant, "revoke", grant["id"])
    assert await party.listed(party.room), "the server has said so; the lock is offline and has not heard it"
    return party, party.room, guest, kept


async def test_attack_airplane_mode_evasion_of_revocation(door: Door) -> None:
    """It gains what the lock cannot know, and not an hour more than the first phone that brings the newer list."""
    party, room, guest, kept = await a_revoked_guest(door)
    assert party.tries(guest, room, kept, carried=False) == "open", (
        "what is left: told in threats.md, owed as debt"
    )
    assert await party.opens(party.tenant, room) == "open"
    assert party.tries(guest, room, kept, carried=False) == "revoked"


async def test_attack_airplane_mode_ends_with_the_keys_own_life(door: Door) -> None:
    """Nobody ever brings the list: the lock's own clock ends it."""
    party, room, guest, kept = await a_revoked_guest(door)
    await party.pass_time(timedelta(hours=73))
    assert party.tries(guest, room, kept, carried=False) == "expired"
    assert (await party.at(guest, room)) is None, "and there is no next key"
