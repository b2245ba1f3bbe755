"""Chapter 10: keys die. One by a list, one at a lock without a network, by the next tenant's first unlock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.protocol.wish import WishOperation
from lockserver.run.demo.client import b64
from lockserver.run.demo.file_registrations import file_registration
from lockserver.run.demo.open_offline import at_the_door, opened_offline
from lockserver.run.demo.register_tenants import by_staff
from lockserver.run.demo.story import CONVERGE_S, POLL_S

if TYPE_CHECKING:
    from lockserver.run.demo.story import Story

DEPARTED = frozenset({"departed"})


async def move_out(story: Story) -> None:
    """Play it."""
    story.stage.chapter("Tenants leave, their keys die  退租，钥匙失效")
    await _a_leaves(story)
    await _b_leaves_an_offline_lock(story)
    await _c_moves_in(story)


async def _a_leaves(story: Story) -> None:
    stage, tenant = story.stage, story.players["tenant_a"]
    async with stage.step("The landlord's session cannot end A's lease") as step:
        wish = story.landlord.phone.wish(WishOperation.END_TENANCY, _lease(story, "tenant_a").bytes)
        code = await story.landlord.refusal(
            story.landlord.app.post(f"/tenancies/{_lease(story, 'tenant_a')}/end", {"wish": b64(wish)})
        )
        step.check(bool(code), f"refused: {code}", code=code)
    held = (await story.seen("room 1"))["list_number"]
    async with stage.step("A signs an early end; his departure is filed and receipted") as step:
        await _end(story, "tenant_a")
        filed = await tenant.registration(story.registrations["tenant_a"]["id"], DEPARTED)
        step.check(filed["state"] == "departed", "离开登记: receipted by the province")
    async with stage.step("Room 1 has taken the new revocation list") as step:
        async with asyncio.timeout(CONVERGE_S):
            while True:
                shown = await story.landlord.app.get(f"/locks/{story.locks['room 1']}")
                inside = await story.seen("room 1")
                if inside["list_number"] > held and not shown["documents_pending"]:
                    break
                await asyncio.sleep(POLL_S)
        step.check(
            inside["list_number"] > held,
            f"list {inside['list_number']} in place of {held}, reported by the lock itself",
            list_number=inside["list_number"],
        )
    await _refused(story, "tenant_a", "room 1")


async def _b_leaves_an_offline_lock(story: Story) -> None:
    async with story.stage.step("Room 2's network is cut; then B's lease ends") as step:
        await story.world.hand("cut_network", story.boxes["room 2"].serial)
        await _end(story, "tenant_b")
        shown = await story.landlord.app.get(f"/locks/{story.locks['room 2']}")
        step.check(shown["documents_pending"], "the server says plainly that the lock has not heard of it")
        answer = await at_the_door(story, story.players["tenant_b"], "room 2", bare=True)
        step.check(answer["ok"], "true: until somebody moves in, B's key of today still opens an unreached lock",
                   code=answer["code"])  # fmt: skip
        debt = await _debt(story)
        step.check(debt["owed"] > 0, f"revocation debt {debt['owed']}, until {debt['until']} at the latest",
                   pay=debt["pay"])  # fmt: skip


async def _c_moves_in(story: Story) -> None:
    stage, tenant = story.stage, story.players["tenant_c"]
    async with stage.step("C signs the lease of room 2") as step:
        lease = await story.sign_lease("room 2", "tenant_c")
        step.saw(f"turnover epoch {lease['epoch']}", epoch=lease["epoch"])
    await by_staff(story, "tenant_c")
    await file_registration(story, "tenant_c")
    await tenant.sync()
    await opened_offline(story, tenant, "room 2", bare=True)
    await _refused(story, "tenant_b", "room 2", bare=True)
    async with stage.step("At the gate, the others notice nothing") as step:
        before = (await story.seen("gate"))["openings"]
        answer = await at_the_door(story, tenant, "gate")
        step.check(answer["ok"], "C opens the gate; it has no epoch", code=answer["code"])
        step.check((await story.seen("gate"))["openings"] == before + 1, "the bolt moved once")
    async with stage.step("Room 2's network heals: its journal tells why B was refused") as step:
        await story.world.hand("heal", story.boxes["room 2"].serial)
        step.check(
            await _denial(story, "room 2", "epoch_low"),
            "epoch_low: by the epoch alone, no list had reached it",
        )
        await story.landed("room 2")
        debt = await _debt(story)
        step.check(debt["owed"] == 0, "and the room's revocation debt is paid: 0", lines=debt["lines"])


async def _refused(story: Story, role: str, name: str, *, bare: bool = False) -> None:
    letter = role[-1].upper()
    async with story.stage.step(f"{letter}'s key is refused at {name}") as step:
        before = (await story.seen(name))["openings"]
        answer = await at_the_door(story, story.players[role], name, bare=bare)
        step.check(not answer["ok"], f"the lock says {answer['code']}", code=answer["code"])
        step.check((await story.seen(name))["openings"] == before, "the bolt has not moved")


async def _end(story: Story, role: str) -> dict[str, Any]:
    tenant, lease = story.players[role], _lease(story, role)
    wish = tenant.phone.wish(WishOperation.END_TENANCY, lease.bytes)
    ended: dict[str, Any] = await tenant.app.post(f"/tenancies/{lease}/end", {"wish": b64(wish)})
    return ended


async def _debt(story: Story) -> dict[str, Any]:
    """What room 2's lock could still be opened with although it must not."""
    debt: dict[str, Any] = await story.landlord.app.get(f"/locks/{story.locks['room 2']}/debt")
    return debt


async def _denial(story: Story, name: str, reason: str) -> bool:
    """Wait until who lives there now reads this denial in the door's journal."""
    async with asyncio.timeout(CONVERGE_S):
        while True:
            journal = await story.players["tenant_c"].app.get(f"/locks/{story.locks[name]}/journal")
            if any(entry["denial"] == reason and entry["whose"] == "former" for entry in journal["entries"]):
                return True
            await asyncio.sleep(POLL_S)


def _lease(story: Story, role: str) -> UUID:
    return UUID(story.leases[role]["id"])
