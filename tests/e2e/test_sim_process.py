"""`lockserver sim` as a process: phones from elsewhere, hands at its control door, flash that stays."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firmware_sim.control import ControlError, control
from lockserver.protocol.claims import HolderClass
from lockserver.protocol.enrolment import read_e3
from lockserver.protocol.errors import AirCode
from mobile_api.phone.door import DoorKey, claim, visit
from mobile_api.phone.errors import NoSuchDoorError
from mobile_api.phone.radio import PhoneRadio
from tests.support.site import Enrolled, Holder, Site


@dataclass
class Sim:
    process: asyncio.subprocess.Process
    ready: dict[str, Any]

    async def do(self, verb: str, **more: object) -> dict[str, Any]:
        host, port = str(self.ready["control"]).split(":")
        return await control(host, int(port), do=verb, **more)


@asynccontextmanager
async def sim(folder: Path, locks: int) -> AsyncIterator[Sim]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "firmware_sim.main",
        "--locks",
        str(locks),
        "--data",
        str(folder),
        "--auto-lock",
        "0",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield Sim(process, json.loads(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0


async def enrol(site: Site, running: Sim, radio: PhoneRadio, number: int) -> Enrolled:
    burnt = running.ready["locks"][number]
    made: list[Enrolled] = []

    async def ask(offer: bytes) -> tuple[bytes, bytes]:
        e3, enrolled = site.enrol(offer, bytes.fromhex(burnt["claim_code"]))
        made.append(enrolled)
        return read_e3(e3)

    await running.do("press_button", serial=burnt["serial"])
    await claim(radio, burnt["serial"], site.holder().signer, ask)
    return made[0]


def key(site: Site, lock: Enrolled, holder: Holder, **claims: object) -> DoorKey:
    return DoorKey(lock.lock_id, lock.sign_public, site.credential(lock, holder, **claims))


async def test_flash_survives_the_process_and_a_pulled_plug(tmp_path: Path) -> None:
    site = Site(now=int(time.time()))
    tenant, last = site.holder(), site.holder()
    async with sim(tmp_path / "locks", 2) as running:
        radio = await PhoneRadio.open(running.ready["radio"])
        lock = await enrol(site, running, radio, 0)
        assert (await visit(radio, key(site, lock, last, epoch=1), last.signer)).opened
        assert (await visit(radio, key(site, lock, tenant, epoch=2), tenant.signer)).opened
        serial = running.ready["locks"][0]["serial"]
        await running.do("restart", serial=serial)
        refused = await visit(radio, key(site, lock, last, epoch=1), last.signer)
        assert refused.answer.code is AirCode.DENIED
        state = await running.do("state", serial=serial)
        assert (state["openings"], state["epoch"], state["occupied"]) == (2, 2, True)
        await radio.close()
    for file in (tmp_path / "locks").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file.name
    async with sim(tmp_path / "locks", 2) as running:
        assert {x["serial"] for x in running.ready["locks"]} >= {serial}
        radio = await PhoneRadio.open(running.ready["radio"])
        assert (await visit(radio, key(site, lock, tenant, epoch=2), tenant.signer)).opened
        refused = await visit(radio, key(site, lock, last, epoch=1), last.signer)
        assert refused.answer.code is AirCode.DENIED
        await radio.close()


async def test_a_lock_whose_plug_is_pulled_is_silent_and_a_killed_process_leaves_a_whole_flash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobile_api.phone.conversation.SCAN", 1.0)
    site = Site(now=int(time.time()))
    tenant = site.holder()
    async with sim(tmp_path / "locks", 1) as running:
        radio = await PhoneRadio.open(running.ready["radio"])
        lock = await enrol(site, running, radio, 0)
        serial = running.ready["locks"][0]["serial"]
        await running.do("power_cut", serial=serial)
        with pytest.raises(NoSuchDoorError):
            await visit(radio, key(site, lock, tenant), tenant.signer)
        await running.do("power_on", serial=serial)
        assert (await visit(radio, key(site, lock, tenant), tenant.signer)).opened
        await running.do("jam", serial=serial)
        assert (await visit(radio, key(site, lock, tenant), tenant.signer)).answer.code is AirCode.TRY_LATER
        with pytest.raises(ControlError):
            await running.do("state", serial="LSIM-nobody")
        with pytest.raises(ControlError):
            await running.do("explode", serial=serial)
        await radio.close()
        os.kill(running.process.pid, signal.SIGKILL)
        assert await running.process.wait() == -signal.SIGKILL
    async with sim(tmp_path / "locks", 1) as again:
        radio = await PhoneRadio.open(again.ready["radio"])
        assert (await visit(radio, key(site, lock, tenant), tenant.signer)).opened
        assert (await again.do("state", serial=serial))["journal"] >= 5
        await radio.close()


async def test_six_phones_at_one_gate_all_get_in(tmp_path: Path) -> None:
    site = Site(now=int(time.time()))
    async with sim(tmp_path / "locks", 1) as running:
        first = await PhoneRadio.open(running.ready["radio"])
        lock = await enrol(site, running, first, 0)
        radios = [first, *[await PhoneRadio.open(running.ready["radio"]) for _ in range(5)]]

        async def enter(radio: PhoneRadio) -> bool:
            holder = site.holder()
            mine = key(site, lock, holder, holder_class=HolderClass.TENANT, epoch=1)
            return (await visit(radio, mine, holder.signer, collect=False)).opened

        assert await asyncio.gather(*(enter(radio) for radio in radios)) == [True] * 6
        state = await running.do("state", serial=running.ready["locks"][0]["serial"])
        assert state["openings"] == 6
        for radio in radios:
            await radio.close()


async def test_what_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "firmware_sim.main",
        "--data",
        str(tmp_path),
        "--radio",
        "tcp:0.0.0.0:0",
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().count("\n") == 1
    assert b"loopback" in said
