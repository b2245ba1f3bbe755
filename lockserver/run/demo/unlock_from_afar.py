"""Chapter 6: remote unlock by the holder's own signature, and what is not one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.protocol.wish import WishOperation
from lockserver.run.demo.client import ProblemError, b64
from mobile_api.phone.phone import Phone

if TYPE_CHECKING:
    from lockserver.run.demo.story import Story

SHORT_LIFE_S = 2
"""Of the wish to a lock that is offline: the story need not wait for the full 20 s."""

SETTLE_S = 25
POLL_S = 0.25
SETTLED = frozenset({"done", "refused", "expired", "unknown"})


async def unlock_from_afar(story: Story) -> None:
    """Play it."""
    stage, tenant = story.stage, story.players["tenant_a"]
    stage.chapter("Remote unlock, by the holder's own signature  远程开门")
    lock = UUID(story.locks["room 1"])
    async with stage.step("A opens room 1 from afar") as step:
        before = (await story.seen("room 1"))["openings"]
        answer = await _unlock(story, tenant.phone.wish(WishOperation.UNLOCK, lock.bytes))
        step.check(
            answer["state"] == "done",
            "HTTP → sealed command → lock → signed report: done",
            state=answer["state"],
        )
        after = (await story.seen("room 1"))["openings"]
        step.check(after == before + 1, "the bolt moved once")
    async with stage.step("The lock is offline: no opening, now or later") as step:
        await _offline(story, step, lock)
    async with stage.step("Attack: a stolen session, without the phone's key") as step:
        thief = Phone.fresh()
        before = (await story.seen("room 1"))["openings"]
        code = ""
        try:
            await _unlock(story, thief.wish(WishOperation.UNLOCK, lock.bytes))
        except ProblemError as problem:
            code = problem.code
        step.check(bool(code), f"refused: {code}", code=code)
        after = (await story.seen("room 1"))["openings"]
        step.check(after == before, "the bolt has not moved")


async def _unlock(story: Story, wish: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = await story.players["tenant_a"].app.post(
        f"/locks/{story.locks['room 1']}/unlock", {"wish": b64(wish)}
    )
    return answer


async def _offline(story: Story, step: Any, lock: UUID) -> None:  # noqa: ANN401 - the stage's step
    tenant, serial = story.players["tenant_a"], story.boxes["room 1"].serial
    before = (await story.seen("room 1"))["openings"]
    await story.world.hand("cut_network", serial)
    try:
        command: dict[str, Any] = {}
        wish = tenant.phone.wish(WishOperation.UNLOCK, lock.bytes, life=SHORT_LIFE_S)
        try:
            command = await _unlock(story, wish)
            shown = command["state"]
        except ProblemError as problem:
            shown = problem.code
            command = {"id": problem.problem.get("command_id", "")}
        step.check(shown != "done", f"the app says {shown}, not done", shown=shown)
    finally:
        await story.world.hand("heal", serial)
    async with asyncio.timeout(SETTLE_S):
        while not (await story.seen("room 1"))["connected"]:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(POLL_S)
        state = ""
        while command["id"] and state not in SETTLED - {"unknown"}:
            state = (await tenant.app.get(f"/commands/{command['id']}"))["state"]
            await asyncio.sleep(POLL_S)
    step.check(state in {"expired", "refused"}, f"lock back online: proved {state}", state=state)
    after = (await story.seen("room 1"))["openings"]
    step.check(after == before, "the bolt has not moved, and the command is dead")
