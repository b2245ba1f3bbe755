"""The keypad of a lock in the simulator's process, by the control door's hands."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from lockserver.protocol.access import Operation
from lockserver.protocol.pin import HOUR, OfflinePin, PinCode, pin_digits, verifier
from lockserver.protocol.reports import Captured
from lockserver.protocol.slots import SlotKind
from mobile_api.phone.door import visit
from mobile_api.phone.radio import PhoneRadio
from tests.e2e.test_sim_process import enrol, key, sim
from tests.support.site import Site


async def test_hands_at_the_keypad_of_a_running_lock(tmp_path: Path) -> None:
    now = int(time.time())
    site = Site(now=now)
    async with sim(tmp_path / "locks", 1) as running:
        radio = await PhoneRadio.open(running.ready["radio"])
        lock = await enrol(site, running, radio, 0)
        serial = running.ready["locks"][0]["serial"]
        pin = OfflinePin(0, PinCode.ONE_TIME, now // HOUR)
        digits = pin_digits(lock.door_seed, pin)
        assert await running.do("keypad", serial=serial, digits=digits) == {"answer": "open", "seconds": None}
        await running.do("restart", serial=serial)
        assert (await running.do("keypad", serial=serial, digits=digits))["answer"] == "denied"
        await running.do("plant_slot", serial=serial, kind="card", slot=7, value="04a1b2c3")
        assert (await running.do("card", serial=serial, uid="04a1b2c3"))["answer"] == "denied"
        await running.do("lose_slot", serial=serial, kind="card", slot=7)
        assert (await running.do("finger", serial=serial, template="00" * 16))["answer"] == "denied"
        for _ in range(4):
            assert (await running.do("keypad", serial=serial, digits="1"))["answer"] == "denied"
        resting = await running.do("keypad", serial=serial, digits=digits)
        assert resting["answer"] == "locked"
        assert 290 < resting["seconds"] <= 300
        await running.do("power_cut", serial=serial)
        assert (await running.do("keypad", serial=serial, digits=digits))["answer"] is None
        await running.do("power_on", serial=serial)
        assert (await running.do("state", serial=serial))["openings"] == 1
        await radio.close()


async def test_a_phone_at_the_door_carries_out_what_the_reader_read_in(tmp_path: Path) -> None:
    site = Site(now=int(time.time()))
    async with sim(tmp_path / "locks", 1) as running:
        radio = await PhoneRadio.open(running.ready["radio"])
        lock = await enrol(site, running, radio, 0)
        serial, tenant = running.ready["locks"][0]["serial"], site.holder()
        standing = asyncio.create_task(
            visit(radio, key(site, lock, tenant), tenant.signer, operation=Operation.CAPTURE, patience=5)
        )
        for _ in range(
            400
        ):  # until his phone has shaken hands, it is a strange card, and the reader soon rests
            shown = await running.do("card", serial=serial, uid="04a1b2c3d4e5f6")
            if shown["answer"] == "captured":
                break
            await asyncio.sleep(0.05)
        reports = site.reports(lock, (await standing).reports)
        (captured,) = [report for report in reports if isinstance(report, Captured)]
        assert captured.verifier == verifier(lock.door_seed, SlotKind.CARD, bytes.fromhex("04a1b2c3d4e5f6"))
        assert (await running.do("state", serial=serial))["openings"] == 0
        await radio.close()
