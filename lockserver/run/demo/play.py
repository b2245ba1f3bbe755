"""`lockserver demo`: set everything up, play the story, stay up until Ctrl-C, leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lockserver.db.embedded import EmbeddedPostgresError
from lockserver.logging import configure
from lockserver.mqtt.embedded import EmbeddedNatsError
from lockserver.run.demo.stage import Stage
from lockserver.run.demo.world import World
from lockserver.run.installation import InstallationError, Wanted, open_installation
from lockserver.run.supervisor import ProgramError

if TYPE_CHECKING:
    from lockserver.run.installation import Installation

STORY_FAILED = 1


def play(
    *,
    data: Path,
    port: int,
    once: bool,
    as_json: bool,
    database_url: str | None = None,
    broker_url: str | None = None,
) -> int:
    """Play the story on an installation below `data`; the answer is the exit status.

    Faults of set-up are one line on stderr that names the cure.
    """
    data = data.absolute()
    stage = Stage(json_lines=as_json)
    wanted = Wanted(data=data, port=port, database_url=database_url, broker_url=broker_url)
    try:
        return asyncio.run(_play(wanted, stage, once=once))
    except (InstallationError, ProgramError, EmbeddedPostgresError, EmbeddedNatsError) as fault:
        print(f"lockserver demo: {fault}", file=sys.stderr)
        return os.EX_CONFIG
    except asyncio.CancelledError:
        return 128 + signal.SIGINT
