"""L-05: guests who pool what they were given open nothing more; L-51: who reads that a guest came; remote acts."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from lockserver.app import read_lock, send_commands
from lockserver.app.ports import Answer, Claim
from lockserver.app.unlock_remotely import Asked, unlock_remotely
from lockserver.domain.canonical import unb64url
from lockserver.domain.command import CommandKind
from lockserver.domain.ids import uuid7
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.journal import How, What
from lockserver.protocol.reports import Outcome
from lockserver.protocol.wish import WishOperation
from tests.support.app_door import App, Door
from tests.support.house_party import Party, a_party

OFFICE = {"zone": "Asia/Shanghai", "weekly": [{"days": ["tue"], "from": "08:00", "until": "12:00"}]}


async def test_L05_pooled_guests_open_nothing_that_neither_opens(door: Door) -> None:
    """One may enter the room today, the other the gate for good and the room on Tuesdays: they share all they have."""
    party = await a_party(door)
    today, gate = await party.guest(), await party.guest()
    await party.name(party.tenant, today, party.room, window=party.window(0.5))
    await party.name(party.landlord, gate, party.gate, window=party.window(30))
    await party.name(party.tenant, gate, party.room, schedule=OFFICE, window=party.window(10))
    await party.pass_time(timedelta(seconds=5))
    kits = {
        app.phone_id: {where: await party.at(app, where) for where in (party.room, party.gate)}
        for app in (today, gate)
    }
    room_today, room_tuesday = kits[today.phone_id][party.room], kits[gate.phone_id][party.room]
    at_gate = kits[gate.phone_id][party.gate]
    assert room_today is not None and room_tuesday is not None and at_gate is not None  # noqa: PT018
    assert party.tries(today, party.room, room_today) == "open"
    assert party.tries(gate, party.gate, at_gate) == "open"
    assert party.tries(gate, party.room, room_tuesday) == "schedule"  # it is Monday
    assert party.tries(gate, party.room, room_today) == "burnt", "another's key without his phone"
    assert party.tries(today, party.room, room_tuesday) == "burnt"
    assert party.tries(gate, party.room, at_gate) == "wrong_lock"
    assert party.tries(today, party.room, room_today, operation=Operation.HOLD_OPEN) == "capability"
    await party.pass_time(timedelta(hours=12, minutes=1))
    assert party.tries(today, party.room, room_today) == "expired"
    assert party.tries(gate, party.room, room_tuesday) == "schedule"  # Tuesday, not yet eight
    await party.pass_time(timedelta(hours=8))
    assert party.tries(gate, party.room, room_tuesday) == "open"


async def test_L05_a_one_time_key_opens_once(door: Door) -> None:
    party = await a_party(door)
    guest = await party.guest()
    await party.name(party.tenant, guest, party.room, uses=1)
    await party.pass_time(timedelta(seconds=5))
    assert await party.opens(guest, party.room) == "open"
    assert await party.opens(guest, party.room) == "used_up"


# ---- L-51


def wrote(party: Party, where: str, who: App) -> None:
    """The lock's journal at a door, one opening by his key."""
    execute = party.door.database.execute
    lock = party.locks[where]
    ((last,),) = execute("SELECT coalesce(max(number), 0) FROM journal WHERE lock_id = %s", lock)
    ((cti,),) = execute(
        "SELECT id FROM credentials WHERE phone_id = %s AND lock_id = %s LIMIT 1", who.phone_id, lock
    )
    execute(
        "INSERT INTO journal (lock_id, number, what, how, subject, at, uncertainty, count, prev_hash, hash, via)"
        " VALUES (%s, %s, %s, %s, %s, %s, 1, 1, %s, %s, 'mqtt')",
        lock, last + 1, int(What.UNLOCKED), int(How.BLE), UUID(str(cti)).bytes, party.door.clock.now(),
        bytes(32), secrets.token_bytes(32),
    )  # fmt: skip


async def a_visit(door: Door) -> tuple[Party, dict[str, dict[str, list[str]]]]:
    """A guest of the tenant's comes through gate and room, a guest of the landlord's through the gate."""
    party = await a_party(door, tenants=2)
    visitor, courier = await party.guest(), await party.guest()
    neighbour = await door.person()
    await party.landlord.ok(
        "POST", "/tenancies", party.landlord.lease(party.house["rooms"][1], neighbour.number)
    )
    await party.name(party.tenant, visitor, party.room, party.gate)
    await party.name(party.landlord, courier, party.gate)
    for app in (visitor, courier):
        await party.kit(app)
    wrote(party, party.gate, visitor)
    wrote(party, party.room, visitor)
    wrote(party, party.gate, courier)
    await party.pass_time(timedelta(seconds=5))
    readers = {
        "tenant": party.tenant, "flatmate": party.lease["people"][1], "landlord": party.landlord,
        "neighbour": neighbour, "visitor": visitor, "courier": courier,
    }  # fmt: skip
    return party, {
        name: {
            where: await read(party, app, door_id)
            for where, door_id in (("room", party.room), ("gate", party.gate))
        }
        for name, app in readers.items()
    }


