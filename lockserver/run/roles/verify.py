"""Role verify: opens what was brought to cases, has it looked at, judges, files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import traceback
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import police_sync
from lockserver.app.capture import WITHDRAWN
from lockserver.app.destroy_case import destroy_what_is_due
from lockserver.app.ports import RecognitionBusyError
from lockserver.app.verifying import Verifying
from lockserver.app.work_on_cases import work_on_one_part
from lockserver.db.changes import PostgresChanges
from lockserver.db.connection import Pool
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.keys.keyring import load_verify
from lockserver.run.recognition import PooledRecogniser
from lockserver.run.world import SystemClock, system_random
from mobile_api.verify.pool import RecognitionPool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from lockserver.app.ports import Changes, Watch
    from lockserver.settings import Settings

log = structlog.get_logger(__name__)

LOOK_AGAIN_S = 1.0
"""How long a lost notification can cost, at most."""
SWEEP_S = 60.0
PAUSE_S = 0.5


async def run(settings: Settings, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    keys = load_verify(settings.role_keys)
    url = settings.database_url.get_secret_value()
    async with AsyncExitStack() as stack:
        pool = Pool(url, size=settings.database_pool, application="lockserver-verify")
        stack.push_async_callback(pool.close)
        changes = await stack.enter_async_context(
            PostgresChanges(url, "requests_verify", "registration_changed")
        )
        recognition = RecognitionPool(workers=settings.verify_processes)
        await stack.enter_async_context(recognition)
        world = Verifying(
            transactions=PostgresTransactions(pool),
            clock=SystemClock(),
            random=system_random,
            recogniser=PooledRecogniser(recognition),
            opener=keys.opening,
            kek=keys.case_kek,
            id_index=keys.id_index,
            codes=code_tables("reason", "occupation"),
        )
        # One more than recognises: a confirmation must not wait behind somebody's photograph.
        hands = settings.verify_processes + 1
        ready()
        await work(world, changes, stop, hands)


async def work(world: Verifying, changes: Changes, stop: asyncio.Event, hands: int) -> None:
    """Work on parts with so many hands, and destroy what is due, until `stop` is set."""

    def hand() -> Coroutine[None, None, None]:
        return _each_change(changes.watch("requests_verify"), stop, LOOK_AGAIN_S, lambda: _parts(world))

    def broom(watch: AbstractAsyncContextManager[Watch]) -> Coroutine[None, None, None]:
        return _each_change(watch, stop, SWEEP_S, lambda: _sweep(world))

    async with asyncio.TaskGroup() as group:
        for _ in range(hands):
            group.create_task(hand())
        group.create_task(broom(changes.watch("registration_changed")))
        group.create_task(broom(changes.watch("requests_verify", WITHDRAWN)))


async def _parts(world: Verifying) -> None:
    while await work_on_one_part(world):
        pass


async def _sweep(world: Verifying) -> None:
    async with world.transactions.begin() as unit:
        count = await destroy_what_is_due(unit, world.clock.now())
    if count:
        log.info("verify.destroyed", cases=count)


async def _each_change(
    watching: AbstractAsyncContextManager[Watch],
    stop: asyncio.Event,
    every_s: float,
    act: Callable[[], Awaitable[None]],
) -> None:
    """Act at every hint, at least every `every_s` seconds, and once more after a fault."""
    stopped = asyncio.create_task(stop.wait())
    try:
        async with watching as watch:
            while not stop.is_set():
                pause = every_s
                try:
                    await act()
                except RecognitionBusyError:
                    pause = PAUSE_S
                except Exception as fault:  # noqa: BLE001 - one broken part must not end the role
                    # Type and place only: its message may quote what a person sent (L-31).
                    log.error("verify.failed", error=type(fault).__name__, at=_place(fault))  # noqa: TRY400
                    pause = PAUSE_S
                heard = asyncio.create_task(_heard(watch.next(pause)))
                await asyncio.wait({heard, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not heard.done():
                    heard.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await heard
    finally:
        stopped.cancel()


def _place(fault: Exception) -> list[str]:
    frames = traceback.extract_tb(fault.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:]]


async def _heard(hint: Awaitable[object]) -> None:
    await hint


def code_tables(*names: str) -> dict[str, frozenset[str]]:
    """Return the codes of the contract's tables, by table."""
    folder = Path(police_sync.__file__).parent / "contract" / "codes"
    tables = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names}
    return {name: frozenset(entry["code"] for entry in table["entries"]) for name, table in tables.items()}
