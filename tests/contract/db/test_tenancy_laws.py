"""L-23 and its neighbours, by direct SQL, and through the repositories of both keepers; with its mutant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from lockserver.domain.errors import ConflictError, IntegrityRefusedError
from tests.support.database import Database
from tests.support.people import START, a_duty, a_holder, a_place, a_registration, a_tenancy, fresh, sign
from tests.support.workbench import Workbench

pytestmark = pytest.mark.contract

DROP_LAW_23 = """
    DROP TRIGGER law_23_tenancies ON tenancies; DROP TRIGGER law_23_occupants ON occupants;
    DROP TRIGGER law_23_duties ON duties; DROP TRIGGER law_23_registrations ON registrations
"""


async def tenancy_without_duty(database: Database) -> None:
    """Direct SQL, as the API's user: a lease and an occupant, and no duty."""
    transactions = database.transactions("api")
    place = await a_place(transactions)
    async with transactions.begin() as work:
        stranger = await a_holder(work)
    tenancy = fresh()
    database.execute(
        f"""
        UPDATE doors SET epoch = 1 WHERE id = '{place.room.id}';
        INSERT INTO tenancies (id, door_id, lower, upper, epoch, state, signed_by, key_policy)
            VALUES ('{tenancy}', '{place.room.id}', '{START}', '{START + timedelta(days=9)}', 1,
                'signed', '{place.landlord}', 'on_submit');
        INSERT INTO occupants (tenancy_id, holder_id, is_minor)
            VALUES ('{tenancy}', '{stranger}', false)
        """,
        role="api",
    )


async def test_L23_no_tenancy_without_its_duties(database: Database) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="L-23: an occupant without"):
        await tenancy_without_duty(database)
    assert database.execute("SELECT count(*) FROM tenancies") == [(0,)]


async def test_L23_mutant_without_the_trigger_the_lease_is_written(database: Database) -> None:
    database.execute(DROP_LAW_23)
    await tenancy_without_duty(database)
    assert database.execute("SELECT count(*) FROM tenancies") == [(1,)]


async def test_L23_no_duty_is_taken_away(database: Database) -> None:
    transactions = database.transactions("api")
    place = await a_place(transactions)
    tenancy = a_tenancy(place)
    await sign(transactions, place, tenancy)
    with pytest.raises(psycopg.errors.CheckViolation, match="L-23"):
        database.execute("DELETE FROM duties WHERE tenancy_id = %s", tenancy.id)
    with pytest.raises(psycopg.errors.CheckViolation, match="L-23"):
        database.execute("DELETE FROM occupants WHERE tenancy_id = %s", tenancy.id)


async def test_L23_no_duty_for_a_stranger_and_no_second_one(workbench: Workbench) -> None:
    transactions = workbench.transactions("api")
    place = await a_place(transactions)
    tenancy = a_tenancy(place)
    [tenant] = await sign(transactions, place, tenancy)
    with pytest.raises(IntegrityRefusedError) as refused:
        async with transactions.begin() as work:
            await work.duties.add(a_duty(tenancy.id, await a_holder(work)))
    assert refused.value.detail == {"rule": "law_23_stranger"}
    with pytest.raises(ConflictError):
        async with transactions.begin() as work:
            await work.duties.add(a_duty(tenancy.id, tenant))


async def test_L23_an_ended_tenancy_owes_departure_duties(workbench: Workbench) -> None:
    transactions = workbench.transactions()
    place = await a_place(transactions)
    tenancy = a_tenancy(place)
    [tenant] = await sign(transactions, place, tenancy)
    await a_registration(transactions, tenancy, tenant, "N1")
    ended = tenancy.ended(START, "early_tenant", tenant)
    with pytest.raises(IntegrityRefusedError) as refused:
        async with transactions.begin() as work:
            await work.tenancies.save(ended)
    assert refused.value.detail == {"rule": "law_23_departure"}
    async with transactions.begin() as work:
        await work.tenancies.save(ended)
        await work.duties.add(replace(a_duty(tenancy.id, tenant), kind="departure"))
    with pytest.raises(IntegrityRefusedError) as refused:
        async with transactions.begin() as work:
            await work.tenancies.save(tenancy)
    assert refused.value.detail == {"rule": "tenancy_ends_once"}


async def test_a_room_holds_no_more_than_it_may(workbench: Workbench) -> None:
    transactions = workbench.transactions("api")
    place = await a_place(transactions, capacity=2)
    with pytest.raises(IntegrityRefusedError) as refused:
        await sign(transactions, place, a_tenancy(place), people=3)
    assert refused.value.detail == {"rule": "law_23_capacity"}
    await sign(transactions, place, a_tenancy(place), people=2)


async def test_a_room_has_one_living_tenancy_at_any_instant(workbench: Workbench) -> None:
    transactions = workbench.transactions("api")
    place = await a_place(transactions)
    first = a_tenancy(place)
    await sign(transactions, place, first)
    with pytest.raises(ConflictError) as refused:
        await sign(transactions, place, a_tenancy(place, 2, first.upper - timedelta(seconds=1)))
    assert refused.value.detail == {"rule": "tenancies_one_living_excl"}
    await sign(transactions, place, a_tenancy(place, 2, first.upper))  # half-open: they touch
    other = await a_place(transactions)
    await sign(transactions, other, a_tenancy(other))  # another room, the same days


async def test_two_leases_at_once_one_wins(workbench: Workbench) -> None:
    transactions = workbench.transactions("api")
    place = await a_place(transactions)
    outcomes = await workbench.together(
        *(sign(transactions, place, a_tenancy(place, epoch)) for epoch in (1, 2))
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], ConflictError | IntegrityRefusedError)
    assert len(workbench.rows("tenancies")) == 1


async def test_a_rooms_epoch_only_rises(workbench: Workbench) -> None:
    transactions = workbench.transactions("api")
    place = await a_place(transactions)
    await sign(transactions, place, a_tenancy(place, epoch=4))
    with pytest.raises(IntegrityRefusedError) as refused:
        async with transactions.begin() as work:
            await work.doors.save(replace(place.room, epoch=3))
    assert refused.value.detail == {"rule": "epoch_rises"}
