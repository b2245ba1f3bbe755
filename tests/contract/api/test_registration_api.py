"""From the lease to the sealed filing, through the API, with a scripted recogniser."""

from __future__ import annotations

import json
from typing import Any

from lockserver.keys.keyring import load_relay
from lockserver.protocol.sealed import Box, box_info
from tests.support.app_door import App, Door, fields


async def moved_in(door: Door, capacity: int = 2) -> tuple[App, App, dict[str, Any]]:
    """A landlord, a tenant with an enrolled phone, and the signed lease."""
    landlord, tenant = await door.person(), await door.person()
    house = await landlord.house(capacity=capacity)
    signed = await landlord.ok("POST", "/tenancies", landlord.lease(house["rooms"][0], tenant.number))
    await tenant.enrol_phone()
    return landlord, tenant, {**signed, "house": house}


def duty_of(signed: dict[str, Any]) -> str:
    return str(signed["duties"][0]["id"])


async def test_a_tenant_registers_and_the_relay_alone_can_read_it(door: Door) -> None:
    landlord, tenant, signed = await moved_in(door)
    token = signed["invites"][0]["token"]
    invited = await tenant.ok("GET", f"/invites/{token}")
    assert invited["duty"]["standing"] == "due"
    await tenant.ok("POST", f"/invites/{token}/accept")
    card = fields()
    case_id = await tenant.capture(invited["duty"]["id"], card)
    case = await tenant.case(case_id)
    assert (case["state"], case["outcome"], case["reasons"]) == ("approved", "approved", [])
    assert tenant.open_draft(case) == card
    phones = await tenant.ok("GET", "/phones")
    assert [(phone["state"], phone["proved_by"]) for phone in phones] == [("active", "face")]

    case = await tenant.declare(case_id, card)
    assert case["state"] == "submitted"
    found = await tenant.ok("GET", f"/registrations/{case['registration_id']}")
    assert found["state"] == "submitted"
    assert found["number_mask"].startswith(card["number"][:3])
    assert card["number"] not in json.dumps(found)

    [(client_no, sealed)] = door.database.execute("SELECT client_no, sealed FROM outbox")
    relay = load_relay(door.keys / "relay").opening
    body = json.loads(relay.open(bytes(sealed), box_info(Box.RECORD, client_no.encode())))
    assert body["document_number"] == card["number"]
    assert body["client_no"] == client_no
    ledger = await tenant.ok("GET", "/ledger")
    assert set(ledger[0]["field_names"]) == set(body) - {
        "contract_version", "client_no", "version", "digest_salt",
    }  # fmt: skip
    shown = (await landlord.ok("GET", "/registrations"))["of_my_tenants"]
    assert set(shown[0]) == {
        "id", "tenancy_id", "phone_mask", "document_type", "number_mask", "state", "voucher_no",
    }  # fmt: skip
