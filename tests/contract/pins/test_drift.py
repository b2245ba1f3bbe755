"""Drift: what a lock holds otherwise than it was sent is found, shown, repaired by nobody, and cleared when gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lockserver.app import check_drift
from lockserver.app.ask_inventory import ask_inventory, request_inventories
from lockserver.app.converge_access import converge_access
from lockserver.app.settle_slots import REFUSALS
from lockserver.protocol.carried import DocumentKind
from lockserver.protocol.pin import Activation, OfflinePin, PinCode
from lockserver.protocol.reports import Inventory
from tests.support.keypad_house import BETTER, GOOD, KeypadHouse

pytestmark = pytest.mark.contract
OLD_SEED_PIN = Activation(OfflinePin(1, PinCode.WEEK, 492_000, 1), 1_900_000_000)


async def inventory(house: KeypadHouse) -> list[str]:
    """Ask the lock, hear its answer; what stands open then."""
    room = house.room
    assert await ask_inventory(house.bridges[room], house.party.locks[room])
    await house.hear(room)
    return await open_findings(house)


async def open_findings(house: KeypadHouse) -> list[str]:
    found = await house.party.landlord.ok("GET", f"/locks/{house.lock(house.room)}/findings")
    return sorted(one["kind"] for one in found if one["cleared_at"] is None)


async def told(house: KeypadHouse, **changes: Any) -> list[str]:
    """What stands open after the lock's honest inventory with these changes, judged as the bridge does."""
    room = house.room
    await inventory(house)
    reports = house.desk(room).site.reports(house.desk(room).enrolled, house.desk(room).lock.published)
    honest = next(one for one in reversed(reports) if isinstance(one, Inventory))
    lock_id = house.party.locks[room]
    async with house.bridges[room].transactions.begin() as work:
        lock, status = await work.locks.one(lock_id), await work.lock_states.hold(lock_id)
        said = replace(honest, **{name: change(honest) for name, change in changes.items()})
        now = house.door.clock.now()
        await check_drift.check_drift(house.bridges[room], work, lock, status, said, now)
    return await open_findings(house)


async def test_an_honest_lock_shows_no_drift_and_what_is_waiting_is_none(house: KeypadHouse) -> None:
    await house.choose(house.party.tenant, house.room, GOOD)
    await house.converge(house.room)
    assert await inventory(house) == []
    house.airs[house.room].online = False
    await house.choose(house.party.tenant, house.room, BETTER)  # wanted, and not there yet
    await house.converge(house.room)
    house.airs[house.room].online = True
    assert await inventory(house) == []
    health = await house.party.tenant.ok("GET", f"/locks/{house.lock(house.room)}/health")
    assert health["inventory_at"] is not None


async def test_every_kind_of_drift_is_found_once_and_cleared_when_it_is_gone(house: KeypadHouse) -> None:
    await house.choose(house.party.tenant, house.room, GOOD)
    await house.converge(house.room)
    stranger = await told(house, pins=lambda held: (*held.pins, replace(held.pins[0], slot=200)))
    assert stranger == ["unknown_credential"]
    debt = await house.debt(house.party.landlord, house.room)
    assert [line["kind"] for line in debt["lines"]] == ["pin"], "it may be somebody's way in"
    assert await told(house, pins=lambda held: held.pins[1:]) == ["missing_credential"]
    longer = await told(
        house, pins=lambda held: (replace(held.pins[0], until=held.pins[0].until + 1), *held.pins[1:])
    )
    assert longer == ["altered_credential"]
    assert await told(house, epoch=lambda held: held.epoch + 3) == ["epoch"]
    assert await told(house, list_number=lambda held: held.list_number + 9) == ["version"]
    assert await told(house, list_number=lambda held: held.list_number - 1) == ["version"]
    assert await told(house, activations=lambda _: (OLD_SEED_PIN,)) == ["activation"]
    assert await told(house) == []
    kept = house.door.database.execute("SELECT count(*), count(cleared_at) FROM findings")
    assert kept == [(7, 7)]
    sent = len(house.airs[house.room].sent)
    await told(house, pins=lambda held: held.pins[1:])
    await house.converge(house.room)
    assert len(house.airs[house.room].sent) == sent + 1, "the question alone: nothing was repaired in silence"


async def test_mutant_a_comparison_that_counts_only_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = check_drift._compare

    def counts(kind: str, held: Any, sent: Any, *rest: Any) -> Any:
        return honest(kind, held, sent, *rest) if len(held) != len(sent) else iter(())

    monkeypatch.setattr(check_drift, "_compare", counts)
    await house.choose(house.party.tenant, house.room, GOOD)
    await house.converge(house.room)
    moved = await told(house, pins=lambda held: (*held.pins[1:], replace(held.pins[0], slot=200)))
    assert moved != ["missing_credential", "unknown_credential"]


async def test_locks_are_asked_once_a_day(house: KeypadHouse) -> None:
    async with house.door.database.transactions("jobs").begin() as work:
        assert await request_inventories(work, house.door.clock.now()) == 2
    await inventory(house)
    async with house.door.database.transactions("jobs").begin() as work:
        assert await request_inventories(work, house.door.clock.now()) == 1, "the gate's alone"


async def sends_to_a_refusing_lock(house: KeypadHouse) -> int:
    """How often a lock that will not have its state is sent it, when it is looked at thirty times."""
    room, desk, lock_id = house.room, house.desk(house.room), house.party.locks[house.room]
    desk.site.issuer = desk.site.commander
    forged = desk.site.state(desk.enrolled, version=1 << 30, occupied=True)
    assert forged.kind is DocumentKind.STATE
    house.door.database.execute(
        "INSERT INTO lock_documents (lock_id, kind, number, raw) VALUES (%s, 'state', %s, %s)",
        lock_id, 1 << 30, forged.raw,
    )  # fmt: skip
    before = len(house.airs[room].sent)
    for _ in range(30):
        await converge_access(house.bridges[room], lock_id)
        await house.hear(room)
    return len(house.airs[room].sent) - before


async def test_a_lock_that_refuses_is_not_sent_the_same_for_ever_and_shown_as_refusing(
    house: KeypadHouse,
) -> None:
    assert await sends_to_a_refusing_lock(house) == REFUSALS
    health = await house.party.landlord.ok("GET", f"/locks/{house.lock(house.room)}/health")
    assert [one["kind"] for one in health["refusing"]] == ["state"]
    assert health["refusing"][0]["denial"] == "unknown_key"
    async with house.bridges[house.room].transactions.begin() as work:
        assert house.party.locks[house.room] not in await work.lock_documents.lagging()


async def test_mutant_endless_sync_is_caught(house: KeypadHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    from lockserver.app import accept_report

    async def counts_nothing(*_: Any) -> None:
        """Forgets every refusal."""

    monkeypatch.setattr(accept_report, "count_refusals", counts_nothing)
    assert await sends_to_a_refusing_lock(house) > REFUSALS
