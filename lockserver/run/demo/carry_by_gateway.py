"""Chapter 9: a gateway carries where a lock has no network of its own, and can do nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lockserver.protocol.wish import WishOperation
from lockserver.run.demo.client import b64

if TYPE_CHECKING:
    from lockserver.run.demo.story import Story

ROOM: Final = "room 1"
GATEWAY: Final = "gateway-1"
HEARD_S: Final = 30
POLL_S: Final = 0.2


async def carry_by_gateway(story: Story) -> None:
    """Play it."""
    stage, tenant, landlord = story.stage, story.players["tenant_a"], story.landlord
    stage.chapter("A Bluetooth gateway in the corridor  蓝牙网关")
    async with stage.step("The landlord names the gateway; it hears the locks") as step:
        offer = await story.world.hand("gateway_offer", name=GATEWAY, house_id=story.house)
        body = {"name": "楼道", **offer}
        wished = landlord.phone.wish_for(WishOperation.NAME_GATEWAY, UUID(story.house).bytes, body)
        given = await landlord.app.post(f"/houses/{story.house}/gateways", wished)
        await story.world.hand("gateway_adopt", name=GATEWAY, given=given)
        heard = await _heard(story)
        step.check(bool(heard), f"{ROOM} at {heard[0]['rssi_dbm']} dBm, by its keys: carry, and nothing else")
    async with stage.step("Room 1's network is cut; the gateway carries A's wish") as step:
        await story.world.hand("cut_network", story.boxes[ROOM].serial)
        before = (await story.seen(ROOM))["openings"]
        answer = await _unlock(story)
        step.check(answer["state"] == "done", f"done, by the lock's own signed report, via {answer['via']}",
                   via=answer["via"])  # fmt: skip
        step.check((await story.seen(ROOM))["openings"] == before + 1, "the bolt moved once")
    async with stage.step("The gateway's plug is pulled as well: nothing says done") as step:
        await story.world.hand("gateway_kill", name=GATEWAY)
        before = (await story.seen(ROOM))["openings"]
        wish = tenant.phone.wish(WishOperation.UNLOCK, UUID(story.locks[ROOM]).bytes, life=2)
        code = await tenant.refusal(
            tenant.app.post(f"/locks/{story.locks[ROOM]}/unlock", {"wish": b64(wish)})
        )
        step.check((await story.seen(ROOM))["openings"] == before, "the bolt has not moved")
        attempts = await tenant.app.get(f"/locks/{story.locks[ROOM]}/attempts")
        last = attempts[0]
        step.check(
            last["state"] != "done", f"shown as {last['state']}: {last['fault'] or code}", fault=last["fault"]
        )
        await story.heal(ROOM)


async def _heard(story: Story) -> list[dict[str, Any]]:
    """Wait until the gateway has told that it hears the room's lock. Raises TimeoutError."""
    async with asyncio.timeout(HEARD_S):
        while True:
            [gateway] = await story.landlord.app.get(f"/houses/{story.house}/gateways")
            heard = [one for one in gateway["hears"] if one["lock_id"] == story.locks[ROOM]]
            if heard:
                return heard
            await asyncio.sleep(POLL_S)


async def _unlock(story: Story) -> dict[str, Any]:
    tenant, lock = story.players["tenant_a"], story.locks[ROOM]
    wish = tenant.phone.wish(WishOperation.UNLOCK, UUID(lock).bytes)
    answer: dict[str, Any] = await tenant.app.post(f"/locks/{lock}/unlock", {"wish": b64(wish)})
    return answer
