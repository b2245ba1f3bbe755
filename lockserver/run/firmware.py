"""`lockserver firmware`: what images there are for locks, and adding one. The site signs none of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING

from lockserver import settings as configuration
from lockserver.db.connection import Pool
from lockserver.db.examine import DatabaseAwayError, examine_database
from lockserver.db.unit_of_work import PostgresTransactions
from lockserver.domain.errors import ConflictError
from lockserver.domain.firmware import FirmwareImage
from lockserver.domain.ids import new_id
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.firmware import check_image, peek_firmware
from lockserver.run.world import SystemClock, system_random
from lockserver.settings import PREFIX, Role

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def add_firmware(data: Path, image: Path, manifest: Path, serials: str) -> int:
    """Add an image with its manufacturer's manifest; the answer is the exit status.

    That the manifest is the manufacturer's, each lock checks under the key burnt into it; that the image is the
    manifest's is checked here too, so that a mistake is found before a lock finds it.
    """
    try:
        signed, raw = manifest.read_bytes(), image.read_bytes()
        said = peek_firmware(signed)
        check_image(said, raw)
    except OSError as error:
        print(f"cannot read {error.filename} ({error.strerror})", file=sys.stderr)
        return os.EX_NOINPUT
    except RemoteError as error:
        print(f"{manifest} is no manifest of {image}: {error}", file=sys.stderr)
        return os.EX_DATAERR
    made = FirmwareImage(
        id=new_id(SystemClock(), system_random),
        model=said.model,
        serials=serials,
        counter=said.counter,
        version=said.version,
        manifest=signed,
        size=said.size,
    )
    try:
        asyncio.run(_add(database_url(data), made, raw))
    except (DatabaseAwayError, FileNotFoundError) as error:
        print(f"no database ({error}): start it, or name it by LOCKSERVER_DATABASE_URL", file=sys.stderr)
        return os.EX_CONFIG
    except ConflictError:
        print(f"{made.model} has an image of counter {made.counter} already", file=sys.stderr)
        return 1
    print(_line(made))
    return 0


def list_firmware(data: Path, *, as_json: bool) -> int:
    """Print every image, the newest of each model first."""
    try:
        found = asyncio.run(_all(database_url(data)))
    except (DatabaseAwayError, FileNotFoundError) as error:
        print(f"no database ({error}): start it, or name it by LOCKSERVER_DATABASE_URL", file=sys.stderr)
        return os.EX_CONFIG
    for one in found:
        shown = {"model": one.model, "counter": one.counter, "version": one.version, "serials": one.serials}
        print(json.dumps(shown | {"size": one.size}) if as_json else _line(one))
    return 0


def database_url(data: Path) -> str:
    """Return the schema owner's URL: who may migrate may add firmware. Raises FileNotFoundError."""
    if f"{PREFIX}DATABASE_URL" in os.environ or f"{PREFIX}SECRETS_DIR" in os.environ:
        return configuration.load(Role.MIGRATE).database_url.get_secret_value()
    secret = data / "secrets" / Role.MIGRATE.value / f"{PREFIX.lower()}database_url"
    return secret.read_text(encoding="utf-8")


def _line(image: FirmwareImage) -> str:
    return f"{image.model} {image.counter} ({image.version}), {image.size} bytes, for {image.serials}…"


async def _add(url: str, image: FirmwareImage, data: bytes) -> None:
    examine_database(url, Role.MIGRATE.value)
    pool = Pool(url, size=1, application="lockserver-firmware")
    try:
        async with PostgresTransactions(pool).begin() as work:
            await work.firmware.add(image, data)
    finally:
        await pool.close()


async def _all(url: str) -> Sequence[FirmwareImage]:
    examine_database(url, Role.MIGRATE.value)
    pool = Pool(url, size=1, application="lockserver-firmware")
    try:
        async with PostgresTransactions(pool).begin() as work:
            return await work.firmware.all()
    finally:
        await pool.close()
