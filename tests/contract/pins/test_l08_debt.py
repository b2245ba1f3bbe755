"""L-08, X4: whatever an offline lock would still open for, and must not, is in its debt; and the debt is paid to zero.

The lock is real, and so is what former holders kept: their keys as they were given, their PINs, their cards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from firmware_sim.core.events import Sign
from lockserver.app import report_debt
from lockserver.app.phone_sync import DoorKit
from lockserver.protocol.access import Operation
from lockserver.protocol.pin import PinCode
from tests.support.app_door import App
from tests.support.house_party import DAY
from tests.support.keypad_house import GOOD, KeypadHouse

pytestmark = pytest.mark.contract
HOUR = timedelta(hours=1)


@dataclass
class Kept:
    """What people carried away: keys with whose phone they are, and digits."""

    keys: list[tuple[str, App, DoorKit]] = field(default_factory=list)
    pins: list[tuple[str, str]] = field(default_factory=list)

    async def key(self, house: KeypadHouse, kind: str, app: App) -> None:
        kit = await house.party.at(app, house.room)
        assert kit is not None
        assert kit.credential is not None, kit.withheld
        self.keys.append((kind, app, kit))

    def opens(self, house: KeypadHouse) -> set[str]:
        """Kinds of what the lock opens for right now."""
        room, found = house.room, set()
        for kind, app, kit in self.keys:
            if house.party.tries(app, room, kit, carried=False) == "open":
                found.add(kind)
        for kind, digits in self.pins:
            if house.key_in(room, digits) is Sign.OPEN:
                found.add(kind)
        return found


async def owed(house: KeypadHouse) -> set[str]:
    """Kinds in the lock's debt, as the landlord sees it."""
    await house.party.landlord.log_in()
    found = await house.debt(house.party.landlord, house.room)
    assert found["owed"] == sum(line["count"] for line in found["lines"])
    assert (found["pay"] == []) == (found["owed"] == 0)
    return {line["kind"] for line in found["lines"]}


async def everything(house: KeypadHouse) -> Kept:
    """A tenant with a key, a PIN and a backup PIN, his guest with a key, and a guest's offline PIN in use."""
    party, room, kept = house.party, house.room, Kept()
    await kept.key(house, "credential", party.tenant)
    guest = await party.guest()
    await party.name(party.tenant, guest, room)
    await party.pass_time(timedelta(minutes=1))
    await kept.key(house, "credential", guest)
    await house.choose(party.tenant, room, GOOD)
    await house.converge(room)
    backup = house.digits(party.tenant, room, await house.backup(party.tenant, room))
    offline = house.digits(
        party.tenant, room, await house.read_out(party.tenant, room, int(PinCode.WEEK), HOUR)
    )
    await party.pass_time(HOUR)
    assert house.key_in(room, offline) is Sign.OPEN
    kept.pins = [("pin", GOOD), ("pin", backup), ("offline_pin", offline)]
    await party.tenant.log_in()
    return kept


async def left(house: KeypadHouse) -> Kept:
    """The gateway is down when the lease ends: the lock hears of nothing."""
    kept = await everything(house)
    assert await owed(house) == set()
    house.unplug(house.room)
    await house.end_lease()
    await house.converge(house.room)
    return kept


async def test_L08_X4_what_an_offline_lock_still_opens_for_is_owed_and_a_phone_pays_it(
    house: KeypadHouse,
) -> None:
    kept = await left(house)
    debt = await owed(house)
    assert kept.opens(house) == {"credential", "pin", "offline_pin"}
    assert kept.opens(house) <= debt
    shown = await house.debt(house.party.landlord, house.room)
    assert set(shown["pay"]) >= {"visit_by_phone", "connect_lock", "clear_code", "wait"}
    # The landlord's phone passes, with no network at the door: list and state go in, the lock's word comes out.
    kit = await house.party.at(house.party.landlord, house.room)
    assert kit is not None
    await house.visit_with(house.party.landlord, house.room, kit)
    assert kept.opens(house) == {"offline_pin"}
    assert await owed(house) == {"offline_pin"}, "what the keypad computes by itself no document takes away"
    clear = house.digits(
        house.party.landlord,
        house.room,
        await house.read_out(house.party.landlord, house.room, int(PinCode.CLEAR)),
    )
    assert house.key_in(house.room, clear) is Sign.CLEARED
    assert kept.opens(house) == set()
    await house.visit_with(house.party.landlord, house.room, kit)  # the clear code stands in the journal
    assert await owed(house) == set()


