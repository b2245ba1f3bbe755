"""Hands at a running simulator: leaf, case, handle, cylinder, battery, and the long press of the button."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from firmware_sim.control import ControlError
from mobile_api.phone.door import visit
from mobile_api.phone.radio import PhoneRadio
from tests.e2e.test_sim_process import Sim, enrol, key, sim
from tests.support.site import Site, source

PATIENCE = 30.0
"""Seconds: a lock lingers ten before it forgets."""


async def until_unowned(running: Sim, serial: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await running.do("state", serial=serial))["lock_id"] is not None:
            await asyncio.sleep(0.1)


async def test_hands_at_the_door_are_seen_and_the_long_button_lets_a_vacant_room_go(tmp_path: Path) -> None:
    site = Site(now=int(time.time()))
    async with sim(tmp_path / "locks", 1) as running:
        radio = await PhoneRadio.open(running.ready["radio"])
        lock = await enrol(site, running, radio, 0)
        serial = running.ready["locks"][0]["serial"]

        async def state(verb: str, **more: object) -> dict[str, object]:
            await running.do(verb, serial=serial, **more)
            return await running.do("state", serial=serial)

        fresh = await running.do("state", serial=serial)
        assert (fresh["door"], fresh["tampered"], fresh["battery"]) == ("unknown", False, 100)
        assert (fresh["firmware"], fresh["firmware_version"]) == (1, "1.0.0")
        assert (await state("door", open=False))["door"] == "closed"
        assert (await state("handle"))["bolt"] == "unlocked"
        assert (await state("cylinder", locked=True))["bolt"] == "locked"
        forced = await state("door", open=True)
        assert (forced["door"], forced["alarms"]) == ("open", ["forced"])
        assert (await state("tamper"))["tampered"] is True
        assert (await state("battery", percent=41, frozen=True))["battery"] == 41
        holder = site.holder()

        assert (await visit(radio, key(site, lock, holder), holder.signer)).opened
        assert (await running.do("state", serial=serial))["battery"] == 41, "the gauge hangs"
        assert (await state("battery", percent=None))["battery"] is None
        with pytest.raises(ControlError):
            await running.do("door", serial=serial)
        await running.do("hold_reset", serial=serial)
        await until_unowned(running, serial)
        again = await enrol(Site(source(31), now=int(time.time())), running, radio, 0)
        assert again.lock_id != lock.lock_id, "and somebody else may claim it"
        await radio.close()


async def test_the_long_button_of_an_occupied_room_lets_nothing_go(tmp_path: Path) -> None:
    site = Site(now=int(time.time()))
    tenant = site.holder()

    async with sim(tmp_path / "locks", 1) as running:
        radio = await PhoneRadio.open(running.ready["radio"])
        lock = await enrol(site, running, radio, 0)
        serial = running.ready["locks"][0]["serial"]
        assert (await visit(radio, key(site, lock, tenant, epoch=1), tenant.signer)).opened
        journal = (await running.do("state", serial=serial))["journal"]
        await running.do("hold_reset", serial=serial)
        state = await running.do("state", serial=serial)
        assert state["journal"] == journal + 1, "the refusal is written down"
        assert (await visit(radio, key(site, lock, tenant, epoch=1), tenant.signer)).opened
        assert state["lock_id"] == lock.lock_id.hex()
        await radio.close()
