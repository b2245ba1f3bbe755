"""All or nothing, one after the other, told at the commit: what a unit of work is, in both keepers."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy.exc import DBAPIError

from lockserver.app.ports import Answer
from lockserver.domain.account import Account, Phone
from lockserver.domain.errors import (
    ConflictError,
    DomainError,
    IdempotencyMismatchError,
    IdempotencyRunningError,
    IntegrityRefusedError,
    NotFoundError,
    WishUsedError,
)
from lockserver.domain.house import Door
from lockserver.domain.lock import Lock, LockStatus, SpentWish
from lockserver.domain.tenancy import Occupant
from tests.sim.memory import AbortedError
from tests.support.people import START, Place, a_duty, a_holder, a_place, a_tenancy, fresh, sign
from tests.support.workbench import Workbench

pytestmark = pytest.mark.contract


@dataclass
class Home:
    """A house whose gate has a lock, and a landlord with a phone."""

    bench: Workbench
    place: Place
    phone: UUID
    lock: UUID

    def wish(self, wish_id: UUID | None = None) -> SpentWish:
        until = START + timedelta(seconds=15)
        return SpentWish(
            wish_id or fresh(), self.place.landlord, self.phone, "unlock", self.lock, until, b"wish"
        )


def a_lock(door_id: UUID, serial: str = "SN-1") -> Lock:
    return Lock(fresh(), door_id, serial, os.urandom(65), os.urandom(65), bytes(32), b"c", "0a", "active")


@pytest_asyncio.fixture
async def home(workbench: Workbench) -> Home:
    place = await a_place(workbench.transactions())
    phone = Phone(fresh(), place.landlord, os.urandom(65), os.urandom(65), None, "active", "button")
    lock = a_lock(place.gate.id)
    async with workbench.transactions().begin() as work:
        await work.phones.add(phone)
        await work.locks.add(lock)
    workbench.heard()
    return Home(workbench, place, phone.id, lock.id)


# ---- all or nothing


async def test_what_is_raised_undoes_all_of_it_and_nobody_hears(home: Home) -> None:
    bench = home.bench
    with pytest.raises(InterruptedError):  # noqa: PT012 - a transaction as a whole
        async with bench.transactions().begin() as work:
            await work.wishes.spend(home.wish())
            await work.audit.write("holder:1", "x", "y")
            await work.notify("commands", "aa")
            raise InterruptedError
    assert bench.rows("wishes") == []
    assert bench.rows("audit_log") == []
    assert bench.heard() == []


async def test_notices_come_at_the_commit_once_each_and_in_their_order(home: Home) -> None:
    bench = home.bench
    async with bench.transactions().begin() as work:
        for channel, payload in (("commands", "b"), ("commands", "a"), ("commands", "b"), ("outbox", "b")):
            await work.notify(channel, payload)  # type: ignore[arg-type]  # both are channels
        assert bench.heard() == []
    assert bench.heard() == [("commands", "b"), ("commands", "a"), ("outbox", "b")]


async def test_a_watcher_hears_what_it_watches_and_nothing_else(home: Home) -> None:
    bench = home.bench
    async with (
        bench.changes() as changes,
        changes.watch("commands", "aa") as one,
        changes.watch("commands") as all_,
    ):
        for payload in ("bb", "aa", "cc"):
            async with bench.transactions("api").begin() as work:
                await work.notify("commands", payload)
        assert [await all_.next(10) for _ in range(3)] == ["bb", "aa", "cc"]
        assert await one.next(10) == "aa"
        assert await one.next(0.01) is None


async def test_a_refused_statement_spoils_its_transaction(home: Home) -> None:
    """Who swallows the refusal writes nothing more: the end of the context undoes what came before."""
    bench, spent = home.bench, home.wish()
    async with bench.transactions().begin() as work:
        await work.wishes.spend(spent)
        with pytest.raises(WishUsedError):
            await work.wishes.spend(home.wish(spent.id))
        with pytest.raises((AbortedError, DBAPIError)):
            await work.wishes.get(spent.id)
    assert bench.rows("wishes") == []


async def test_alone_every_statement_stands_by_itself(home: Home) -> None:
    bench = home.bench
    with pytest.raises(InterruptedError):  # noqa: PT012 - a transaction as a whole
        async with bench.transactions().alone() as work:
            await work.wishes.spend(home.wish())
            with pytest.raises(ConflictError):
                await work.locks.add(a_lock(home.place.gate.id))
            await work.notify("commands", "aa")
            raise InterruptedError
    assert len(bench.rows("wishes")) == 1
    assert bench.heard() == [("commands", "aa")]


async def test_a_deferred_law_speaks_at_the_commit_and_undoes_all_of_it(home: Home) -> None:
    bench, place = home.bench, home.place
    lease = a_tenancy(place)
    with pytest.raises(IntegrityRefusedError) as refused:  # noqa: PT012 - a transaction as a whole
        async with bench.transactions().begin() as work:
            await work.doors.save(replace(place.room, epoch=1))
            await work.tenancies.add(lease)
            assert await work.tenancies.get(lease.id) == lease  # so far nobody objects
    assert refused.value.detail == {"rule": "law_23_occupants"}
    assert bench.rows("tenancies") == []
    assert bench.rows("doors", id=place.room.id)[0]["epoch"] == 0


# ---- refusals


async def test_each_rule_speaks_by_its_name(home: Home) -> None:
    bench, place = home.bench, home.place
    room, gate = place.room, place.gate

    async def refused(row: object, repository: str = "doors") -> object:
        with pytest.raises(DomainError) as said:
            async with bench.transactions().begin() as work:
                await getattr(work, repository).add(row)
        return said.value.code, said.value.detail.get("rule")

    account = Account(fresh(), b"short", "x")
    assert await refused(account, "accounts") == ("integrity_refused", "accounts_phone_index_length_check")
    assert await refused(room) == ("conflict", "doors_pkey")
    nowhere = replace(room, id=fresh(), house_id=fresh())
    assert await refused(nowhere) == ("integrity_refused", "doors_house_id_fkey")
    assert await refused(replace(gate, id=fresh(), epoch=1)) == ("integrity_refused", "doors_epoch_check")
    hatch = replace(gate, id=fresh(), kind="hatch")  # type: ignore[arg-type]  # of several, the first by name
    assert await refused(hatch) == ("integrity_refused", "doors_capacity_check")
    nameless = replace(room, id=fresh(), name=None)  # type: ignore[arg-type]  # what a fault might bring
    sentence = 'null value in column "name" of relation "doors" violates not-null constraint'
    assert await refused(nameless) == ("integrity_refused", sentence)
    assert await refused(a_lock(gate.id, "SN-2"), "locks") == ("conflict", "locks_door_id_active_key")


async def test_what_is_not_there_is_not_found(home: Home) -> None:
    async with home.bench.transactions().begin() as work:
        for asked in (work.doors.one, work.doors.lock):
            with pytest.raises(NotFoundError):
                await asked(fresh())
        with pytest.raises(NotFoundError):
            await work.doors.save(replace(home.place.room, id=fresh()))
        assert await work.doors.get(fresh()) is None


async def test_L38_only_who_saw_proof_makes_a_phone_active(home: Home) -> None:
    [known] = home.bench.rows("phones")
    pending = Phone(fresh(), known["holder_id"], os.urandom(65), os.urandom(65), None, "pending")
    async with home.bench.transactions("api").begin() as work:
        await work.phones.add(pending)
    proved = replace(pending, state="active", proved_by="button")
    with pytest.raises(IntegrityRefusedError) as refused:
        async with home.bench.transactions("api").begin() as work:
            await work.phones.save(proved)
    assert refused.value.detail == {"rule": "phone_proof"}
    async with home.bench.transactions("issuer").begin() as work:
        await work.phones.save(proved)


async def test_what_is_void_with_its_lock_keeps_since_when_it_was(home: Home) -> None:
    """One key was withdrawn before, and no list has named it yet; nothing that has ended ends anew."""
    bench, far = home.bench, START + timedelta(days=3)
    grant, before = fresh(), START + timedelta(hours=1)
    bench.plant(
        "grants", id=grant, holder_id=home.place.landlord, door_id=home.place.gate.id, class_="owner",
        capabilities=1, lower=START, state="active",
    )  # fmt: skip
    for revoked in (None, before):
        bench.plant(
            "credentials", id=fresh(), grant_id=grant, phone_id=home.phone, lock_id=home.lock,
            not_before=START, expires_at=far, issued_at=START, raw=b"key", revoked_at=revoked,
        )  # fmt: skip
    at = START + timedelta(hours=2)
    async with bench.transactions().begin() as work:
        assert await work.locks.retire(home.lock)
        await work.locks.void_keys_of_retired(at)
    assert {row["revoked_at"] for row in bench.rows("credentials", revoked_in=0)} == {before, at}


# ---- one after the other


async def test_who_locks_a_row_is_waited_for(home: Home) -> None:
    bench, room = home.bench, home.place.room

    async def raise_it() -> None:
        async with bench.transactions().begin() as work:
            door = await work.doors.lock(room.id)
            await work.doors.save(replace(door, epoch=(door.epoch or 0) + 1))

    assert await bench.together(*(raise_it() for _ in range(5))) == [None] * 5
    assert bench.rows("doors", id=room.id)[0]["epoch"] == 5


async def test_many_rows_are_held_in_one_order(home: Home) -> None:
    bench = home.bench
    locks = [home.lock]
    async with bench.transactions().begin() as work:
        for number in range(3):
            door = Door(fresh(), home.place.house.id, "gate", f"gate {number}", None, None)
            await work.doors.add(door)
            lock = a_lock(door.id, f"SN-{number + 2}")
            await work.locks.add(lock)
            locks.append(lock.id)

    async def note(order: list[UUID], seq: int) -> None:
        async with bench.transactions().begin() as work:
            held = await work.lock_states.hold_all(order)
            assert [one.lock_id for one in held] == sorted(order)
            await work.lock_states.advance([replace(one, boot=1, seq=seq) for one in held])

    outcomes = await bench.together(note(locks, 1), note(locks[::-1], 2), note(locks[1:], 3))
    assert outcomes == [None, None, None]
    assert {row["boot"] for row in bench.rows("lock_status")} == {1}


async def test_a_wish_is_spent_by_one_of_many(home: Home) -> None:
    bench, spent = home.bench, home.wish()

    async def spend() -> bool:
        async with bench.transactions().begin() as work:
            await work.wishes.spend(spent)
            return True

    outcomes = await bench.together(*(spend() for _ in range(4)))
    assert outcomes.count(True) == 1
    assert sum(isinstance(one, WishUsedError) for one in outcomes) == 3


async def test_who_waited_for_one_that_came_to_nothing_has_his_turn(home: Home) -> None:
    bench, spent = home.bench, home.wish()

    async def spend(*, well: bool) -> bool:
        async with bench.transactions().begin() as work:
            await work.wishes.spend(spent)
            if not well:
                raise InterruptedError
            return True

    outcomes = await bench.together(spend(well=False), spend(well=True))
    assert isinstance(outcomes[0], InterruptedError | WishUsedError)
    assert outcomes[1] is True
    assert len(bench.rows("wishes")) == 1


async def test_two_leases_of_one_room_at_once_one_wins(home: Home) -> None:
    bench, place = home.bench, home.place
    both = (sign(bench.transactions(), place, a_tenancy(place, epoch)) for epoch in (1, 2))
    outcomes = await bench.together(*both)
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], ConflictError | IntegrityRefusedError)
    assert len(bench.rows("tenancies")) == 1


async def test_a_tenancy_changed_from_two_sides_is_judged_as_a_whole(home: Home) -> None:
    """Each takes what the other does not see taken: L-23 would be broken by both together."""
    bench, place = home.bench, home.place
    lease = a_tenancy(place)
    await sign(bench.transactions(), place, lease, people=1)

    async def move_in() -> bool:
        async with bench.transactions().begin() as work:
            holder = await a_holder(work)
            await work.tenancies.add_occupant(Occupant(lease.id, holder))
            await work.duties.add(a_duty(lease.id, holder))
        return True

    outcomes = await bench.together(move_in(), move_in())
    assert outcomes.count(True) == 1
    [refused] = [one for one in outcomes if isinstance(one, IntegrityRefusedError)]
    assert refused.detail == {"rule": "law_23_capacity"}
    assert len(bench.rows("occupants")) == 2


async def test_what_somebody_holds_is_passed_over_by_who_skips(home: Home) -> None:
    bench = home.bench
    grant, wish = fresh(), home.wish()
    bench.plant(
        "grants", id=grant, holder_id=home.place.landlord, door_id=home.place.gate.id, class_="owner",
        capabilities=1, lower=START, state="active",
    )  # fmt: skip
    bench.plant("wishes", **{name: getattr(wish, name) for name in SpentWish.__slots__})
    bench.plant(
        "commands", id=fresh(), lock_id=home.lock, holder_id=home.place.landlord, grant_id=grant,
        wish_id=wish.id, kind="unlock", counter=1, state="sent", sent_at=START, not_after=START,
    )  # fmt: skip
    later = START + timedelta(days=1)
    async with bench.transactions().begin() as holding:
        [held] = await holding.commands.unproven([home.lock])
        async with bench.transactions().begin() as other:
            assert await other.commands.overdue(later) == []
    async with bench.transactions().begin() as other:
        assert await other.commands.overdue(later) == [held]


# ---- idempotency


async def test_L36_a_key_is_claimed_once_and_answers_for_ever(home: Home) -> None:
    bench, body = home.bench, bytes(32)
    answer = Answer(201, {"Location": "/x"}, b"made")
    with pytest.raises(InterruptedError):  # noqa: PT012 - a transaction as a whole
        async with bench.transactions().begin() as work:
            assert await work.idempotency.begin("me", "k", "POST /x", body) is None
            raise InterruptedError  # a crash: the retry has its one effect
    async with bench.transactions().begin() as work:
        assert await work.idempotency.begin("me", "k", "POST /x", body) is None
        async with bench.transactions().begin() as other:
            with pytest.raises(IdempotencyRunningError):
                await other.idempotency.begin("me", "k", "POST /x", body)
        await work.idempotency.finish("me", "k", answer)
    async with bench.transactions().begin() as work:
        assert await work.idempotency.begin("me", "k", "POST /x", body) == answer
        with pytest.raises(IdempotencyMismatchError):
            await work.idempotency.begin("me", "k", "POST /x", b"\1" * 32)
        assert await work.idempotency.begin("you", "k", "POST /x", body) is None


async def test_states_never_said_are_unknown_until_they_are(home: Home) -> None:
    bench = home.bench
    async with bench.transactions().begin() as work:
        assert await work.lock_states.get(home.lock) == LockStatus(home.lock)
        said = replace(await work.lock_states.hold(home.lock), bolt="locked", boot=2, seq=1)
        await work.lock_states.save(said)
    async with bench.transactions().begin() as work:
        assert await work.lock_states.get(home.lock) == said
