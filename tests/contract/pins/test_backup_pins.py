"""Backup PINs: in the lock beforehand, given once, to who lives there, and working while the lock is offline."""

from __future__ import annotations

from datetime import timedelta

import pytest

from firmware_sim.core.events import Sign
from tests.support.keypad_house import KeypadHouse

pytestmark = pytest.mark.contract


async def test_a_backup_pin_works_at_an_offline_lock_and_is_given_once(house: KeypadHouse) -> None:
    tenant, room = house.party.tenant, house.room
    house.unplug(room)
    answers = [await house.backup(tenant, room) for _ in range(3)]
    assert [one.status_code for one in answers] == [201, 201, 409]
    assert answers[2].json()["code"] == "backup_missing"
    digits = [house.digits(tenant, room, one) for one in answers[:2]]
    assert len(set(digits)) == 2
    for pin in digits:
        assert house.key_in(room, pin) is Sign.OPEN
    [kept] = house.door.database.execute(
        "SELECT string_agg(s::text, ' ') FROM slots s WHERE purpose = 'backup' AND lock_id = %s",
        house.lock(room),
    )
    assert not any(pin in kept[0] or pin.encode().hex() in kept[0] for pin in digits)


async def test_nobody_but_who_lives_there_takes_one_and_none_is_promised_that_the_lock_has_not(
    house: KeypadHouse,
) -> None:
    party, room = house.party, house.room
    assert (await house.backup(party.landlord, room)).json()["code"] == "grant_missing"
    assert (await house.backup(party.tenant, house.gate)).json()["code"] == "not_allowed"
    house.door.database.execute("UPDATE slots SET state = 'removing', why = 'ended' WHERE purpose = 'backup'")
    assert (await house.backup(party.tenant, room)).json()["code"] == "backup_missing"


async def test_the_next_tenancy_has_its_own(house: KeypadHouse) -> None:
    party, room = house.party, house.room
    old = house.digits(party.tenant, room, await house.backup(party.tenant, room))
    house.unplug(room)
    next_tenant = await party.door.person()
    end = party.door.clock.now() + timedelta(days=365)
    lease = party.landlord.lease(room, next_tenant.number, lower=end, upper=end + timedelta(days=30))
    await party.landlord.log_in()
    await party.landlord.ok("POST", "/tenancies", lease)
    await party.pass_time(timedelta(days=366))
    house.airs[room].online = True
    await house.connect(room)
    rows = house.door.database.execute(
        "SELECT epoch, state FROM slots WHERE purpose = 'backup' AND lock_id = %s ORDER BY epoch, state",
        house.lock(room),
    )
    assert rows == [(1, "unset"), (1, "unset"), (2, "set"), (2, "set")]
    assert house.key_in(room, old) is Sign.DENIED
