"""Chapter 1: a landlord, a house, three locks out of their boxes."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from mobile_api.phone.errors import PhoneError
from mobile_api.phone.radio import PhoneRadio

if TYPE_CHECKING:
    from lockserver.run.demo.story import Story

STATION = "330702530000"
"""An invented station code; the mock province is told of it."""

PATIENCE_S = 1.0
"""Many times what a claim takes to find a lock that offers itself."""

CONNECTED_S = 15
CONNECTED_PAUSE_S = 0.1


async def claim_locks(story: Story) -> None:
    """Play it."""
    stage, landlord = story.stage, story.landlord
    stage.chapter("A landlord claims three locks  房东认领门锁")
    async with stage.step("The landlord signs up with a phone number") as step:
        mask = await landlord.log_in()
        step.saw(f"one-time code accepted; number kept as {mask}")
        phone = await landlord.enrol_phone()
        step.check(phone["state"] == "pending", "his phone's keys are pending: nothing has proved them yet")
    async with stage.step("He describes his house: a gate, room 1, room 2") as step:
        await _tell_province(story)
        await _build_house(story)
        step.saw(f"house {story.house[-12:]} at standard address {story.address_id}")
    radio = await PhoneRadio.open(story.world.radio)
    try:
        await _without_button(story, radio)
        for box, name in zip(story.world.boxes, ("gate", "room 1", "room 2"), strict=True):
            story.boxes[name] = box
            await _claim(story, radio, name)
    finally:
        await radio.close()
    async with stage.step("The button has proved the landlord's phone") as step:
        phones = await landlord.app.get("/phones")
        step.check(phones[0]["state"] == "active", "it is active, proved by the button alone")


async def _tell_province(story: Story) -> None:
    """Give the mock what a real province simply has: its population and its addresses."""
    story.address_id = f"330702-{secrets.token_hex(6)}"
    people = [player.actor.census_entry() for player in story.players.values()]
    await story.world.provincial("POST", "/control/population", {"people": people})
    await story.world.provincial(
        "POST",
        "/control/premises",
        {
            "premises": [
                {
                    "address_id": story.address_id,
                    "station": STATION,
                    "address": "浙江省金华市婺城区示例路 1 号",
                    "capacity": 4,
                }
            ]
        },
    )


async def _build_house(story: Story) -> None:
    app = story.landlord.app
    house = await app.post(
        "/houses", {"name": "示例路 1 号", "address_id": story.address_id, "station_code": STATION}
    )
    story.house = house["id"]
    for name, kind, capacity in (("gate", "gate", None), ("room 1", "room", 2), ("room 2", "room", 2)):
        door = await app.post(
            f"/houses/{story.house}/doors", {"kind": kind, "name": name, "capacity": capacity}
        )
        story.doors[name] = door["id"]


async def _without_button(story: Story, radio: PhoneRadio) -> None:
    """Somebody photographed the QR on the box."""
    async with story.stage.step("Attack: claim with a photographed QR, no button") as step:
        box = story.world.boxes[0]
        offered = True
        code = bytes.fromhex(box.claim_code)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await story.landlord.phone.claim(
                    story.landlord.app, radio, box.serial, code, story.doors["gate"]
                )
        except (PhoneError, TimeoutError):
            offered = False
        step.check(not offered, "no lock in reach offers itself: nobody stands before it")
        step.check((await story.world.lock(box.serial))["lock_id"] is None, "it is nobody's still")


async def _claim(story: Story, radio: PhoneRadio, name: str) -> None:
    landlord, box = story.landlord, story.boxes[name]
    async with story.stage.step(f"He claims the lock of {name} over Bluetooth") as step:
        await story.world.hand("press_button", box.serial)
        code = bytes.fromhex(box.claim_code)
        lock = await landlord.phone.claim(landlord.app, radio, box.serial, code, story.doors[name])
        story.locks[name] = str(_dashed(lock))
        inside = await story.seen(name)
        step.check(inside["lock_id"] == lock.hex(), f"{box.serial} has its operational identity")
        step.check(inside["key_set_number"] >= 1, "and the site's root-signed key set")
        wanted = None if name == "gate" else 0
        step.check(
            inside["epoch"] == wanted,
            "no turnover epoch: a shared door" if wanted is None else "turnover epoch 0",
        )
        shown = await _connected(story, name)
        step.check(shown["state"] == "active", "its own signed report put it in service")
        step.check((await story.seen(name))["connected"], "it speaks to the broker as itself")


async def _connected(story: Story, name: str) -> dict[str, Any]:
    """Wait until the lock has spoken to the broker; the server's view of it."""
    async with asyncio.timeout(CONNECTED_S):
        while True:
            shown: dict[str, Any] = await story.landlord.app.get(f"/locks/{story.locks[name]}")
            if shown["last_seen_at"] is not None and (await story.seen(name))["connected"]:
                return shown
            await asyncio.sleep(CONNECTED_PAUSE_S)


def _dashed(raw: bytes) -> str:
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
