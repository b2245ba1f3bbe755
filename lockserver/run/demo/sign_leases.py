"""Chapter 2: two leases; the duty is written with the lease."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from lockserver.protocol.wish import WishOperation
from mobile_api.phone.phone import Phone

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
    async with stage.step("Attack: the landlord's stolen session names staff") as step:
        friend = {"phone": story.players["tenant_c"].actor.phone}
        code = await landlord.refusal(_name_staff(story, _wished(story, Phone.fresh(), friend)))
        step.check(bool(code), f"refused, by another phone's signature: {code}", code=code)
        seen = _wished(story, landlord.phone, {"phone": story.players["staff"].actor.phone})
        code = await landlord.refusal(_name_staff(story, seen | friend))
        step.check(bool(code), f"refused, by the landlord's for somebody else: {code}", code=code)
    async with stage.step("The landlord names a member of staff for identity checks") as step:
        body = {"phone": story.players["staff"].actor.phone}
        await _name_staff(story, _wished(story, landlord.phone, body))
        step.saw("by his phone's signature; staff may compare a person with his card; it conveys no key")


def _wished(story: Story, phone: Phone, body: dict[str, str]) -> dict[str, object]:
    return phone.wish_for(WishOperation.NAME_STAFF, UUID(story.house).bytes, body)


async def _name_staff(story: Story, body: dict[str, object]) -> None:
    await story.landlord.app.post(f"/houses/{story.house}/staff", body)
