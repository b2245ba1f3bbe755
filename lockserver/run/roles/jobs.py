"""Role jobs: what happens because time passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lockserver.db.connection import Pool
from lockserver.db.jobs import house_jobs, run_jobs
from lockserver.keys.keyring import load_jobs
from lockserver.run.world import SystemClock, system_random

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from lockserver.settings import Settings


async def run(settings: Settings, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises KeyFileError."""
    keys = load_jobs(settings.role_keys)
    url = settings.database_url.get_secret_value()
    pool = Pool(url, size=settings.database_pool, application="lockserver-jobs")
    try:
        jobs = house_jobs(pool, keys.checkpoint, SystemClock(), system_random)
        ready()
        await run_jobs(url, jobs, stop)
    finally:
        await pool.close()
