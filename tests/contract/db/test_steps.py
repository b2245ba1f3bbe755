"""Steps of one statement: what they stand on is looked at again by the statement that writes."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from lockserver.app.ports import Answer, Claim, Transactions
from lockserver.app.ports.steps import Knock, Standing
from lockserver.db.repositories import steps as written
from lockserver.domain.account import Phone, Session
from lockserver.domain.command import Command
from lockserver.domain.errors import IdempotencyRunningError, WishUsedError
from lockserver.domain.lock import IssuedCredential, Lock, SpentWish
from lockserver.protocol.curve import key_id
from tests.sim.memory.steps import Steps as InMemory
from tests.support.database import Database
from tests.support.people import START, a_place, a_tenancy, fresh, sign
from tests.support.workbench import PostgresBench, Workbench

pytestmark = pytest.mark.contract

NOW = START + timedelta(hours=1)
ANSWER = Answer(202, {"Location": "/v1/commands/x"}, b"sealed")


@dataclass
class Asking:
    """A tenant before his door, with a session, a phone and a key."""

    bench: Workbench
    tenant: UUID
    lock: UUID
    session: UUID
    phone: UUID
    credential: UUID
    sign_pub: bytes

    @property
    def transactions(self) -> Transactions:
        return self.bench.transactions("api")

    @property
    def knock(self) -> Knock:
        return Knock(self.session, self.tenant, self.lock, key_id(self.sign_pub), NOW)

    def claim(self, key: str = "k1") -> Claim:
        return Claim(f"holder:{self.tenant}", key, "POST /v1/locks/x/unlock", b"\x01" * 32)

    async def stands(self, key: str = "none") -> Standing:
        async with self.transactions.steps() as steps:
            _, standing = await steps.standing(self.knock, self.claim(key))
        assert standing is not None
        return standing

    async def place(self, standing: Standing, *, key: str = "k1", wish: UUID | None = None) -> bool:
        until = NOW + timedelta(seconds=15)
        spent = SpentWish(wish or fresh(), self.tenant, self.phone, "unlock", self.lock, until, b"wish")
        command = Command(
            fresh(), self.lock, self.tenant, standing.grant_id, standing.credential_id, spent.id,
            "unlock", 0, "queued", until,
        )  # fmt: skip
        async with self.transactions.steps() as steps:
            return await steps.place(self.knock, command, spent, self.claim(key), ANSWER)

    def written(self) -> tuple[int, int, int, int]:
        """Open commands, wishes, kept answers, lines of the log about it."""
        rows = self.bench.rows
        return (
            len(rows("commands", state="queued")),
            len(rows("wishes")),
            len(rows("idempotency")),
            len(rows("audit_log", verb="unlock_remotely")),
        )


@pytest_asyncio.fixture
async def asking(workbench: Workbench) -> Asking:
    """Over PostgreSQL, and over the memory."""
    return await before_the_door(workbench)


async def before_the_door(bench: Workbench) -> Asking:
    transactions = bench.transactions()
    place = await a_place(transactions)
    tenancy = a_tenancy(place)
    [tenant] = await sign(transactions, place, tenancy)
    lock = Lock(
        fresh(), place.room.id, "SN-1", os.urandom(65), os.urandom(65), bytes(32), b"c", "0a", "active"
    )
    phone = Phone(fresh(), tenant, os.urandom(65), os.urandom(65), None, "active", "staff")
    async with transactions.begin() as work:
        holder = await work.holders.one(tenant)
        assert holder.account_id is not None
        session = Session(fresh(), holder.account_id, os.urandom(32), NOW, os.urandom(32), NOW)
        await work.sessions.add(session)
        await work.phones.add(phone)
        await work.locks.add(lock)
        [grant] = await work.grants.of_tenancy(tenancy.id)
        life = (START, START + timedelta(hours=72))
        key = IssuedCredential(fresh(), grant.id, phone.id, lock.id, *life, START, 1, b"key", capabilities=1)
        await work.credentials.add(key)
    return Asking(bench, tenant, lock.id, session.id, phone.id, key.id, phone.sign_pub)


async def test_all_of_it_is_written_at_once(asking: Asking) -> None:
    _, wishes, _, told = asking.written()
    standing = await asking.stands()
    assert (standing.phone_id, standing.credential_id) == (asking.phone, asking.credential)
    assert await asking.place(standing)
    assert asking.written() == (1, wishes + 1, 1, told + 1)
    async with asking.transactions.steps() as steps:
        known, _ = await steps.standing(asking.knock, asking.claim())
    assert known is not None
    assert known.answer(asking.claim().route, asking.claim().body_hash) == ANSWER


FALLEN: dict[str, tuple[str, dict[str, Any]]] = {
    "session": ("sessions", {"revoked_at": NOW}),
    "grant": ("grants", {"state": "revoked", "revoked_at": NOW}),
    "phone": ("phones", {"state": "revoked", "revoked_at": NOW}),
    "credential": ("credentials", {"revoked_at": NOW}),
}


@pytest.mark.parametrize("what", FALLEN)
async def test_L38_what_ends_between_the_look_and_the_writing_lets_nobody_in(
    asking: Asking, what: str
) -> None:
    before = asking.written()
    standing = await asking.stands()
    table, changes = FALLEN[what]
    assert asking.bench.force(table, **changes)
    assert not await asking.place(standing)
    assert asking.written() == before


@pytest.mark.parametrize("what", FALLEN)
async def test_L38_mutant_a_writer_that_believes_its_look_is_caught(
    asking: Asking, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    believing = written._PLACE.replace("AND s.revoked_at IS NULL", "")
    for condition in ("AND g.state = 'active'", "AND p.state = 'active'", "AND c.revoked_at IS NULL"):
        believing = believing.replace(condition, "")
    monkeypatch.setattr(written, "_PLACE", believing)
    monkeypatch.setattr(InMemory, "_stands", staticmethod(lambda *_: True))
    standing = await asking.stands()
    table, changes = FALLEN[what]
    assert asking.bench.force(table, **changes)
    assert await asking.place(standing)


async def test_L36_one_key_at_the_same_moment_writes_once(asking: Asking) -> None:
    _, wishes, _, _ = asking.written()
    standing = await asking.stands()
    ended = await asking.bench.together(*(asking.place(standing) for _ in range(4)))
    assert [one for one in ended if one is True] == [True]
    assert all(one is False or isinstance(one, IdempotencyRunningError) for one in ended if one is not True)
    assert asking.written()[:3] == (1, wishes + 1, 1)


async def test_a_wish_is_spent_once_and_a_refusal_keeps_nothing(asking: Asking) -> None:
    standing = await asking.stands()
    wish = fresh()
    assert await asking.place(standing, wish=wish)
    before = asking.written()
    with pytest.raises(WishUsedError):
        await asking.place(standing, key="another", wish=wish)
    assert asking.written() == before


async def test_a_key_that_runs_elsewhere_is_said_to_run(asking: Asking) -> None:
    """The long way holds the key's lock until its transaction ends: nobody waits for it here."""
    standing = await asking.stands()
    claim = asking.claim()
    async with asking.transactions.begin() as work:
        await work.idempotency.begin(claim.caller, claim.key, claim.route, claim.body_hash)
        with pytest.raises(IdempotencyRunningError):
            await asking.place(standing)
        await work.idempotency.finish(claim.caller, claim.key, replace(ANSWER, status=201))
    assert not await asking.place(standing)


async def test_a_server_that_went_away_is_found_again(database: Database) -> None:
    """The step that meets it fails; the next one has a new connection."""
    bench = PostgresBench(database)
    asking = await before_the_door(bench)
    transactions = bench.transactions("api")

    async def stands() -> bool:
        async with transactions.steps() as steps:
            return (await steps.standing(asking.knock, asking.claim()))[1] is not None

    assert await stands()
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(psycopg.OperationalError):
        await stands()
    assert await stands()
    bench.close()
