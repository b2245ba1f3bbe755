"""L-45: what somebody is given in addition must not take the place of his own way in.

A landlord who knows a tenant's phone names it as his staff's for the tenant's own room, or a co-tenant names it
as his guest's for an hour a week. Nobody asks the tenant; an occupied room refuses a staff key, and the hour is over.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from lockserver.app import keep_gateways, phone_sync, remove_phone, spend_wish
from lockserver.app.ports import Claim
from lockserver.app.ports.steps import Knock
from lockserver.domain.ids import uuid7
from lockserver.protocol.claims import Claims, HolderClass
from lockserver.protocol.curve import key_id, public_bytes
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import App, Door
from tests.support.house_party import Party, a_party, key_of

pytestmark = pytest.mark.contract

LONG_AGO = timedelta(days=40)


async def by_the_landlord(party: Party, door: Door) -> None:
    """The tenant's own phone, named among the staff, since before he moved in."""
    now = door.clock.now().replace(microsecond=0)
    since = {"from": (now - timedelta(hours=3)).isoformat(), "until": (now + LONG_AGO).isoformat()}
    door.database.execute("UPDATE grants SET lower = lower - interval '9 years' WHERE class = 'owner'")
    await party.name(party.landlord, party.tenant, party.room, **{"class": "staff"}, window=since)


async def by_a_cotenant(party: Party, door: Door) -> None:
    """For one minute of the week, from the first second of their lease."""
    sql = "SELECT min(lower), min(upper) FROM grants WHERE class = 'tenant' AND door_id = %s"
    [(begins, ends)] = door.database.execute(sql, party.room)
    never = {"days": ["tue"], "from": "04:00", "until": "04:01"}
    await party.name(
        party.lease["people"][1],
        party.tenant,
        party.room,
        window={"from": begins.isoformat(), "until": ends.isoformat()},
        schedule={"zone": "Asia/Shanghai", "weekly": [never]},
    )


async def from_afar(party: Party, app: App) -> str:
    """The class of the grant on which a remote unlock of his would stand."""
    [(holder,)] = party.door.database.execute("SELECT holder_id FROM phones WHERE id = %s", app.phone_id)
    now, lock = party.door.clock.now(), party.locks[party.room]
    knock = Knock(UUID(int=0), holder, lock, key_id(public_bytes(app.sign_key)), now)
    claim = Claim("nobody", "key", "route", bytes(32))
    async with party.door.database.transactions("api").steps() as steps:
        _, standing = await steps.standing(knock, claim)
    assert standing is not None
    assert not standing.occupied, "a landlord's or his staff's key, which the lock refuses"
    return standing.class_


async def outlived(door: Door, by: Any) -> str:
    """What the tenant's room says to him after somebody gave him more."""
    party = await a_party(door, tenants=2)
    assert await party.opens(party.tenant, party.room) == "open"
    await by(party, door)
    await party.pass_time(timedelta(days=2))  # his old key has died
    key = await party.key(party.tenant, party.room)
    assert isinstance(key, Claims), key
    assert await party.opens(party.tenant, party.room) == "open"
    assert await from_afar(party, party.tenant) == "tenant"
    return key.holder_class.name


@pytest.mark.parametrize("by", [by_the_landlord, by_a_cotenant])
async def test_L45_what_others_give_a_tenant_takes_no_place_of_his_own_key(door: Door, by: Any) -> None:
    assert await outlived(door, by) == HolderClass.TENANT.name


async def test_L45_mutant_keys_in_the_order_of_their_windows_are_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_sync, "own_first", lambda _grant: False)
    with pytest.raises(AssertionError):
        await outlived(door, by_the_landlord)


async def a_thief_vouched_for(door: Door, party: Party, victim: App) -> App:
    """The victim's number, swapped; the thief's own house named his phone among its staff: that makes it active."""
    crook = await door.person()
    house = await crook.house()
    thief = App(door, victim.number)
    await thief.log_in()
    await thief.enrol_phone()
    body = {
        "door_ids": [house["gate"]],
        "class": "staff",
        "guest_key": key_of(thief),
        "window": party.window(),
    }
    await crook.ok("POST", "/grants", crook.wished(WishOperation.NAME_STAFF, house["id"], body))
    await party.pass_time(timedelta(minutes=1))
    await party.kit(thief)
    [(state,)] = door.database.execute("SELECT state FROM phones WHERE id = %s", thief.phone_id)
    assert state == "active", "in a house of his own he may do as he likes"
    return thief


async def test_L38_a_phone_vouched_for_elsewhere_removes_no_guests_phone(door: Door) -> None:
    party = await a_party(door)
    guest = await party.guest()
    await party.name(party.tenant, guest, party.room)
    await party.pass_time(timedelta(minutes=1))
    assert await party.opens(guest, party.room) == "open"
    thief = await a_thief_vouched_for(door, party, guest)
    lose = {"wish": thief.wish(WishOperation.REMOVE_PHONE, guest.phone_id)}
    answer = await thief.send("DELETE", f"/phones/{guest.phone_id}", lose)
    assert answer.status_code == 403, answer.text
    assert await party.opens(guest, party.room) == "open"
    mine = {"wish": guest.wish(WishOperation.REMOVE_PHONE, guest.phone_id)}
    assert (await guest.send("DELETE", f"/phones/{guest.phone_id}", mine)).status_code < 300


async def test_L38_mutant_a_named_phone_that_anybody_of_his_removes_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remove_phone, "key_of", lambda _phone: bytes(32))
    with pytest.raises(AssertionError):
        await test_L38_a_phone_vouched_for_elsewhere_removes_no_guests_phone(door)


def a_gateway(door: Door, house_id: str) -> str:
    gateway = uuid7(door.clock.now(), secrets.token_bytes(10))
    door.database.execute(
        "INSERT INTO gateways (id, house_id, name, sign_pub, ecdh_pub, certificate, broker_secret_hash, shard, state)"
        " VALUES (%s, %s, '楼道', %s, %s, %s, %s, '00', 'active')",
        gateway, UUID(house_id), secrets.token_bytes(65), secrets.token_bytes(65), b"-", bytes(32),
    )  # fmt: skip
    return str(gateway)


async def test_L38_a_phone_vouched_for_elsewhere_takes_no_house_off_the_air(door: Door) -> None:
    party = await a_party(door)
    gateway = a_gateway(door, party.house["id"])
    thief = await a_thief_vouched_for(door, party, party.landlord)

    async def retires(app: App) -> str:
        wish = {"wish": app.wish(WishOperation.RETIRE, gateway)}
        answer = await app.send("POST", f"/gateways/{gateway}/retire", wish)
        return "done" if answer.status_code < 300 else str(answer.json()["code"])

    assert await retires(thief) == "phone_unknown"
    [(state,)] = door.database.execute("SELECT state FROM gateways")
    assert state == "active"
    assert await retires(party.landlord) == "done"


async def test_L38_mutant_any_active_phone_of_the_owners_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = spend_wish.spend_wish

    async def takes(*given: Any, **named: Any) -> Any:
        from dataclasses import replace

        taken = await honest(*given, **named)
        return replace(taken, phone=replace(taken.phone, proved_by="button"))

    monkeypatch.setattr(keep_gateways, "spend_wish", takes)
    with pytest.raises(AssertionError):
        await test_L38_a_phone_vouched_for_elsewhere_takes_no_house_off_the_air(door)
