"""Chapter 8: PINs. One that A chose, one for a courier, guesses; and what a service tool left in the module."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lockserver.protocol.pin import PinCode, weakness
from lockserver.protocol.wish import WishOperation
from lockserver.run.demo.client import b64, unb64
from lockserver.run.demo.open_offline import at_the_door
from lockserver.run.demo.story import CONVERGE_S, POLL_S
from mobile_api.phone.errors import WeakPinError

if TYPE_CHECKING:
    from lockserver.run.demo.stage import Step
    from lockserver.run.demo.story import Story

ROOM: Final = "room 1"
WEAK: Final = "12345678"
HOUR: Final = 3600
SLOT_OF_NOBODY: Final = 200


async def use_pins(story: Story) -> None:
    """Play it."""
    story.stage.chapter("A PIN where there is no phone  密码开门")
    await _chosen(story)
    await _for_a_courier(story)
    await _guessed(story)
    await _planted(story)


async def _chosen(story: Story) -> None:
    stage, tenant = story.stage, story.players["tenant_a"]
    lock = UUID(story.locks[ROOM])
    async with stage.step("A chooses a PIN; a weak one is refused on the phone") as step:
        await tenant.sync()
        try:
            tenant.phone.pin_wish(lock.bytes, WEAK)
            why = ""
        except WeakPinError as error:
            why = error.why
        step.check(bool(why), f"{WEAK}: pin_weak, {why}", why=why)
        digits = _strong()
        wish = tenant.phone.pin_wish(lock.bytes, digits)
        slot = await tenant.app.post(f"/locks/{lock}/pins", {"wish": b64(wish)})
        step.saw(f"sealed to the issuer; the app says {slot['state']}")
        shown = await _settled(story, slot["id"])
        step.check(shown["state"] == "set", "set: by the lock's own signed report", state=shown["state"])
    async with stage.step("The PIN opens, with no phone and no network") as step:
        await story.world.hand("cut_network", story.boxes[ROOM].serial)
        await _pressed(story, step, digits, "open")
        await story.heal(ROOM)


async def _for_a_courier(story: Story) -> None:
    stage, tenant = story.stage, story.players["tenant_a"]
    lock = UUID(story.locks[ROOM])
    async with stage.step("A reads out a one-time PIN; the lock never heard of it") as step:
        start = int(time.time()) // HOUR * HOUR
        args = {"code": int(PinCode.ONE_TIME), "start": start}
        wish = tenant.phone.wish(WishOperation.READ_PIN, lock.bytes, args)
        given = await tenant.app.post(f"/locks/{lock}/pins/offline", {"wish": b64(wish)})
        digits = tenant.phone.open_pin(lock.bytes, unb64(given["box"]))
        step.saw(f"{len(digits)} digits, sealed to A's phone, good until {given['until']}")
        await story.world.hand("cut_network", story.boxes[ROOM].serial)
        await _pressed(story, step, digits, "open")
        await _pressed(story, step, digits, "denied")
        await story.heal(ROOM)


async def _guessed(story: Story) -> None:
    async with story.stage.step("Attack: somebody guesses; the keypad rests, A's phone does not") as step:
        box = story.boxes[ROOM].serial
        before = (await story.seen(ROOM))["openings"]
        answers = [
            (await story.world.hand("keypad", box, digits=f"{secrets.randbelow(10**9):09d}"))
            for _ in range(6)
        ]
        locked = next((one for one in answers if one["answer"] == "locked"), {})
        step.check(bool(locked), f"the keypad rests for {locked.get('seconds')} s", answers=answers)
        step.check((await story.seen(ROOM))["openings"] == before, "the bolt has not moved")
        answer = await at_the_door(story, story.players["tenant_a"], ROOM)
        step.check(answer["ok"], "A's phone opens meanwhile", code=answer["code"])


async def _planted(story: Story) -> None:
    stage, box = story.stage, story.boxes[ROOM].serial
    lock, tenant = story.locks[ROOM], story.players["tenant_a"]
    async with stage.step(
        "A service tool plants a card in the module; the lock is asked what it holds"
    ) as step:
        uid = secrets.token_hex(7)
        await story.world.hand("plant_slot", box, kind="card", slot=SLOT_OF_NOBODY, value=uid)
        answer = await story.world.hand("card", box, uid=uid)
        step.check(answer["answer"] == "denied", "it opens nothing: the lock goes by the signed state alone")
        await tenant.app.post(f"/locks/{lock}/inventory")
        async with asyncio.timeout(CONVERGE_S):
            found: list[dict[str, Any]] = []
            while not found:
                found = [
                    one for one in await tenant.app.get(f"/locks/{lock}/findings") if not one["cleared_at"]
                ]
                await asyncio.sleep(POLL_S)
        kinds = {one["kind"] for one in found}
        step.check(
            "unknown_credential" in kinds, "found and shown, repaired by nobody in silence", found=found
        )
        await story.world.hand("lose_slot", box, kind="card", slot=SLOT_OF_NOBODY)


async def _pressed(story: Story, step: Step, digits: str, expected: str) -> None:
    before = (await story.seen(ROOM))["openings"]
    answer = await story.world.hand("keypad", story.boxes[ROOM].serial, digits=digits)
    moved = (await story.seen(ROOM))["openings"] - before
    held = answer["answer"] == expected and moved == int(expected == "open")
    step.check(held, f"the keypad says {answer['answer']}", moved=moved)


async def _settled(story: Story, slot_id: str) -> dict[str, Any]:
    """Wait until the lock has reported the slot. Raises TimeoutError."""
    tenant, lock = story.players["tenant_a"], story.locks[ROOM]
    async with asyncio.timeout(CONVERGE_S):
        while True:
            shown = (await tenant.app.get(f"/locks/{lock}/slots"))["slots"]
            slot: dict[str, Any] = next(one for one in shown if one["id"] == slot_id)
            if slot["state"] != "setting":
                return slot
            await asyncio.sleep(POLL_S)


def _strong() -> str:
    while True:
        digits = f"{secrets.randbelow(10**8):08d}"
        if weakness(digits) is None:
            return digits
