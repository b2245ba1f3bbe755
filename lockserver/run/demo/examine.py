"""The auditor's word at the end of a chapter: laws re-derived, numbers looked for in clear."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from lockserver.db.auditor import Finding, audit
from lockserver.db.auditor.relay import read_ledger
from lockserver.settings import Role

if TYPE_CHECKING:
    from lockserver.run.demo.story import Story

DRAIN_S = 20.0
DRAIN_PAUSE_S = 0.5


async def examine(story: Story) -> None:
    """Last chapter: what an auditor who believes nobody finds."""
    stage = story.stage
    stage.chapter("The auditor re-derives the laws  审计")
    async with stage.step("Every law from the end state, against the province's ledger") as step:
        findings = await _drained(story)
        step.check(not findings, "no breach: duties, commands, journals, receipts, ledger, audit chain",
                   findings=[str(one) for one in findings])  # fmt: skip
    await _look_for_numbers(story)


async def _look_for_numbers(story: Story) -> None:
    """Search everything of ours for the tenants' numbers and names in clear (L-31)."""
    async with story.stage.step("Nobody's ID number or name stands in clear anywhere of ours") as step:
        site = story.world.site
        planted: dict[str, str | bytes] = {}
        for role in ("tenant_a", "tenant_b", "tenant_c"):
            planted[f"{role}'s number"] = story.players[role].actor.fields.number
            planted[f"{role}'s name"] = story.players[role].actor.fields.name
        found = await _search(story, planted)
        step.check(not found, "database, logs, broker, phones, temporary files: none", found=found)
        control = await _search(story, {"the house's address id": story.address_id})
        step.check(
            bool(control), f"the same search does find the house's address id, in {len(control)} places"
        )
        step.saw(f"searched below {site.data.name}/, the province's own store and the key folder excepted")


async def _search(story: Story, planted: dict[str, str | bytes]) -> list[str]:
    site = story.world.site
    found = await asyncio.to_thread(
        audit,
        site.database_url(Role.AUDIT),
        canaries=planted,
        folders=[site.data],
        except_for=[site.data / "province", site.data / "keys"],
    )
    return [str(one) for one in found if one.law == "L-31"]


async def _drained(story: Story) -> list[Finding]:
    """Audit until nothing is under way any more, or `DRAIN_S` have passed."""
    site = story.world.site
    keys = (site.data / "keys" / "relay" / "province_receipt.pub").read_bytes()
    until = time.monotonic() + DRAIN_S
    while True:
        ledger = read_ledger(await story.world.provincial_raw("GET", "/control/ledger"))
        findings = await asyncio.to_thread(
            audit, site.database_url(Role.AUDIT), province_keys=keys, ledger=ledger, drained=True
        )
        if not findings or time.monotonic() > until:
            return findings
        await asyncio.sleep(DRAIN_PAUSE_S)
