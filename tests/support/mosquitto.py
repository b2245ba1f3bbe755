"""Debian's mosquitto, run on the files that `lockserver mosquitto` writes."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lockserver.leash import Leashed
from lockserver.ports import is_free

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lockserver.run.own_broker import OwnBroker

MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
START_S = 10


@contextmanager
def mosquitto(files: OwnBroker) -> Iterator[Path]:
    """Run it; what it says goes to the file that is handed out."""
    assert MOSQUITTO is not None
    log = files.folder / "mosquitto.log"
    server = Leashed([MOSQUITTO, "-c", str(files.configuration)], log=log)
    try:
        until = time.monotonic() + START_S
        while is_free(files.port):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        yield log
    finally:
        server.stop()