async def test_L08_time_alone_pays_and_never_later_than_was_said(house: KeypadHouse) -> None:
    kept = await left(house)
    await house.party.landlord.log_in()
    until = datetime.fromisoformat((await house.debt(house.party.landlord, house.room))["until"])
    assert until - house.door.clock.now() > DAY
    await house.party.pass_time(4 * DAY)
    debt = await owed(house)
    assert "credential" not in debt, "a tenant's key lives three days"
    assert kept.opens(house) <= debt
    await house.party.pass_time(until - house.door.clock.now() + timedelta(minutes=1))
    assert await owed(house) == set()
    assert kept.opens(house) == set()


async def test_L08_the_next_tenancys_first_unlock_pays_all_of_it(house: KeypadHouse) -> None:
    kept = await left(house)
    party, room = house.party, house.room
    shown = await house.debt(party.landlord, room)
    assert "next_tenancy" in shown["pay"]
    follower = await party.door.person()
    signed = await party.landlord.ok("POST", "/tenancies", party.landlord.lease(room, follower.number))
    await follower.enrol_phone()
    party.lives_here(follower, signed["id"])
    await party.pass_time(timedelta(minutes=3))
    kit = await party.at(follower, room)
    assert kit is not None
    assert await house.visit_with(follower, room, kit, Operation.UNLOCK) == "granted"
    assert kept.opens(house) == set()
    assert await owed(house) == set()


async def test_L52_a_lock_that_has_not_heard_of_its_tenant_owes_the_owners_key(house: KeypadHouse) -> None:
    party, room = house.party, house.room
    empty = party.house["rooms"][0]
    await house.end_lease()
    await house.converge(room)
    assert await owed(house) == set()
    kept = Kept()
    await kept.key(house, "credential", party.landlord)
    house.unplug(room)
    follower = await party.door.person()
    await party.landlord.ok("POST", "/tenancies", party.landlord.lease(empty, follower.number))
    await party.pass_time(timedelta(minutes=1))
    assert kept.opens(house) == {"credential"}
    assert await owed(house) == {"credential"}


MUTANTS = ["_credentials", "_slots", "_offline_pins"]


@pytest.mark.parametrize("left_out", MUTANTS)
async def test_L08_mutant_a_debt_that_forgets_a_kind_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    kept = await left(house)

    async def forgets(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(report_debt, left_out, forgets)
    debt = await owed(house)
    assert not kept.opens(house) <= debt


async def test_L08_mutant_a_debt_that_believes_what_was_sent_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted from the newest documents instead of from those that the lock said it holds."""
    kept = await left(house)
    honest = report_debt.debt_of

    async def hopeful(work: Any, lock: Any, now: Any) -> Any:
        latest = {one.kind: one.number for one in await work.lock_documents.all_latest(lock.id)}

        class Sent:
            def __getattr__(self, name: str) -> Any:
                return getattr(work.lock_states, name)

            async def get(self, lock_id: Any) -> Any:
                from dataclasses import replace

                said = await work.lock_states.get(lock_id)
                return replace(said, revocation_number=latest["revocation"], state_number=latest["state"])

        class Hoping:
            lock_states = Sent()

            def __getattr__(self, name: str) -> Any:
                return getattr(work, name)

        return await honest(Hoping(), lock, now)

    from mobile_api.routes import lock_health

    monkeypatch.setattr(lock_health, "debt_of", hopeful)
    debt = await owed(house)
    assert not kept.opens(house) <= debt
