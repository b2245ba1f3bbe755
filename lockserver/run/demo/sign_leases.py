"""Chapter 2: two leases; the duty is written with the lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockserver.run.demo.story import Story


async def sign_leases(story: Story) -> None:
    """Play it."""
    stage, landlord = story.stage, story.landlord
    stage.chapter("Two leases, and the duties that come with them  签约即生义务")
    for room, role in (("room 1", "tenant_a"), ("room 2", "tenant_b")):
        async with stage.step(f"Lease of {room}, signed with a phone number") as step:
            lease = await story.sign_lease(room, role)
            duty = lease["duties"][0]
            step.check(len(lease["duties"]) == 1, "one transaction: tenancy, grants, one duty per occupant")
            step.check(
                duty["requirement"] == "required" and duty["state"] == "open",
                f"due {duty['due_at']} by {duty['rule_id']} ({duty['rule_version']})",
                due_at=duty["due_at"],
            )
            step.check(len(lease["invites"]) == 1, "a link for the tenant")
    async with stage.step("The room is taken: a second lease of it is refused") as step:
        code = await landlord.refusal(story.sign_lease("room 1", "tenant_c"))
        story.leases.pop("tenant_c", None)
        step.check(code == "room_taken", f"refused: {code}", code=code)
    async with stage.step("The landlord names a member of staff for identity checks") as step:
        await landlord.app.post(f"/houses/{story.house}/staff", {"phone": story.players["staff"].actor.phone})
        step.saw("staff may compare a person with his card; it conveys no key")
