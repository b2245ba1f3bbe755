"""Identity cases: order, consents, what is repeated, who may settle, what is left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from lockserver.app.capture import see_case
from lockserver.app.destroy_case import destroy_what_is_due
from lockserver.db.repositories.cases import Cases
from lockserver.domain.phone_code import phone_code
from lockserver.protocol.curve import public_bytes
from mobile_api.routes.cases import _case_out
from tests.contract.api.test_registration_api import duty_of, moved_in
from tests.support.app_door import App, Door, fields

FRONT = ("name", "sex", "ethnicity", "birth", "address", "number")


async def code_of(answer: Any) -> str:
    return str(answer.json().get("code"))


async def sweep(door: Door) -> int:
    async with door.verifying.transactions.begin() as work:
        return await destroy_what_is_due(work, door.clock.now())


async def a_staff_member(door: Door, landlord: App, house_id: str) -> App:
    staff = await door.person()
    await landlord.ok("POST", f"/houses/{house_id}/staff", landlord.staff_body(house_id, staff.number))
    return staff


async def check_by(staff: App, tenant: App, case_id: str, card: dict[str, str], **given: Any) -> Any:
    sealed = await staff.seal(case_id, {"fields": card, "outcome": given.get("outcome", "same_person")})
    code = given.get("code", phone_code(public_bytes(tenant.sign_key)))
    body = {"sealed": sealed, "phone_code": code}
    answer = await staff.send("POST", f"/cases/{case_id}/staff-check", body)
    await staff.door.verify()
    return answer


class TestOrder:
    async def test_nothing_is_looked_at_without_its_own_consent(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        body = {"duty_id": duty_of(signed), "phone_id": tenant.phone_id, "route": "face"}
        case_id = (await tenant.ok("POST", "/cases", body))["id"]
        assert await code_of(await tenant.image(case_id, "front", {})) == "consent_missing"
        await tenant.ok("PUT", f"/cases/{case_id}/consents", {"document": True, "face": False})
        assert (await tenant.image(case_id, "front", fields())).status_code == 202
        assert await code_of(await tenant.image(case_id, "selfie", {"score": 1})) == "consent_missing"
        await door.verify()
        assert door.verifying.recogniser.calls == ["front"]  # type: ignore[attr-defined]

    async def test_a_phone_of_another_session_gets_no_case(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        await tenant.log_in()  # a swapped SIM: same number, new session, the old phone's id
        body = {"duty_id": duty_of(signed), "phone_id": tenant.phone_id, "route": "face"}
        assert await code_of(await tenant.send("POST", "/cases", body)) == "phone_unknown"

    async def test_a_proof_from_another_session_enrols_no_phone(self, door: Door) -> None:
        tenant, thief = await door.person(), await door.person()
        stolen = tenant.phone_body()
        assert await code_of(await thief.send("POST", "/phones", stolen)) == "proof_invalid"
        swapped = tenant.phone_body() | {"ecdh_pub": thief.phone_body()["ecdh_pub"]}
        assert await code_of(await tenant.send("POST", "/phones", swapped)) == "proof_invalid"
        await tenant.enrol_phone()
        assert await code_of(await tenant.send("POST", "/phones", tenant.phone_body())) == "phone_taken"

    async def test_only_the_failed_step_is_repeated(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        card = fields()
        case_id = await tenant.capture(duty_of(signed), card, score=0.1)
        case = await tenant.case(case_id)
        assert (case["outcome"], case["repeat_step"]) == ("declined", "selfie")
        assert await code_of(await tenant.image(case_id, "front", card)) == "case_state"
        assert (await tenant.image(case_id, "selfie", {"score": 0.9})).status_code == 202
        await door.verify()
        case = await tenant.case(case_id)
        assert case["state"] == "approved"
        assert door.verifying.recogniser.calls == ["front", "back", "selfie", "selfie"]  # type: ignore[attr-defined]

    async def test_a_refused_image_names_code_and_advice_and_tries_are_bounded(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        case_id = (await tenant.open_case(duty_of(signed)))["id"]
        for n in range(5):
            await tenant.image(case_id, "front", {"refusal": "picture_blurred"})
            await door.verify()
            [part] = (await tenant.case(case_id))["parts"]
            assert (part["state"], part["code"], part["advice"], part["attempts"]) == (
                "refused", "picture_blurred", "hold_still", n + 1,
            )  # fmt: skip
        assert await code_of(await tenant.image(case_id, "front", fields())) == "attempts_exhausted"

    async def test_a_declaration_that_differs_from_the_confirmation_files_nothing(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        card = fields()
        case_id = await tenant.capture(duty_of(signed), card)
        case = await tenant.declare(case_id, card | {"address": "别处"})
        declared = next(part for part in case["parts"] if part["kind"] == "declaration")
        assert (declared["state"], declared["code"]) == ("refused", "fields_differ")
        assert door.database.execute("SELECT count(*) FROM outbox") == [(0,)]
        assert (await tenant.declare(case_id, card))["state"] == "submitted"

    @pytest.mark.parametrize(
        ("stay", "advice"),
        [
            ({"reason_code": "77"}, "reason_code"),
            ({"occupation_code": "x"}, "occupation_code"),
            ({"planned_until": "2020-01-01"}, "planned_until"),
            ({"planned_until": "soon"}, "planned_until"),
        ],
    )
    async def test_a_wrong_field_of_the_stay_is_named(
        self, door: Door, stay: dict[str, str], advice: str
    ) -> None:
        _, tenant, signed = await moved_in(door)
        case_id = await tenant.capture(duty_of(signed), card := fields())
        case = await tenant.declare(case_id, card, **stay)
        declared = next(part for part in case["parts"] if part["kind"] == "declaration")
        assert (declared["code"], declared["advice"]) == ("stay_invalid", advice)
        assert case["state"] == "approved"

    async def test_a_box_sealed_for_another_case_does_not_open(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        card = fields()
        case_id = await tenant.capture(duty_of(signed), card, score=0.1)
        foreign = await tenant.seal(signed["id"], {"fields": card})
        await tenant.image(case_id, "selfie", {"score": 0.9})
        await door.verify()
        await tenant.ok("POST", f"/cases/{case_id}/declaration", {"sealed": foreign})
        await door.verify()
        declared = (await tenant.case(case_id))["parts"][-1]
        assert declared["code"] == "seal_broken"

    async def test_one_duty_is_filed_once(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        card = fields()
        first, second = [await tenant.capture(duty_of(signed), card) for _ in range(2)]
        await tenant.declare(first, card)
        case = await tenant.declare(second, card)
        assert case["parts"][-1]["code"] == "duty_fulfilled"
        assert door.database.execute("SELECT count(*) FROM registrations") == [(1,)]


class TestStaffRoute:
    async def test_L47_without_a_face_the_same_key(self, door: Door) -> None:
        landlord, tenant, signed = await moved_in(door)
        staff = await a_staff_member(door, landlord, signed["house"]["id"])
        card = fields()
        case_id = (await tenant.open_case(duty_of(signed), route="staff"))["id"]
        assert (await check_by(staff, tenant, case_id, card)).status_code == 202
        case = await tenant.case(case_id)
        assert (case["state"], case["route"]) == ("approved", "staff")
        assert tenant.open_draft(case) == card
        [phone] = await tenant.ok("GET", "/phones")
        assert (phone["state"], phone["proved_by"]) == ("active", "staff")
        assert (await tenant.declare(case_id, card))["state"] == "submitted"
        assert door.verifying.recogniser.calls == []  # type: ignore[attr-defined]
        seen = await staff.case(case_id)
        assert (seen["draft"], seen["scores"], seen["registration_id"]) == (None, {}, None)

    async def test_staff_settle_what_a_machine_doubts(self, door: Door) -> None:
        landlord, tenant, signed = await moved_in(door)
        staff = await a_staff_member(door, landlord, signed["house"]["id"])
        card = fields()
        case_id = await tenant.capture(duty_of(signed), card, score=0.35)
        assert (await tenant.case(case_id))["state"] == "review"
        await check_by(staff, tenant, case_id, card)
        assert (await tenant.case(case_id))["state"] == "approved"

    async def test_nobody_else_settles_a_case(self, door: Door) -> None:
        landlord, tenant, signed = await moved_in(door)
        card = fields()
        case_id = (await tenant.open_case(duty_of(signed), route="staff"))["id"]
        stranger = await door.person()
        other_house = await stranger.house()
        await a_staff_member(door, stranger, other_house["id"])
        for nobody in (tenant, landlord, stranger):
            assert (await check_by(nobody, tenant, case_id, card)).status_code == 404
        house_id = signed["house"]["id"]
        await landlord.ok("POST", f"/houses/{house_id}/staff", landlord.staff_body(house_id, tenant.number))
        assert (await check_by(tenant, tenant, case_id, card)).status_code == 404, "not for himself"

    async def test_the_code_on_the_phone_and_the_document_are_checked(self, door: Door) -> None:
        landlord, tenant, signed = await moved_in(door)
        staff = await a_staff_member(door, landlord, signed["house"]["id"])
        case_id = (await tenant.open_case(duty_of(signed), route="staff"))["id"]
        assert await code_of(await check_by(staff, tenant, case_id, fields(), code="000000")) == "code_wrong"
        await check_by(staff, tenant, case_id, fields(birth="1991-03-07"))
        [part] = (await tenant.case(case_id))["parts"]
        assert (part["code"], part["advice"]) == ("identifier_invalid", "birth:birth_differs_from_number")
        await check_by(staff, tenant, case_id, fields(), outcome="another_person")
        assert (await tenant.case(case_id))["state"] == "open"

    async def test_L47_consent_withdrawn_the_key_stays_and_the_face_is_destroyed(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        case_id = await tenant.capture(duty_of(signed), fields())
        await tenant.ok("PUT", f"/cases/{case_id}/consents", {"document": True, "face": False})
        assert await sweep(door) == 1
        case = await tenant.case(case_id)
        assert (case["state"], case["scores"]) == ("approved", {})
        assert case["destruction_receipt"]
        kept = "SELECT count(*) FROM case_parts WHERE kind = 'selfie' AND sealed IS NOT NULL"
        assert door.database.execute(kept) == [(0,)]
        [phone] = await tenant.ok("GET", "/phones")
        assert phone["state"] == "active"


class TestDestruction:
    async def test_after_the_receipt_nothing_of_the_capture_is_left(self, door: Door) -> None:
        _, tenant, signed = await moved_in(door)
        case_id = await tenant.capture(duty_of(signed), card := fields())
        await tenant.declare(case_id, card)
        assert await sweep(door) == 0
        door.database.execute(
            "UPDATE registrations SET state = 'receipted', receipt_no = 'R-00000001', receipted_at = now()"
        )
        assert await sweep(door) == 1
        [row] = door.database.execute(
            "SELECT sealed_key, draft, confirmed_digest, scores, destruction_receipt FROM cases"
        )
        assert row[:3] == (None, None, None)
        assert b"receipted" in bytes(row[4])
        assert door.database.execute("SELECT count(*) FROM case_parts WHERE sealed IS NOT NULL") == [(0,)]
        assert (await tenant.case(case_id))["state"] == "closed"
        assert await sweep(door) == 0

    async def test_an_idle_case_dies_after_a_day_and_an_open_review_after_a_week(self, door: Door) -> None:
        _, one, signed = await moved_in(door)
        _, other, signed_too = await moved_in(door)
        idle = (await one.open_case(duty_of(signed)))["id"]
        await one.image(idle, "front", fields())
        await door.verify()
        review = await other.capture(duty_of(signed_too), fields(), score=0.35)
        door.clock.move(timedelta(hours=24))
        assert await sweep(door) == 1
        for app in (one, other):
            await app.log_in()
        assert (await one.case(idle))["state"] == "closed"
        assert (await other.case(review))["state"] == "review"
        assert await code_of(await one.image(idle, "front", fields())) == "case_state"
        door.clock.move(timedelta(days=6))
        assert await sweep(door) == 1
        await other.log_in()
        assert (await other.case(review))["state"] == "closed"


async def test_a_part_that_breaks_the_worker_is_refused_and_the_next_is_worked_on(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tenant, signed = await moved_in(door)
    case_id = (await tenant.open_case(duty_of(signed)))["id"]
    await tenant.image(case_id, "front", b"this is no JSON, and the scripted recogniser breaks on it")
    with pytest.raises(ValueError, match="Expecting"):
        await door.verify()
    [part] = (await tenant.case(case_id))["parts"]
    assert (part["state"], part["code"]) == ("refused", "role_failed")
    assert await door.verify() == 0


async def test_a_long_poll_answers_when_verify_is_done(door: Door) -> None:
    import asyncio

    _, tenant, signed = await moved_in(door)
    case_id = (await tenant.open_case(duty_of(signed)))["id"]
    await tenant.image(case_id, "front", {name: text for name, text in fields().items() if name in FRONT})
    polled = asyncio.create_task(tenant.case(case_id, wait=20))
    await asyncio.sleep(0.1)
    assert not polled.done()
    await door.verify()
    assert not (await asyncio.wait_for(polled, 10))["working"]


@pytest.mark.parametrize("read_case_first", [False, True])
async def test_a_case_is_never_shown_as_done_without_its_outcome(
    door: Door, monkeypatch: pytest.MonkeyPatch, read_case_first: bool
) -> None:
    """Verify concludes in the middle of a look. Reading the case first is the mutant: it is caught."""
    landlord, tenant, signed = await moved_in(door)
    staff = await a_staff_member(door, landlord, signed["house"]["id"])
    case_id = (await tenant.open_case(duty_of(signed), route="staff"))["id"]
    sealed = await staff.seal(case_id, {"fields": fields(), "outcome": "same_person"})
    code = phone_code(public_bytes(tenant.sign_key))
    await staff.ok("POST", f"/cases/{case_id}/staff-check", {"sealed": sealed, "phone_code": code})

    def concluding(original: Any) -> Any:
        async def read(*given: Any) -> Any:
            found = await original(*given)
            await door.verify()
            return found

        return read

    for name in ("get", "parts"):
        monkeypatch.setattr(Cases, name, concluding(getattr(Cases, name)))
    if read_case_first:
        async with door.services.transactions.begin() as work:
            case, _ = await see_case(work, UUID((await tenant.ok("GET", "/me"))["holder_id"]), UUID(case_id))
            seen = (await _case_out(work, case, tenant=True)).model_dump()
    else:
        seen = await tenant.case(case_id)
    torn = not seen["working"] and seen["outcome"] is None
    assert torn == read_case_first
