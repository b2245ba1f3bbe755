"""Chapter 5: every server is stopped; a phone opens doors over Bluetooth alone."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.run.installation import program_environment

if TYPE_CHECKING:
    from lockserver.run.demo.player import Player
    from lockserver.run.demo.story import Story

DOORS_OF_A_TENANT = 2
"""The gate and his room."""

ARRIVE_TRIES = 150
ARRIVE_PAUSE_S = 0.1


async def open_offline(story: Story) -> None:
    """Play it."""
    stage, tenant = story.stage, story.players["tenant_a"]
    stage.chapter("All servers stopped; the key opens the door  断网开门")
    async with stage.step("A's and B's phones sync") as step:
        for role in ("tenant_a", "tenant_b"):
            kit = await story.players[role].sync()
            held = [door["name"] for door in kit["doors"] if door["credential"]]
            withheld = {door["name"]: door["withheld"] for door in kit["doors"] if door["withheld"]}
            step.check(
                len(held) == DOORS_OF_A_TENANT,
                f"{role[-1].upper()}: keys for {' and '.join(held)}",
                withheld=withheld,
            )
    ours = story.world.site.own_servers
    async with stage.step(f"{_listed('All roles', *ours)} are stopped") as step:
        before = story.world.site.supervisor.names
        await story.world.site.stop_servers()
        left = story.world.site.supervisor.names
        step.check(
            not {"api", "issuer", "bridge"} & set(left),
            f"stopped {', '.join([*(name for name in before if name not in left), *ours])}",
        )
    try:
        for name in ("gate", "room 1"):
            await opened_offline(story, tenant, name)
    finally:
        async with stage.step("The servers come back, in order") as step:
            await story.world.site.start_servers()
            step.saw(", ".join([*ours, "issuer, verify, bridge, relay, jobs, api"]))
    for name in ("gate", "room 1"):
        await _journal_arrives(story, name)


def _listed(*names: str) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if names[1:] else names[0]


async def opened_offline(story: Story, player: Player, name: str, *, bare: bool = False) -> dict[str, Any]:
    """A phone in a process of its own opens a door; shown is what that process held."""
    letter = player.actor.role[-1].upper()
    async with story.stage.step(f"{letter} opens {name} over Bluetooth, by his phone alone") as step:
        before = (await story.seen(name))["openings"]
        answer = await at_the_door(story, player, name, bare=bare)
        step.check(answer["ok"], f"the lock says {answer['code']}, bolt {answer.get('bolt')}", **answer)
        after = (await story.seen(name))["openings"]
        step.check(after == before + 1, "the bolt moved once", openings=after)
        peers = {sock["peer"] for sock in answer["sockets"] if sock["family"] != "AF_UNIX"}
        radio = story.world.radio.removeprefix("tcp:")
        step.check(peers == {radio}, f"its only socket is the radio link {radio}", peers=sorted(peers))
        acts = {act["where"] for act in answer["network_acts"]}
        step.check(
            acts <= {radio}, f"{answer['hci_packets']} HCI packets, no other network act", acts=sorted(acts)
        )
    return answer


async def at_the_door(story: Story, player: Player, name: str, *, bare: bool = False) -> dict[str, Any]:
    """Run the offline phone and return what it printed. `bare`: it carries no documents in."""
    player.phone.save()
    lock = story.locks[name]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mobile_api.phone.offline",
        "--bundle", str(player.bundle), "--radio", story.world.radio, "--lock", lock,
        *(("--carry-nothing",) if bare else ()),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=program_environment(),
    )  # fmt: skip
    try:
        out, err = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    player.phone = type(player.phone).load(player.bundle)
    if not out.strip():
        text = f"the phone's process said nothing: {err.decode()[-300:]}"
        raise RuntimeError(text)
    answer: dict[str, Any] = json.loads(out)
    return answer


async def _journal_arrives(story: Story, name: str) -> None:
    async with story.stage.step(f"The journal of {name} arrives, complete and chained") as step:
        inside = await story.seen(name)
        journal = await _settled_journal(story, name)
        mine = [entry for entry in journal["entries"] if entry["whose"] == "mine" and entry["how"] == "ble"]
        step.check(bool(mine), f"A sees his own opening, at {mine[0]['at'] if mine else '-'}", entries=mine)
        step.check(journal["complete"], f"{inside['journal']} entries, numbered, no gap, every hash fits")
        after = await story.seen(name)
        step.check(after["unacknowledged"] == 0, "acknowledged; the lock may free the slots")
        theirs = await story.landlord.app.get(f"/locks/{story.locks[name]}/journal")
        seen = [
            entry for entry in theirs["entries"] if entry["whose"] not in {"mine", "owner", "staff", "lock"}
        ]
        step.check(not seen, "the landlord sees none of the tenant's comings and goings")


async def _settled_journal(story: Story, name: str) -> dict[str, Any]:
    """Poll until the lock has nothing left that the server has not acknowledged; A's view of it."""
    for _ in range(ARRIVE_TRIES):
        inside = await story.seen(name)
        if inside["connected"] and inside["unacknowledged"] == 0:
            break
        await asyncio.sleep(ARRIVE_PAUSE_S)
    path = f"/locks/{UUID(story.locks[name])}/journal"
    journal: dict[str, Any] = await story.players["tenant_a"].app.get(path)
    return journal
