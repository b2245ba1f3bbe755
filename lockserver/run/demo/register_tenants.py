"""Chapter 3: A registers by card and face, B by the equal route without a face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lockserver.run.specimen.people import with_wrong_check_digit

if TYPE_CHECKING:
    from lockserver.run.demo.player import Player
    from lockserver.run.demo.stage import Step
    from lockserver.run.demo.story import Story


async def register_tenants(story: Story) -> None:
    """Play it."""
    story.stage.chapter("Tenants register themselves  租客自助登记（人脸或人工核验）")
    await _by_face(story, story.players["tenant_a"])
    await by_staff(story, "tenant_b")


async def _by_face(story: Story, tenant: Player) -> None:
    stage = story.stage
    async with stage.step("A follows his link, gives two separate consents") as step:
        invited = await tenant.meet_duty(story.leases["tenant_a"]["invites"][0]["token"], "face", face=True)
        step.saw(f"{invited['door']}; document and face are consented to separately")
        step.saw("this phone's keys are enrolled in this very session: it alone will get the key")
    async with stage.step("A blurred card is refused, with advice") as step:
        part = await tenant.bring("front", tenant.actor.blurred_front)
        step.check(
            part["state"] == "refused",
            f"{part['code']}: {part['advice']}",
            code=part["code"],
            advice=part["advice"],
        )
    async with stage.step("The card is read: front and back") as step:
        for side, image in (("front", tenant.actor.card_front), ("back", tenant.actor.card_back)):
            part = await tenant.bring(side, image)
            step.check(part["state"] == "read", f"{side} read", **{f"{side}_code": part["code"]})
        fields = tenant.read_draft(await tenant.settled())
        wrong = _differences(fields, tenant.actor.declared)
        step.check(
            fields["number"] == tenant.actor.fields.number and fields["name"] == tenant.name,
            "the draft, sealed to his phone, has his name and number",
        )
        step.saw(
            "all nine fields as printed" if not wrong else f"he corrects: {', '.join(wrong)}", corrected=wrong
        )
    async with stage.step("A number with a wrong check digit is declined") as step:
        await tenant.bring("selfie", tenant.actor.wrong_selfie)
        number = with_wrong_check_digit(tenant.actor.fields.number)
        verdict = await tenant.confirm({**tenant.actor.declared, "number": number})
        _show(step, verdict)
        codes = {reason["code"] for reason in verdict["reasons"] if reason["field"] == "number"}
        step.check(verdict["outcome"] == "declined" and bool(codes), f"declined: {', '.join(codes)}")
        step.check(verdict["repeat_step"] == "fields", "only the fields are to be repeated")
    async with stage.step("The right number, but somebody else's face: declined") as step:
        verdict = await tenant.confirm(tenant.actor.declared)
        _show(step, verdict)
        step.check(verdict["outcome"] == "declined", "declined")
        step.check(verdict["repeat_step"] == "selfie", "only the selfie is to be repeated")
    async with stage.step("His own face: approved; nothing else had to be repeated") as step:
        await tenant.bring("selfie", tenant.actor.selfie)
        verdict = await tenant.settled()
        _show(step, verdict)
        step.check(
            verdict["outcome"] == "approved",
            "1:1 against the portrait on his own card",
            outcome=verdict["outcome"],
        )
        phones = await tenant.app.get("/phones")
        step.check(phones[0]["state"] == "active", "the phone of this session is proved, and no other")


async def by_staff(story: Story, role: str) -> None:
    """A tenant goes to the staff check: same key, same day, no face."""
    tenant, staff = story.players[role], story.players["staff"]
    letter = role[-1].upper()
    async with story.stage.step(f"{letter} goes by the staff check, without a face") as step:
        await tenant.meet_duty(story.leases[role]["invites"][0]["token"], "staff", face=False)
        await staff.log_in()
        code = (await tenant.app.get("/phones"))[0]["phone_code"]
        await staff.send_sealed(
            "staff-check",
            {"fields": tenant.actor.declared, "outcome": "same_person"},
            case=tenant.case,
            phone_code=code,
        )
        case = await tenant.settled()
        step.check(
            case["outcome"] == "approved",
            "staff compared person and card",
            outcome=case["outcome"],
            parts=case["parts"],
        )
        step.saw(f"the six digits on his phone ({code}) tied the check to this phone's key")


def _differences(read: dict[str, str], printed: dict[str, str]) -> list[str]:
    return sorted(name for name, text in printed.items() if read.get(name) != text)


def _show(step: Step, verdict: dict[str, Any]) -> None:
    reasons = ", ".join(reason["code"] for reason in verdict["reasons"]) or "no objection"
    scores = verdict["scores"]
    step.saw(
        f"{reasons} (faces {scores['face']:.2f}, accepted from {scores['face_accept']:.2f})",
        reasons=verdict["reasons"],
        scores=scores,
    )
