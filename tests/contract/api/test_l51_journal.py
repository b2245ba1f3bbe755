"""L-51: a door's journal shows a reader his own entries, non-residents' and the lock's, and nobody else's."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from lockserver.app import read_lock
from lockserver.domain.ids import uuid7
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import How, What
from tests.support.app_door import App, Door


@dataclass
class Household:
    """A room with two tenants of one lease, its landlord, a caretaker, and who lived there before."""

    door: Door
    room: str
    lock: UUID
    landlord: App
    first: App
    second: App
    caretaker: App

    def wrote(
        self, what: What, who: App | None = None, *, how: How = How.BLE, denial: Denial | None = None
    ) -> None:
        """One entry, by a key of his (or of nobody)."""
        execute = self.door.database.execute
        ((last,),) = execute("SELECT coalesce(max(number), 0) FROM journal WHERE lock_id = %s", self.lock)
        subject = None if who is None else self.credential(who).bytes
        execute(
            "INSERT INTO journal (lock_id, number, what, how, subject, denial, at,"
            " uncertainty, count, prev_hash, hash, via)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, 1, 1, %s, %s, 'mqtt')",
            self.lock, last + 1, int(what), int(how), subject, denial and int(denial), self.now(),
            bytes(32), secrets.token_bytes(32),
        )  # fmt: skip

    def now(self) -> datetime:
        return self.door.clock.now()

    def credential(self, who: App) -> UUID:
        """A key cut for him here."""
        execute = self.door.database.execute
        made = uuid7(self.now(), secrets.token_bytes(10))
        grants = execute(
            "SELECT g.id FROM grants g JOIN phones p ON p.holder_id = g.holder_id"
            " WHERE p.id = %s AND g.door_id = %s",
            who.phone_id, self.room,
        )  # fmt: skip
        execute(
            "INSERT INTO credentials (id, grant_id, phone_id, lock_id, not_before, expires_at, issued_at, raw)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            made, grants[0][0], who.phone_id, self.lock, self.now(), self.now() + timedelta(hours=9), self.now(), b"-",
        )  # fmt: skip
        return made


async def household(door: Door) -> Household:
    landlord, first, second, caretaker = [await door.person() for _ in range(4)]
    for one in (landlord, first, second, caretaker):
        await one.enrol_phone()
    house = await landlord.house()
    room = house["rooms"][0]
    await landlord.ok("POST", "/tenancies", landlord.lease(room, first.number, second.number))
    named = landlord.staff_body(house["id"], caretaker.number)
    await landlord.ok("POST", f"/houses/{house['id']}/staff", named)
    lock = uuid7(door.clock.now(), secrets.token_bytes(10))
    door.database.execute(
        "INSERT INTO locks (id, door_id, serial, sign_pub, ecdh_pub, factory_fingerprint, shard, state)"
        " VALUES (%s, %s, %s, %s, %s, %s, '00', 'active')",
        lock, room, f"LSIM-{secrets.token_hex(8).upper()}", bytes(65), bytes(65), bytes(32),
    )  # fmt: skip
    door.database.execute(
        "INSERT INTO grants (id, holder_id, door_id, class, capabilities, lower, state)"
        " SELECT %s, holder_id, %s, 'staff', 1, now() - interval '9 years', 'active' FROM phones WHERE id = %s",
        uuid7(door.clock.now(), secrets.token_bytes(10)), room, caretaker.phone_id,
    )  # fmt: skip
    return Household(door, room, lock, landlord, first, second, caretaker)


async def a_day(home: Household) -> dict[str, list[tuple[str, str]]]:
    """Everybody comes and goes; what each of them then reads, as (whose, what)."""
    home.wrote(What.UNLOCKED, home.first)
    home.wrote(What.UNLOCKED, home.first, how=How.REMOTE)
    home.wrote(What.DENIED, home.first, denial=Denial.SCHEDULE)
    home.wrote(What.UNLOCKED, home.second)
    home.wrote(What.DENIED, home.second, denial=Denial.EXPIRED)
    home.wrote(What.DENIED, home.landlord, denial=Denial.OCCUPIED)
    home.wrote(What.UNLOCKED, home.caretaker)
    home.wrote(What.LOCKED, how=How.SELF)
    home.wrote(What.DOOR_OPENED, how=How.SELF)
    home.wrote(What.UNLOCKED, how=How.HANDLE)
    home.wrote(What.UNLOCKED, how=How.CYLINDER)
    home.wrote(What.BATTERY_LOW, how=How.SELF)
    return {
        name: await read(home, getattr(home, name)) for name in ("landlord", "first", "second", "caretaker")
    }


async def read(home: Household, reader: App) -> list[tuple[str, str]]:
    journal: dict[str, Any] = await reader.ok("GET", f"/locks/{home.lock}/journal")
    return sorted((one["whose"], one["what"]) for one in journal["entries"])


async def test_L51_nobody_reads_another_residents_movements(door: Door) -> None:
    seen = await a_day(await household(door))
    theirs = [("lock", "battery_low")]
    visitors = [("owner", "denied"), ("staff", "unlocked")]
    assert seen["first"] == sorted(
        [("mine", "denied"), ("mine", "unlocked"), ("mine", "unlocked"), *visitors, *theirs]
    )
    assert seen["second"] == sorted([("mine", "denied"), ("mine", "unlocked"), *visitors, *theirs])
    assert seen["landlord"] == sorted([("mine", "denied"), ("staff", "unlocked"), *theirs])
    assert seen["caretaker"] == sorted([("mine", "unlocked"), ("owner", "denied"), *theirs])


async def test_L51_a_stranger_reads_nothing(door: Door) -> None:
    home = await household(door)
    home.wrote(What.BATTERY_LOW, how=How.SELF)
    answer = await (await door.person()).send("GET", f"/locks/{home.lock}/journal")
    assert answer.status_code == 404


async def test_L51_mutant_a_journal_that_shows_everybody_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = read_lock._whose

    def leaky(line: Any, owners: Any, places: Any, eyes: Any) -> str | None:
        return right(line, owners, places, eyes) or ("owner" if line.subject else None)

    monkeypatch.setattr(read_lock, "_whose", leaky)
    with pytest.raises(AssertionError):
        await test_L51_nobody_reads_another_residents_movements(door)


async def test_L51_a_former_tenants_key_is_told_to_who_lives_there_and_to_nobody_else(door: Door) -> None:
    home = await household(door)
    home.wrote(
        What.DENIED, home.second, denial=Denial.EPOCH_LOW
    )  # an epoch below the lease's is no resident's
    assert ("former", "denied") in await read(home, home.first)
    assert ("former", "denied") not in await read(home, home.landlord)


async def test_L51_only_a_resident_sees_when_a_rooms_lock_spoke_and_how_its_bolt_stands(door: Door) -> None:
    home = await household(door)
    door.database.execute(
        "INSERT INTO lock_status (lock_id, connected, bolt, last_seen_at, bolt_at) SELECT %s, true, 'unlocked', at, at"
        " FROM (SELECT %s::timestamptz) AS t (at)",
        home.lock, home.now().replace(minute=23, second=45, microsecond=0),
    )  # fmt: skip
    seen = {
        name: await getattr(home, name).ok("GET", f"/locks/{home.lock}")
        for name in ("first", "landlord", "caretaker")
    }
    assert seen["first"]["bolt"] == "unlocked"
    assert ":23:45" in seen["first"]["last_seen_at"]
    for outsider in ("landlord", "caretaker"):
        assert seen[outsider]["bolt"] is None
        assert ":00:00" in seen[outsider]["last_seen_at"]


async def test_L51_mutant_a_lock_seen_to_the_second_is_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_lock, "_to_the_hour", lambda at: at)
    with pytest.raises(AssertionError):
        await test_L51_only_a_resident_sees_when_a_rooms_lock_spoke_and_how_its_bolt_stands(door)
