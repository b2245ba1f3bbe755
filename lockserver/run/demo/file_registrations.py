"""Chapter 4: declared, sealed, delivered, receipted, in spite of a lost reply."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockserver.run.demo.story import Story

STAY_DAYS = 364
RECEIPTED = frozenset({"receipted", "accepted", "accepted_late"})
ACCEPTED = frozenset({"accepted", "accepted_late", "returned", "manual_review"})


async def file_registrations(story: Story) -> None:
    """Play it."""
    stage = story.stage
    stage.chapter("The province receipts  实时报送与受理回执")
    await file_registration(story, "tenant_a")
    async with stage.step("A sick province: it accepts, and its answer is lost") as step:
        await story.world.provincial("POST", "/control/faults", {"kind": "drop_reply"})
        step.saw("the next reply of the province will be dropped after it has accepted")
    await file_registration(story, "tenant_b")
    async with stage.step("The landlord sees that the duties are done, and no papers") as step:
        shown = (await story.landlord.app.get("/registrations"))["of_my_tenants"]
        numbers = [player.actor.fields.number for player in story.players.values()]
        step.check(len(shown) >= 2, "both registrations, with voucher numbers")  # noqa: PLR2004 - A and B
        step.check(not any(number in str(shown) for number in numbers), f"masked: {shown[0]['number_mask']}")
    async with stage.step("The tenant's ledger: every field that went to the province") as step:
        lines = await story.players["tenant_a"].app.get("/ledger")
        names = sorted({name for line in lines for name in line["field_names"]})
        step.check(bool(names), f"{len(names)} fields, each with ground and salted digest", fields=names)


async def file_registration(story: Story, role: str) -> None:
    """One tenant declares his stay; wait for receipt and voucher."""
    tenant, letter = story.players[role], role[-1].upper()
    async with story.stage.step(f"{letter} declares his stay; the province signs its receipt") as step:
        until = (date.today() + timedelta(days=STAY_DAYS)).isoformat()  # noqa: DTZ011 - a made-up plan
        case = await tenant.declare(tenant.actor.declared, until)
        step.check(case["registration_id"] is not None, "registration and sealed outbox row in one transaction",
                   state=case["state"], parts=case["parts"])  # fmt: skip
        filed = await tenant.registration(case["registration_id"], RECEIPTED)
        step.check(
            bool(filed["receipt_no"]), f"受理回执 {filed['receipt_no']}: signature, digest, our number match"
        )
    async with story.stage.step(f"{letter}'s voucher follows the automatic checks") as step:
        filed = await tenant.registration(case["registration_id"], ACCEPTED)
        step.check(
            bool(filed["voucher_no"]),
            f"登记凭证 {filed['voucher_no']}",
            state=filed["state"],
            returned=filed["return_code"],
        )
        story.registrations[role] = filed
        lease = await story.landlord.app.get(f"/tenancies/{story.leases[role]['id']}")
        step.check(lease["duties"][0]["standing"] == "done", "the landlord sees the duty done")
        records = await story.world.filed_under(story.address_id, tenant.actor.fields)
        step.check(len(records) == 1, "exactly one record in the province's ledger", records=len(records))
