"""Whoever got into the API's database user writes rows; issuer and verify look up what they are about."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from lockserver.app import issue_credential, judge_case
from lockserver.domain.canonical import unb64url
from lockserver.domain.ids import new_id
from lockserver.protocol.claims import Capability
from tests.contract.api.test_registration_api import duty_of, moved_in
from tests.contract.locks.test_issue import Issue
from tests.contract.locks.test_issue import on_postgresql as issue
from tests.support.app_door import App, Door, fields
from tests.support.people import a_tenancy, fresh, sign, wished

__all__ = ["issue"]
pytestmark = pytest.mark.contract

ENTRY = int(Capability.UNLOCK | Capability.ENTRY)


def forge(issue: Issue, class_: str, capabilities: int = 1, **changes: Any) -> None:
    """A grant at the room for the intruder, who has a proved phone, written as the API's user."""
    row = {
        "tenancy_id": None,
        "epoch": None,
        "lower": issue.clock.now() - timedelta(hours=1),
        "upper": issue.clock.now() + timedelta(days=9),
    } | changes
    issue.database.execute(
        "INSERT INTO grants (id, holder_id, door_id, class, capabilities, lower, upper, state, tenancy_id, epoch)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, 'active', %s, %s)",
        fresh(), issue.tenant, issue.place.room.id, class_, capabilities, row["lower"], row["upper"],
        row["tenancy_id"], row["epoch"], role="api",
    )  # fmt: skip


async def answered(issue: Issue, class_: str, **changes: Any) -> str:
    """What the issuer says to a forged grant where the intruder's own lease was somebody else's all along."""
    issue.database.execute("UPDATE phones SET state = 'active', proved_by = 'button'")
    issue.database.execute(
        "SET session_replication_role = replica; DELETE FROM grants WHERE class = 'tenant'"
    )
    forge(issue, class_, **changes)
    return await issue.outcome()


@pytest.mark.parametrize(
    ("class_", "capabilities"),
    [("owner", 1), ("staff", 1), ("owner", ENTRY)],
)
async def test_a_grant_that_nothing_bears_out_is_no_key(issue: Issue, class_: str, capabilities: int) -> None:
    assert await answered(issue, class_, capabilities=capabilities) == "grant_unfounded"


async def test_a_lease_reaches_no_further_than_it_was_signed(issue: Issue) -> None:
    issue.verdict("approved")
    await issue.register()
    lease = {"tenancy_id": issue.tenancy.id, "epoch": issue.tenancy.epoch}
    wide = {**lease, "upper": issue.tenancy.upper + timedelta(days=1)}
    assert await answered(issue, "tenant", **wide) == "grant_unfounded"


async def test_another_rooms_lease_opens_this_room_to_nobody(issue: Issue) -> None:
    """The intruder's own lease is over; the next tenant's is named in the grant."""
    following = a_tenancy(issue.place, epoch=2, lower=issue.tenancy.upper)
    following = await wished(issue.bench.transactions(), issue.place, following)
    await sign(issue.database.transactions("api"), issue.place, following)
    named = {"tenancy_id": following.id, "epoch": 2, "lower": following.lower, "upper": following.upper}
    issue.clock.at = following.lower
    issue.verdict("approved")
    assert await answered(issue, "tenant", **named) == "grant_unfounded"


async def test_mutant_an_issuer_that_believes_grant_rows_would_be_caught(
    issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believes(*_: Any) -> bool:
        return True

    monkeypatch.setattr(issue_credential, "is_founded", believes)
    assert (await answered(issue, "owner")).endswith(" h")


async def settled_by_an_intruder(door: Door, **changes: Any) -> list[str]:
    """A case that the API's user wrote, with a staff check that he sealed himself; states of the phone."""
    _, tenant, signed = await moved_in(door)
    card = fields()
    await tenant.declare(await tenant.capture(duty_of(signed), card), card)
    intruder = App(door, tenant.number)
    await intruder.log_in()
    await intruder.enrol_phone()
    case = new_id(door.clock, secrets.token_bytes)
    ((holder,),) = door.database.execute("SELECT holder_id FROM phones WHERE id = %s", intruder.phone_id)
    row = {"duty": UUID(duty_of(signed)), "holder": holder} | changes
    door.database.execute(
        "INSERT INTO cases (id, duty_id, holder_id, phone_id, session_id, route, state)"
        " VALUES (%s, %s, %s, %s, %s, 'staff', 'open')",
        case, row["duty"], row["holder"], intruder.phone_id, intruder.tokens["session_id"], role="api",
    )  # fmt: skip
    door.database.execute("UPDATE cases SET consent_document_at = now() WHERE id = %s", case, role="api")
    sealed = await intruder.seal(str(case), {"fields": card, "outcome": "same_person"})
    door.database.execute(
        "INSERT INTO case_parts (id, case_id, kind, digest, sealed, state)"
        " VALUES (%s, %s, 'staff_check', %s, %s, 'received')",
        new_id(door.clock, secrets.token_bytes), case, bytes(32), unb64url(sealed), role="api",
    )  # fmt: skip
    await door.verify()
    rows = door.database.execute("SELECT state FROM phones WHERE id = %s", intruder.phone_id)
    return [state for (state,) in rows]


async def test_a_settled_duty_makes_no_second_phone_the_tenants(door: Door) -> None:
    assert await settled_by_an_intruder(door) == ["pending"]


async def test_a_case_about_two_people_proves_neither(door: Door) -> None:
    _, _, other = await moved_in(door)
    assert await settled_by_an_intruder(door, duty=UUID(duty_of(other))) == ["pending"]


async def test_mutant_a_verify_that_believes_case_rows_would_be_caught(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believes(desk: Any, case: Any) -> Any:
        return await desk.work.phones.lock(case.phone_id)

    monkeypatch.setattr(judge_case, "_whose_case", believes)
    assert await settled_by_an_intruder(door) == ["active"]
