"""The memory's own promises: it dies anywhere, waits without an event loop, and finds circles."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from lockserver.domain.house import Door
from tests.sim.memory import (
    CrashError,
    DeadlockError,
    MemoryStore,
    MemoryTransactions,
    Pause,
    StuckError,
    Wait,
    interleave,
    run,
)
from tests.sim.memory import transaction as room
from tests.sim.memory.schema import Row
from tests.support.database import FakeClock
from tests.support.people import Place, a_place, a_tenancy, sign


def a_store() -> tuple[MemoryStore, MemoryTransactions, Place]:
    store = MemoryStore(FakeClock())
    transactions = MemoryTransactions(store)
    return store, transactions, run(a_place(transactions))


def picture(store: MemoryStore) -> dict[str, list[Row]]:
    return {name: list(table.rows.values()) for name, table in store.tables.items()}


def test_a_crash_before_the_commit_loses_all_of_it_and_one_after_it_nothing() -> None:
    """At every effect boundary of a signing, one after the other."""
    effects: list[str] = []
    die_at, seen = -1, 0

    async def boundary(effect: str) -> None:
        nonlocal seen
        effects.append(effect)
        seen += 1
        if seen - 1 == die_at:
            raise CrashError

    while die_at < 100:
        store, transactions, place = a_store()
        before, seen, effects[:] = picture(store), 0, []
        store.boundary = boundary
        try:
            run(sign(transactions, place, a_tenancy(place)))
        except CrashError:
            kept = effects[-1] == "committed"
            assert (picture(store) != before) is kept, effects
            assert (store.open, store.holders) == ({}, {})
            assert len(store.rows("tenancies")) == kept
        else:
            assert die_at < 0 or seen <= die_at
            if die_at >= 0:
                break
        die_at += 1
    assert effects[-2:] == ["commit", "committed"]
    assert {"tenancies.add", "occupants.add", "duties.add", "grants.add", "doors.save"} <= set(effects)


def test_a_coroutine_that_is_dropped_lets_go_of_what_it_held() -> None:
    store, transactions, place = a_store()

    async def hold() -> None:
        async with transactions.begin() as work:
            await work.doors.lock(place.room.id)
            await Pause()

    holding = hold()
    assert isinstance(holding.send(None), Pause)
    with pytest.raises(StuckError):
        run(hold())
    holding.close()
    assert store.holders == {}

    async def again() -> Door:
        async with transactions.begin() as work:
            return await work.doors.lock(place.room.id)

    assert run(again()) == place.room


def test_who_is_woken_early_waits_on() -> None:
    _, transactions, place = a_store()

    async def hold() -> None:
        async with transactions.begin() as work:
            await work.doors.lock(place.room.id)
            await Pause()

    first, second = hold(), hold()
    first.send(None)
    for _ in range(5):
        assert _waits(second)
    with pytest.raises(StopIteration):
        first.send(None)
    assert not _waits(second)
    second.close()


def _waits(coroutine: Coroutine[Any, Any, None]) -> bool:
    given = coroutine.send(None)
    return isinstance(given, Wait) and not given.ready()


def crosswise(transactions: MemoryTransactions, one: UUID, other: UUID) -> Callable[..., object]:
    async def take() -> None:
        async with transactions.begin() as work:
            await work.doors.lock(one)
            await Pause()
            await work.doors.lock(other)

    return take


def test_a_circle_is_a_fault_of_the_world() -> None:
    store, transactions, place = a_store()
    gate, hall = place.gate.id, place.room.id
    with pytest.raises(DeadlockError):
        interleave(
            lambda _count: 0 if not store.open else -1,
            crosswise(transactions, gate, hall)(),  # type: ignore[arg-type]
            crosswise(transactions, hall, gate)(),  # type: ignore[arg-type]
        )
    assert (store.open, store.holders) == ({}, {})


async def raise_it(transactions: MemoryTransactions, room_id: UUID) -> None:
    async with transactions.begin() as work:
        door = await work.doors.lock(room_id)
        await work.doors.save(
            Door(door.id, door.house_id, door.kind, door.name, door.capacity, (door.epoch or 0) + 1)
        )


def raised_by_four(seed: int) -> int:
    store, transactions, place = a_store()

    async def give_way(_effect: str) -> None:
        await Pause()

    store.boundary = give_way
    dice = random.Random(seed)
    outcomes = interleave(dice.randrange, *(raise_it(transactions, place.room.id) for _ in range(4)))
    assert all(one is None for one in outcomes), outcomes
    epoch: int = store.rows("doors", id=place.room.id)[0]["epoch"]
    return epoch


def test_no_order_of_turns_loses_a_write() -> None:
    assert {raised_by_four(seed) for seed in range(200)} == {4}


def test_mutant_rows_that_nobody_waits_for_lose_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_CLASH", frozenset())
    with pytest.raises(AssertionError):
        assert {raised_by_four(seed) for seed in range(200)} == {4}


def test_a_listener_waits_by_the_stores_own_clock() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    transactions = MemoryTransactions(store)

    async def tell() -> None:
        async with transactions.begin() as work:
            await work.notify("commands", "aa")
            await work.notify("commands", "bb")

    @asynccontextmanager
    async def listening() -> AsyncIterator[list[str | None]]:
        async with store.watch("commands", "bb") as hints:
            run(tell())
            waiting = hints.next(2.0)
            with pytest.raises(StopIteration) as told:
                waiting.send(None)
            nothing = hints.next(2.0)
            given = nothing.send(None)
            assert isinstance(given, Wait)
            assert given.until == clock.now() + timedelta(seconds=2)
            clock.move(timedelta(seconds=2))
            with pytest.raises(StopIteration) as late:
                nothing.send(None)
            yield [told.value.value, late.value.value]

    async def listen() -> list[str | None]:
        async with listening() as heard:
            return heard

    assert run(listen()) == ["bb", None]
    assert store.heard == [("commands", "aa"), ("commands", "bb")]


def test_nothing_here_needs_an_event_loop() -> None:
    """A coroutine that yields anything but a `Pause` is refused."""

    async def sleeps() -> None:
        class Future:
            def __await__(self) -> object:
                return (yield self)

        await Future()  # type: ignore[misc]  # what asyncio's futures do

    with pytest.raises(TypeError):
        run(sleeps())
