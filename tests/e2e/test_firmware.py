"""L-14 from the server on: an image reaches its locks piece by piece, a bad one is refused and not pressed again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from firmware_sim.core.image import build_image
from firmware_sim.factory import sign_image
from lockserver.app import converge_firmware
from lockserver.app.bridging import Bridging
from lockserver.app.converge_access import ask_hello
from lockserver.domain.firmware import FirmwareImage
from lockserver.domain.lock import LockStatus
from lockserver.main import main
from lockserver.protocol.commands import CommandKind
from tests.support.database import Database
from tests.support.doorway import SimLock
from tests.support.gateways import Lane, lane

pytestmark = [pytest.mark.e2e]


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[Lane]:
    async with lane(database, tmp_path) as made:
        yield made


async def add(world: Lane, *, counter: int, forge: bool = False, size: int = 9000) -> int:
    """Add an image as an operator does; the exit status."""
    image = build_image(f"{counter}.0", secrets.token_bytes(size))
    folder = world.folder / ("thieves" if forge else "boxes")
    folder.mkdir(exist_ok=True)
    files = world.folder / f"{counter}.bin", world.folder / f"{counter}.fw"
    files[0].write_bytes(image)
    files[1].write_bytes(sign_image(folder, image, counter, f"{counter}.0"))
    secret = world.folder / "secrets" / "migrate" / "lockserver_database_url"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text(world.database.url("migrate"))
    given = ["firmware", "add", str(files[0]), "--manifest", str(files[1]), "--serials", "LSIM-"]
    return await asyncio.to_thread(main, [*given, "--data", str(world.folder)])


def status(world: Lane, lock: SimLock) -> tuple[int | None, int | None, str | None]:
    ((runs, refused, denial),) = world.database.execute(
        "SELECT firmware, firmware_refused, firmware_denial FROM lock_status WHERE lock_id = %s", lock.id
    )
    return runs, refused, denial


async def until(world: Lane, lock: SimLock, wanted: tuple[int, int | None, str | None]) -> None:
    async with asyncio.timeout(40):
        while status(world, lock) != wanted:
            await asyncio.sleep(0.1)


def offers(monkeypatch: pytest.MonkeyPatch) -> list[Bridging]:
    """Every piece of firmware that the bridge sends; each with the world that sent it."""
    sent: list[Bridging] = []
    send = Bridging.send

    def counted(self: Bridging, lock: object, command: object) -> bool:
        if command.kind is CommandKind.FIRMWARE:  # type: ignore[attr-defined]
            sent.append(self)
        return send(self, lock, command)  # type: ignore[arg-type]

    monkeypatch.setattr(Bridging, "send", counted)
    return sent


async def door(world: Lane) -> SimLock:
    owner = await world.person()
    gate, _ = await world.house(owner)
    return await world.settled_lock(owner, gate)


async def test_an_image_is_added_and_its_locks_run_it(world: Lane) -> None:
    assert await add(world, counter=7) == 0
    assert await add(world, counter=7) == 1  # this model has one of that counter
    lock = await door(world)
    await until(world, lock, (7, None, None))
    ((version,),) = world.database.execute("SELECT firmware_version FROM lock_status")
    assert version == "7.0"
    assert await asyncio.to_thread(main, ["firmware", "list", "--data", str(world.folder)]) == 0


async def test_an_image_reaches_a_lock_behind_a_gateway(world: Lane) -> None:
    assert await add(world, counter=8) == 0
    owner = await world.person()
    gate, _ = await world.house(owner)
    lock = await world.ble_lock(owner, gate)
    await world.gateway(owner, gate.house_id)
    await world.heard(lock)
    await world.sync(owner)
    assert (await world.unlock(owner, lock)).status_code == 200
    await until(world, lock, (8, None, None))


async def test_a_manifest_of_another_image_is_not_even_added(world: Lane) -> None:
    assert await add(world, counter=3) == 0
    other = world.folder / "other.bin"
    other.write_bytes(b"\0" * 100)
    given = ["firmware", "add", str(other), "--manifest", str(world.folder / "3.fw"), "--serials", "LSIM-"]
    assert await asyncio.to_thread(main, [*given, "--data", str(world.folder)]) != 0


async def pressed(world: Lane, monkeypatch: pytest.MonkeyPatch) -> int:
    """A forged image lies at the server; how often a lock that refused it is offered it again."""
    sent = offers(monkeypatch)
    assert await add(world, counter=9, forge=True) == 0
    lock = await door(world)
    before, _, _ = status(world, lock)
    await until(world, lock, (before or 0, 9, "unknown_key"))
    count = len(sent)
    bridge = sent[0]
    found = await bridge.lock(lock.id)
    assert found is not None
    for _ in range(5):
        ask_hello(bridge, found)
        await asyncio.sleep(0.3)
    assert lock.driver.lock is not None
    assert status(world, lock)[0] == before
    return len(sent) - count


async def test_L14_a_forged_image_is_refused_and_never_offered_again(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await pressed(world, monkeypatch) == 0


async def test_L14_mutant_a_server_that_forgets_refusals(
    world: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wants(said: LockStatus, image: FirmwareImage) -> bool:
        return said.firmware is not None and said.firmware < image.counter

    monkeypatch.setattr(converge_firmware, "_wants", wants)
    assert await pressed(world, monkeypatch) > 0


async def test_L14_an_image_that_was_changed_at_the_server_runs_nowhere(world: Lane) -> None:
    assert await add(world, counter=5) == 0
    world.database.execute("UPDATE firmware_images SET image = overlay(image placing '\\x00' from 4000)")
    lock = await door(world)
    before, _, _ = status(world, lock)
    await until(world, lock, (before or 0, 5, "bad_signature"))
