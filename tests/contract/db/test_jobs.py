"""What happens because time passes, on the real schedule; and the signed heads of the audit log."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from lockserver.db.audit import checkpoint
from lockserver.db.jobs import Job, forget_the_past, house_jobs, run_jobs
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.protocol.curve import EcdsaSigner, private_key
from tests.support.database import Database, FakeClock
from tests.support.people import a_place, a_tenancy, sign

pytestmark = pytest.mark.contract

KEY = EcdsaSigner(private_key(lambda n: bytes(range(n))))


async def until(database: Database, statement: str, wanted: object, seconds: float = 25) -> None:
    async with asyncio.timeout(seconds):
        while database.execute(statement) != [(wanted,)]:
            await asyncio.sleep(0.1)


async def test_a_lease_whose_window_closed_is_ended_by_the_schedule(database: Database) -> None:
    api = database.transactions("api")
    place = await a_place(api)
    tenancy = a_tenancy(place)
    await sign(api, place, tenancy)
    clock = FakeClock(tenancy.upper - timedelta(seconds=1))
    pool = database.pool("jobs")
    jobs = house_jobs(pool, KEY, clock, secrets.token_bytes)
    by_name = {job.name: job for job in jobs}
    assert await by_name["end_tenancies"].run() == 0
    clock.at = tenancy.upper
    stop = asyncio.Event()
    running = asyncio.create_task(run_jobs(pool.url, jobs, stop))
    await until(database, "SELECT state FROM tenancies", "ended")
    assert database.execute("SELECT state FROM grants") == [("revoked",)]
    await until(database, "SELECT count(*) > 0 FROM audit_checkpoints", wanted=True)
    stop.set()
    await running


async def test_a_job_that_fails_is_tried_again_and_the_others_go_on(database: Database) -> None:
    tries: list[int] = []

    async def fails() -> int:
        tries.append(1)
        raise ZeroDivisionError

    stop = asyncio.Event()

    async def ends() -> int:
        if len(tries) > 1:
            stop.set()
        return 1

    jobs = [Job("fails", "* * * * * */1", fails), Job("ends", "* * * * * */1", ends)]
    async with asyncio.timeout(30):
        await run_jobs(database.url("jobs"), jobs, stop)
    assert len(tries) > 1


async def test_only_jobs_may_touch_the_schedule(database: Database) -> None:
    for role in ("api", "issuer", "verify", "bridge", "relay"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute("INSERT INTO procrastinate_jobs (task_name) VALUES ('x')", role=role)


async def test_what_has_served_is_forgotten(database: Database) -> None:
    database.execute(
        "INSERT INTO login_codes (id, phone_index, code_hash, expires_at) VALUES"
        " (gen_random_uuid(), '\\x01', '\\x02', now() - interval '2 days'),"
        " (gen_random_uuid(), '\\x01', '\\x02', now())"
    )
    assert await forget_the_past(database.pool("jobs")) == 1


async def a_line(transactions: PostgresTransactions, verb: str) -> None:
    async with transactions.begin() as work:
        await work.audit.write("holder:1", verb, "house:1", at=datetime(2026, 3, 2, tzinfo=UTC))


async def test_a_checkpoint_leaves_out_what_may_still_appear(database: Database) -> None:
    api, pool = database.transactions("api"), database.pool("jobs")
    async with api.begin() as slow:
        await slow.audit.write("holder:1", "slow", "house:1")  # an earlier id, not committed yet
        await a_line(api, "quick")
        assert await checkpoint(pool, KEY) == 0
    assert await checkpoint(pool, KEY) == 2
    await a_line(api, "later")
    assert await checkpoint(pool, KEY) == 1
    assert await checkpoint(pool, KEY) == 0
    rows = database.execute("SELECT number, count, prev_hash, root_hash FROM audit_checkpoints ORDER BY 1")
    assert [row[:2] for row in rows] == [(1, 2), (2, 1)]
    assert rows[1][2] == rows[0][3]
