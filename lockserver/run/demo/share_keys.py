"""Chapter 7: others at the door. A guest by his phone's key, and the owner by consent or in an emergency."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.protocol.wish import WishOperation
from lockserver.run.demo.client import b64
from lockserver.run.demo.open_offline import at_the_door
from lockserver.run.demo.story import instant

if TYPE_CHECKING:
    from lockserver.run.demo.stage import Step
    from lockserver.run.demo.story import Story

ROOM, DOORS = "room 1", ("gate", "room 1")
VISIT = timedelta(hours=6)
REASON = "水管爆裂, a burst pipe above room 1"


async def share_keys(story: Story) -> None:
    """Play it."""
    story.stage.chapter("A guest, and the owner before an occupied room  访客与入室")
    await _name_guest(story)
    await _freeze(story)
    await _owner(story)


async def _name_guest(story: Story) -> None:
    stage, tenant, guest = story.stage, story.players["tenant_a"], story.players["guest"]
    async with stage.step("A names a guest: this phone, gate and room, six hours") as step:
        await guest.log_in()
        await guest.enrol_phone()
        given = await _give(story)
        story.grants = {name: grant["id"] for name, grant in zip(DOORS, given, strict=True)}
        step.check(len(given) == len(DOORS), "one wish, a grant for each door", grants=story.grants)
        wide = await tenant.refusal(_give(story, VISIT + timedelta(days=4000)))
        step.check(wide == "window_wide", f"beyond A's own lease: {wide}")
        landlord = await story.landlord.refusal(_give(story, by="landlord"))
        step.check(bool(landlord), f"the landlord names no guest of A's room: {landlord}")
    async with stage.step("The guest's phone opens the room") as step:
        await guest.sync()
        before = (await story.seen(ROOM))["openings"]
        answer = await at_the_door(story, guest, ROOM)
        step.check(answer["ok"], f"the lock says {answer['code']}", code=answer["code"])
        step.check((await story.seen(ROOM))["openings"] == before + 1, "the bolt moved once")


async def _freeze(story: Story) -> None:
    async with story.stage.step("A freezes the guest's key, and thaws it") as step:
        guest = story.players["guest"]
        await _change(story, "freeze", WishOperation.FREEZE)
        await story.landed(ROOM)
        answer = await at_the_door(story, guest, ROOM)
        step.check(not answer["ok"], f"frozen: the lock says {answer['code']}", code=answer["code"])
        await _change(story, "unfreeze", WishOperation.UNFREEZE)
        await guest.sync()
        answer = await at_the_door(story, guest, ROOM)
        step.check(answer["ok"], "thawed: a new credential opens", code=answer["code"])


async def _owner(story: Story) -> None:
    stage, tenant, landlord = story.stage, story.players["tenant_a"], story.landlord
    async with stage.step("The landlord's key at A's occupied room") as step:
        await landlord.sync()
        await _opens(story, step, expected=False, words="refused by the lock, as the law asks")
    async with stage.step("A consents to one hour; the landlord's key opens, and ends with it") as step:
        now = int(datetime.now(UTC).timestamp())
        entry = await _allow(
            story, "tenant_a", WishOperation.CONSENT_ENTRY, {"from": now, "until": now + 3600, "class": 1}
        )
        await landlord.sync()
        await _opens(story, step, expected=True, words="let in by A's own signature")
        wish = tenant.phone.wish(WishOperation.REVOKE, UUID(entry["id"]).bytes)
        await tenant.app.post(f"/entries/{entry['id']}/end", {"wish": b64(wish)})
        await story.landed(ROOM)
        await landlord.sync()
        await _opens(story, step, expected=False, words="withdrawn: refused again")
    async with stage.step("An emergency: a reason, an hour at most, and A is told at once") as step:
        until = int(datetime.now(UTC).timestamp()) + 3600
        emergency: dict[str, int | str] = {"reason": REASON, "until": until}
        entry = await _allow(story, "landlord", WishOperation.EMERGENCY_ENTRY, emergency)
        told = [one["kind"] for one in await tenant.app.get("/notices") if one["about"] == entry["id"]]
        step.check(bool(told), f"A's phone: {', '.join(told)}", told=told)
        await landlord.sync()
        await _opens(story, step, expected=True, words="the door opens, and the entry is on record")
        wish = landlord.phone.wish(WishOperation.REVOKE, UUID(entry["id"]).bytes)
        await landlord.app.post(f"/entries/{entry['id']}/end", {"wish": b64(wish)})
        await story.landed(ROOM)


async def _give(story: Story, lasts: timedelta = VISIT, *, by: str = "tenant_a") -> list[dict[str, Any]]:
    """A grant for each door to the guest's phone, with the wish of `by`."""
    grantor, key = story.players[by], story.players["guest"].phone.key_hash
    now = datetime.now(UTC).replace(microsecond=0)
    doors = [story.doors[name] for name in DOORS]
    body = {
        "door_ids": doors,
        "class": "guest",
        "guest_key": b64(key),
        "window": {"from": instant(now), "until": instant(now + lasts)},
        "capabilities": ["unlock"],
    }
    signed = grantor.phone.wish_for(WishOperation.NAME_GUEST, UUID(doors[0]).bytes, body, {"key": key})
    given: list[dict[str, Any]] = await grantor.app.post("/grants", signed)
    return given


async def _change(story: Story, verb: str, operation: WishOperation) -> None:
    tenant, grant = story.players["tenant_a"], story.grants[ROOM]
    wish = tenant.phone.wish(operation, UUID(grant).bytes)
    await tenant.app.post(f"/grants/{grant}/{verb}", {"wish": b64(wish)})


async def _allow(story: Story, role: str, operation: WishOperation, args: dict[str, Any]) -> dict[str, Any]:
    player, lock = story.players[role], story.locks[ROOM]
    wish = player.phone.wish(operation, UUID(lock).bytes, args)
    entry: dict[str, Any] = await player.app.post(f"/locks/{lock}/entries", {"wish": b64(wish)})
    return entry


async def _opens(story: Story, step: Step, *, expected: bool, words: str) -> None:
    before = (await story.seen(ROOM))["openings"]
    answer = await at_the_door(story, story.landlord, ROOM)
    moved = (await story.seen(ROOM))["openings"] - before
    step.check(answer["ok"] == expected and moved == int(expected), words, code=answer["code"], moved=moved)