async def read(party: Party, app: App, door_id: str) -> list[str]:
    answer = await app.send("GET", f"/locks/{party.locks[door_id]}/journal")
    assert answer.status_code in {200, 404}, answer.text
    return sorted(one["whose"] for one in answer.json()["entries"]) if answer.status_code == 200 else ["404"]


async def test_L51_a_guests_coming_is_read_by_whom_he_visits(door: Door) -> None:
    _, seen = await a_visit(door)
    assert seen == {
        "tenant": {"room": ["guest"], "gate": ["guest"]},
        "flatmate": {"room": ["guest"], "gate": []},
        "landlord": {"room": [], "gate": ["guest"]},
        "neighbour": {"room": ["404"], "gate": []},
        "visitor": {"room": ["mine"], "gate": ["mine"]},
        "courier": {"room": ["404"], "gate": ["mine"]},
    }


async def test_L51_mutant_a_guest_read_at_the_gate_by_everybody_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = read_lock._whose

    def leaky(line: Any, *rest: Any) -> str | None:
        return right(line, *rest) or ("guest" if line.subject else None)

    monkeypatch.setattr(read_lock, "_whose", leaky)
    _, seen = await a_visit(door)
    assert seen["neighbour"]["gate"] == ["guest", "guest"], "what the law forbids"


# ---- remote acts


async def carried_out(
    party: Party, app: App, kind: CommandKind, operation: WishOperation
) -> tuple[str, BoltState]:
    """A remote act from the API's use case to the lock's own word about it."""
    door, lock_id = party.door, party.locks[party.room]
    wish = unb64url(app.wish(operation, str(lock_id), life=15))
    claim = Claim(
        f"holder:{app.number}", secrets.token_hex(16), f"POST /v1/locks/{lock_id}/{kind}", bytes(32)
    )
    holder = door.database.execute("SELECT holder_id FROM phones WHERE id = %s", app.phone_id)[0][0]
    asked = Asked(
        uuid7(door.clock.now(), secrets.token_bytes(10)), UUID(app.tokens["session_id"]), holder, lock_id, wish,
        claim, kind,
    )  # fmt: skip
    await unlock_remotely(door.services.transactions, door.clock, asked, lambda _: Answer(202, {}, b""))
    async with door.database.transactions("bridge").steps() as steps:
        [one] = await steps.dispatch(lock_id, door.clock.now(), "mqtt", 8)
    assert one.kind == kind
    desk = party.desks[party.room]
    desk.site.now = int(door.clock.now().timestamp())
    desk.broker_up()
    desk.deliver(desk.site.seal(desk.enrolled, send_commands._wire(one)))
    [result] = desk.results()
    return result.outcome.name, result.bolt


async def test_a_lock_is_locked_from_afar_by_its_holders_wish(door: Door) -> None:
    party = await a_party(door, tenants=1)
    await party.listed(party.room)
    assert await party.opens(party.tenant, party.room) == "open"
    assert party.desks[party.room].bolt is BoltState.UNLOCKED
    done = await carried_out(party, party.tenant, "lock", WishOperation.LOCK)
    assert done == (Outcome.DONE.name, BoltState.LOCKED)
    rows = door.database.execute("SELECT kind, state, counter FROM commands")
    assert rows == [("lock", "sent", 1)]
    assert door.database.execute("SELECT verb FROM audit_log WHERE verb LIKE '%%remotely'") == [
        ("lock_remotely",)
    ]


async def test_what_a_grant_does_not_convey_is_not_sent(door: Door) -> None:
    party = await a_party(door, tenants=1)
    await party.kit(party.tenant)
    lock_id = str(party.locks[party.room])
    wish = party.tenant.wish(WishOperation.HOLD_OPEN, lock_id, life=15)
    answer = await party.tenant.send("POST", f"/locks/{lock_id}/hold-open", {"wish": wish})
    assert answer.json()["code"] == "grant_missing"
    swapped = party.tenant.wish(WishOperation.UNLOCK, lock_id, life=15)
    answer = await party.tenant.send("POST", f"/locks/{lock_id}/lock", {"wish": swapped})
    assert answer.json()["code"] == "wish_invalid"
    assert door.database.execute("SELECT count(*) FROM commands") == [(0,)]


async def test_holding_open_is_carried_out_where_nobody_lives(door: Door) -> None:
    party = await a_party(door, tenants=1)
    wish = party.tenant.wish(WishOperation.END_TENANCY, party.lease["id"])
    await party.tenant.ok("POST", f"/tenancies/{party.lease['id']}/end", {"wish": wish})
    await party.listed(party.room)
    await party.pass_time(timedelta(seconds=5))
    assert await party.opens(party.landlord, party.room) == "open"
    done = await carried_out(party, party.landlord, "hold_open", WishOperation.HOLD_OPEN)
    assert done == (Outcome.DONE.name, BoltState.UNLOCKED)
