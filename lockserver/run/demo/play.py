"""`lockserver demo`: set everything up, play the story, stay up until Ctrl-C, leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lockserver.db.embedded import EmbeddedPostgresError
from lockserver.mqtt.embedded import EmbeddedNatsError
from lockserver.run.demo.carry_by_gateway import carry_by_gateway
from lockserver.run.demo.claim_locks import claim_locks
from lockserver.run.demo.examine import examine
from lockserver.run.demo.file_registrations import file_registrations
from lockserver.run.demo.move_out import move_out
from lockserver.run.demo.open_offline import open_offline
from lockserver.run.demo.register_tenants import register_tenants
from lockserver.run.demo.share_keys import share_keys
from lockserver.run.demo.sign_leases import sign_leases
from lockserver.run.demo.stage import Stage
from lockserver.run.demo.story import open_story
from lockserver.run.demo.unlock_from_afar import unlock_from_afar
from lockserver.run.demo.use_pins import use_pins
from lockserver.run.demo.world import World
from lockserver.run.installation import InstallationError, Wanted, open_installation
from lockserver.run.supervisor import ProgramError

if TYPE_CHECKING:
    from collections.abc import Mapping

STORY_FAILED = 1


def play(
    *,
    data: Path,
    port: int,
    once: bool,
    as_json: bool,
    database_url: str | None = None,
    broker_url: str | None = None,
    broker_files: Mapping[str, Path] | None = None,
) -> int:
    """Play the story on an installation below `data`; the answer is the exit status.

    `broker_files`: `broker_ca`, `broker_certificate`, `broker_key`, for an `mqtts://` broker.
    Faults of set-up are one line on stderr that names the cure.
    """
    data = data.absolute()
    stage = Stage(json_lines=as_json)
    extra = {name: str(path) for name, path in (broker_files or {}).items()}
    wanted = Wanted(data=data, port=port, database_url=database_url, broker_url=broker_url, extra=extra)
    try:
        return asyncio.run(_play(wanted, stage, once=once))
    except (InstallationError, ProgramError, EmbeddedPostgresError, EmbeddedNatsError) as fault:
        print(f"lockserver demo: {fault}", file=sys.stderr)
        return os.EX_CONFIG
    except asyncio.CancelledError:
        return 128 + signal.SIGINT


CHAPTERS = (
    claim_locks,
    sign_leases,
    register_tenants,
    file_registrations,
    open_offline,
    unlock_from_afar,
    share_keys,
    use_pins,
    carry_by_gateway,
    move_out,
    examine,
)


async def _play(wanted: Wanted, stage: Stage, *, once: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    site = open_installation(wanted)
    stage.say(f"Setting up below {wanted.data} …")
    try:
        story = asyncio.create_task(_tell(World(site), stage))
        status = await _first(story, stop, site.supervisor.failure)
        if not once and not stop.is_set():
            stage.say("\nEverything stays up; the story can be looked at. Ctrl-C ends it.")
            await _first(asyncio.create_task(_forever()), stop, site.supervisor.failure)
        return status
    finally:
        stage.say("Stopping …")
        await site.close()


async def _tell(world: World, stage: Stage) -> int:
    """Set up and play all chapters; the answer is the exit status."""
    began = time.perf_counter()
    stage.chapter("Set-up")
    async with stage.step("Everything starts: servers, roles, province, locks") as step:
        await world.start()
        step.saw(f"PostgreSQL, broker, province, {len(world.boxes)} locks, roles: each a process of its own")
    with TemporaryDirectory(dir=world.site.data, prefix="phones.") as folder:
        story = open_story(stage, world, Path(folder))
        try:
            for chapter in CHAPTERS:
                await chapter(story)
        except Exception as fault:
            if stage.failed == 0:
                raise
            (world.site.data / "logs" / "story.log").write_text(
                "".join(traceback.format_exception(fault)), encoding="utf-8"
            )
        finally:
            await story.close()
    stage.end(time.perf_counter() - began, world.addresses())
    return STORY_FAILED if stage.failed else 0


async def _first(
    playing: asyncio.Task[int], stop: asyncio.Event, failure: asyncio.Future[ProgramError]
) -> int:
    """Wait for the story, a stop, or a program that had to be given up. Raises ProgramError."""
    stopping = asyncio.create_task(stop.wait())
    awaited: set[asyncio.Future[Any]] = {playing, stopping, failure}
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if playing.done():
        return playing.result()
    playing.cancel()
    await asyncio.wait({playing})
    if failure.done():
        raise failure.result()
    return 128 + signal.SIGINT


async def _forever() -> int:
    await asyncio.Event().wait()
    return 0
