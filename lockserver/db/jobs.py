"""Role jobs: what happens because time passes. Scheduled by procrastinate, carried out by use cases.

procrastinate keeps the schedule in our database (its own tables, which only this role may touch): a
tick is deferred once however many workers run, and one that was missed is caught up. Each job is a
use case that can be run twice without harm; the schedule promises "soon", and no law rests on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from procrastinate import App, PsycopgConnector
from sqlalchemy import text

from lockserver.app.ask_inventory import request_inventories
from lockserver.app.end_tenancy import end_over_tenancies
from lockserver.app.name_risks import name_risks
from lockserver.app.settle_command import settle_overdue
from lockserver.db.audit import checkpoint
from lockserver.db.unit_of_work import PostgresTransactions

if TYPE_CHECKING:
    from lockserver.app import ports
    from lockserver.db.connection import Pool

log = structlog.get_logger(__name__)

EVERY_5_S: Final = "* * * * * */5"
EVERY_15_S: Final = "* * * * * */15"
EVERY_MINUTE: Final = "* * * * *"
EVERY_HOUR: Final = "7 * * * *"

STOP_S: Final = 5.0
"""How long a running job is given when the role stops; each is one short transaction."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing that recurs. `cron` has five fields, or six with seconds last. `run` returns a count."""

    name: str
    cron: str
    run: Callable[[], Awaitable[int]]


def house_jobs(
    pool: Pool, checkpoint_key: ports.Signer, clock: ports.Clock, random: ports.Random
) -> Sequence[Job]:
    """Return the jobs of the house."""
    transactions = PostgresTransactions(pool)

    async def settle_commands() -> int:
        async with transactions.begin() as work:
            return len(await settle_overdue(work, clock.now()))

    async def end_tenancies() -> int:
        async with transactions.begin() as work:
            return len(await end_over_tenancies(work, random, clock.now()))

    async def name_those_at_risk() -> int:
        async with transactions.begin() as work:
            return await name_risks(work, random, clock.now())

    async def ask_what_locks_hold() -> int:
        async with transactions.begin() as work:
            return await request_inventories(work, clock.now())

    async def sign_checkpoint() -> int:
        return await checkpoint(pool, checkpoint_key)

    async def forget() -> int:
        return await forget_the_past(pool)

    return (
        Job("settle_commands", EVERY_5_S, settle_commands),
        Job("end_tenancies", EVERY_5_S, end_tenancies),
        Job("audit_checkpoint", EVERY_15_S, sign_checkpoint),
        Job("name_risks", EVERY_HOUR, name_those_at_risk),
        Job("request_inventories", EVERY_HOUR, ask_what_locks_hold),
        Job("forget", EVERY_HOUR, forget),
    )


_FORGET = (
    "DELETE FROM requests WHERE expires_at < now() - interval '10 minutes'",
    "DELETE FROM idempotency WHERE created_at < now() - interval '2 days'",
    "DELETE FROM login_codes WHERE expires_at < now() - interval '1 day'",
)
"""What nobody can need any more. Idempotency keys live two days: longer than any client retries."""


async def forget_the_past(pool: Pool) -> int:
    """Delete what has served: answered requests, old idempotency keys, old one-time codes."""
    gone = 0
    async with pool.transaction() as connection:
        for statement in _FORGET:
            gone += (await connection.execute(text(statement))).rowcount
    return gone


def _quiet() -> None:
    """Keep procrastinate's per-job lines out of the log: every job here speaks for itself."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)


def _app(url: str, jobs: Sequence[Job]) -> App:
    app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=3))
    for job in jobs:
        app.periodic(cron=job.cron)(
            app.task(name=job.name, queueing_lock=job.name, pass_context=False)(_task(job))
        )
    return app  # fmt: skip


def _task(job: Job) -> Callable[[int], Awaitable[None]]:
    async def task(timestamp: int) -> None:
        del timestamp  # the use case asks its own clock
        try:
            done = await job.run()
        except Exception:
            log.exception("job.failed", job=job.name)
            return  # the next tick tries again
        if done:
            log.info("job.done", job=job.name, count=done)

    return task


async def run_jobs(url: str, jobs: Sequence[Job], stop: asyncio.Event) -> None:
    """Run the schedule until `stop` is set. Raises what the worker raised."""
    _quiet()
    app = _app(url, jobs)
    async with app.open_async():
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=2,
                install_signal_handlers=False,
                fetch_job_polling_interval=2.0,
                delete_jobs="always",
                shutdown_graceful_timeout=STOP_S,
            )
        )
        stopped: asyncio.Task[object] = asyncio.create_task(stop.wait())
        await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not worker.done():
            worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker
