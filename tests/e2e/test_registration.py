"""A tenant registers with photographs, in whole processes: roles api, verify and relay, and the province."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from lockserver.ports import free_port
from lockserver.run.installation import Wanted, open_installation
from lockserver.run.specimen.card import draw_back, draw_front
from lockserver.run.specimen.people import draw_person, with_wrong_check_digit
from lockserver.run.specimen.photo import MILD, blurred, jpeg, photograph
from lockserver.run.specimen.portraits import card_portrait, selfie, wrong_selfie
from lockserver.settings import Role
from tests.support.app_door import App
from tests.support.served import Served

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]
PATIENCE_S = 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(scratch: Path) -> AsyncIterator[Served]:
    installation = open_installation(Wanted(scratch / "registration", free_port(), locks=0))
    try:
        await installation.make_keys()
        await installation.start_database()
        await installation.start_broker()
        await installation.start_province()
        await installation.start_roles((Role.ISSUER, Role.VERIFY, Role.RELAY, Role.API))
        async with httpx.AsyncClient(base_url=installation.api_url, timeout=40, trust_env=False) as http:
            yield Served(installation, http)
    finally:
        await installation.close()


async def settled(app: App, case_id: str) -> dict[str, Any]:
    """The case once verify has looked at what was brought."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            case = await app.case(case_id, wait=20)
            if not case["working"]:
                return case


def part(case: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in case["parts"] if one["kind"] == kind)
    return found


async def bring(app: App, case_id: str, kind: str, image: bytes) -> dict[str, Any]:
    answer = await app.image(case_id, kind, image)
    assert answer.status_code == 202, answer.text
    return await settled(app, case_id)


async def confirm(app: App, case_id: str, card: dict[str, str]) -> dict[str, Any]:
    sealed = await app.seal(case_id, {"fields": card})
    await app.ok("POST", f"/cases/{case_id}/confirmation", {"sealed": sealed})
    return await settled(app, case_id)


async def test_a_tenant_registers_with_photographs_and_holds_receipt_and_voucher(
    served: Served,
) -> None:
    landlord, tenant = await served.person(), await served.person()
    house = await landlord.house()
    lease = landlord.lease(house["rooms"][0], tenant.number)
    signed = await landlord.ok("POST", "/tenancies", lease)
    await tenant.enrol_phone()
    truth = draw_person(secrets.randbelow(10**6), today=date.today()).fields  # noqa: DTZ011
    case_id = (await tenant.open_case(signed["duties"][0]["id"]))["id"]

    # A blurred card is told apart at once, and only that side is asked for again.
    front = draw_front(truth, card_portrait())
    case = await bring(tenant, case_id, "front", jpeg(blurred(front)))
    assert part(case, "front")["state"] == "refused"
    assert part(case, "front")["code"] in {"picture_blurred", "card_not_found"}
    case = await bring(tenant, case_id, "front", photograph(front, MILD, 3))
    assert part(case, "front")["state"] == "read"
    case = await bring(tenant, case_id, "back", photograph(draw_back(truth), MILD, 4))
    assert tenant.open_draft(case)["number"] == truth.number

    # Another person's face: declined, with the score, and the selfie alone is asked for again.
    await bring(tenant, case_id, "selfie", jpeg(wrong_selfie(5)))
    case = await confirm(tenant, case_id, truth.as_dict())
    assert (case["outcome"], case["repeat_step"]) == ("declined", "selfie")
    assert [reason["code"] for reason in case["reasons"]] == ["face_differs"]
    assert case["scores"]["face"] < case["scores"]["face_review"]
    again = await tenant.image(case_id, "front", photograph(front, MILD, 3))
    assert again.json()["code"] == "case_state"
    case = await bring(tenant, case_id, "selfie", jpeg(selfie(6)))
    assert (case["state"], case["outcome"]) == ("approved", "approved")
    assert case["scores"]["face"] >= case["scores"]["face_accept"]

    # Declared, filed, receipted, accepted; then nothing of the capture is left.
    sealed = await tenant.seal(case_id, {"fields": truth.as_dict(), "stay": stay(tenant.number)})
    await tenant.ok("POST", f"/cases/{case_id}/declaration", {"sealed": sealed})
    case = await settled(tenant, case_id)
    path = f"/registrations/{case['registration_id']}"
    found = await tenant.ok("GET", path, params={"wait": 25, "seen": "submitted"})
    assert found["receipt_no"]
    async with asyncio.timeout(PATIENCE_S):
        while found["voucher_no"] is None and found["state"] in {"submitted", "receipted"}:
            found = await tenant.ok("GET", path, params={"wait": 20, "seen": found["state"]})
    # Nobody of this population is known to the province: it may return the number, never lose it.
    assert found["state"] in {"accepted", "accepted_late", "returned", "manual_review"}
    async with asyncio.timeout(PATIENCE_S):
        while (await tenant.case(case_id))["destroyed_at"] is None:
            await asyncio.sleep(0.2)
    case = await tenant.case(case_id)
    assert (case["state"], case["draft"], case["scores"]) == ("closed", None, {})


async def test_a_wrong_check_digit_names_the_field_to_correct(served: Served) -> None:
    landlord, tenant = await served.person(), await served.person()
    house = await landlord.house()
    lease = landlord.lease(house["rooms"][0], tenant.number)
    signed = await landlord.ok("POST", "/tenancies", lease)
    await tenant.enrol_phone()
    truth = draw_person(7, today=date.today()).fields  # noqa: DTZ011
    wrong = replace(truth, number=with_wrong_check_digit(truth.number))
    case_id = (await tenant.open_case(signed["duties"][0]["id"]))["id"]
    await bring(tenant, case_id, "front", photograph(draw_front(wrong, card_portrait()), MILD, 1))
    await bring(tenant, case_id, "back", photograph(draw_back(wrong), MILD, 2))
    await bring(tenant, case_id, "selfie", jpeg(selfie(3)))
    case = await confirm(tenant, case_id, wrong.as_dict())
    assert case["outcome"] == "declined"
    assert "number_check_digit" in {reason["code"] for reason in case["reasons"]}


def stay(phone: str) -> dict[str, str]:
    return {
        "phone": phone,
        "planned_until": f"{date.today().year + 1}-06-30",  # noqa: DTZ011
        "reason_code": "01",
        "occupation_code": "60",
    }
