"""L-31: the digits of a PIN lie in no table, log line, envelope for the broker, problem or answer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import structlog

from lockserver.app import set_pin
from lockserver.app.want_slot import want_slot
from lockserver.protocol.pin import weakness
from tests.contract.api.test_l31_canaries import found_in, leaks_in_database
from tests.support.keypad_house import KeypadHouse

pytestmark = pytest.mark.contract
CHOSEN, WEAK, LONG = "274916358", "555555551", "83620194757"


async def used(house: KeypadHouse) -> tuple[dict[str, str], list[bytes]]:
    """PINs chosen, refused, read out and taken from the backups; and every byte that was said meanwhile."""
    tenant, room, said = house.party.tenant, house.room, []
    before = len(house.airs[room].sent)

    async def keep(answer: httpx.Response) -> None:
        said.append(await answer.aread())

    house.door.http.event_hooks["response"].append(keep)
    with structlog.testing.capture_logs() as lines:
        await house.choose(tenant, room, CHOSEN)
        for pin in (WEAK, LONG):
            assert (await house.choose(tenant, room, pin)).status_code == 422
        taken = await house.choose(house.party.landlord, room, CHOSEN)
        assert taken.json()["code"] == "pin_taken"
        read = await house.read_out(tenant, room, 3)
        backup = await house.backup(tenant, room)
        assert (read.status_code, backup.status_code) == (201, 201)
        await house.converge(room)
        house.key_in(room, CHOSEN)
        await house.converge(room)
        await tenant.ok("GET", f"/locks/{house.lock(room)}/journal")
        await house.debt(house.party.landlord, room)
        await house.slots(tenant, room)
    secrets = {
        "chosen": CHOSEN,
        "weak": WEAK,
        "long": LONG,
        "read out": house.digits(tenant, room, read),
        "backup": house.digits(tenant, room, backup),
        "seed": house.seed(room).hex(),
    }
    return secrets, [*said, *house.airs[room].sent[before:], repr(lines).encode()]


async def test_L31_no_digit_of_a_pin_lies_about(house: KeypadHouse) -> None:
    secrets, said = await used(house)
    assert len(said) > 8
    assert leaks_in_database(house.door, secrets) == set()
    assert [found_in(one, secrets) for one in said] == [set()] * len(said)


async def test_L31_mutant_an_audit_line_with_the_digits_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = want_slot

    async def talks(world: Any, work: Any, lock_id: Any, grant: Any, *rest: Any, **more: Any) -> Any:
        await work.audit.write("role:issuer", "chose", f"lock:{lock_id}", digits=CHOSEN)
        return await honest(world, work, lock_id, grant, *rest, **more)

    monkeypatch.setattr(set_pin, "want_slot", talks)
    secrets, _ = await used(house)
    assert leaks_in_database(house.door, secrets) == {"audit_log.detail: chosen"}


async def test_L31_mutant_a_problem_that_quotes_the_pin_is_caught(
    house: KeypadHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = weakness

    def quotes(digits: str) -> Any:
        rule = honest(digits)
        return f"{rule} in {digits}" if rule and rule != "length" else rule

    monkeypatch.setattr(set_pin, "weakness", quotes)
    secrets, said = await used(house)
    assert {"weak"} in [found_in(one, secrets) for one in said]


async def test_L31_the_api_reads_neither_what_a_pin_is_compared_with_nor_a_backups_digits(
    house: KeypadHouse,
) -> None:
    import psycopg

    for role in ("api", "bridge", "jobs", "verify", "relay"):
        for column in ("verifier", "digits_sealed"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                house.door.database.execute(f"SELECT {column} FROM slots", role=role)
