"""Real use cases over the memory, driven by hand without an event loop; the same story over PostgreSQL.

A lease is signed and a key issued; a door is opened through the server by its lock's own signed word; the
lease is ended by who lives there, and his key dies at the lock.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from lockserver.app.converge_access import converge_access
from lockserver.app.end_tenancy import end_tenancy_early
from lockserver.app.issue_access_documents import refresh_access
from lockserver.app.keep_house import NewDoor, add_door, create_house
from lockserver.app.phone_sync import METHOD_PATH, DoorKit, SeenRequests, phone_sync
from lockserver.app.ports import Answer, Claim
from lockserver.app.send_commands import send_commands
from lockserver.app.sign_tenancy import Lease, NewOccupant, Signed, sign_tenancy
from lockserver.app.spend_owners_wish import Wished
from lockserver.app.unlock_remotely import Asked, unlock_remotely
from lockserver.domain.command import Command
from lockserver.domain.errors import NotFoundError
from lockserver.domain.times import Window, whole_seconds
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.credential import read_credential
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.documents import read_revocation_list
from lockserver.protocol.wish import WishOperation
from tests.contract.work.installation import INDEX, Installation, Person
from tests.sim.memory import MemoryStore, run
from tests.support.database import FakeClock
from tests.support.workbench import MemoryBench, Workbench

pytestmark = pytest.mark.contract


async def a_house(made: Installation, landlord: Person) -> UUID:
    """A room with the lock; its button has proved the landlord's phone."""
    random, now = made.random.randbytes, made.clock.now()
    async with made.api.begin() as work:
        house = await create_house(work, random, now, landlord.holder_id, "Lane 7", "ADDR-1", "330106000001")
    async with made.api.begin() as work:
        room = NewDoor("room", "101", 2)
        door = await add_door(work, random, now, landlord.holder_id, house.id, room)
    await made.claim(landlord, door.id)
    await made.connect()
    return door.id


async def a_lease(made: Installation, landlord: Person, door_id: UUID, number: str) -> Signed:
    now = made.clock.now()
    window = Window(now, now + timedelta(days=30))
    assert window.upper is not None
    lasts = {"from": whole_seconds(window.lower), "until": whole_seconds(window.upper)}
    body = {"door_id": str(door_id), "tenants": [number]}
    covered = made.covering(landlord, WishOperation.SIGN_TENANCY, door_id, body, **lasts)
    lease = Lease(door_id, window, [NewOccupant(number)], "on_submit", Wished(*covered))
    async with made.api.begin() as work:
        return await sign_tenancy(work, INDEX, made.random.randbytes, now, landlord.holder_id, lease)


def identify(made: Installation, tenant: Person, signed: Signed) -> None:
    """As role verify leaves it: a verdict for this lease, the phone proved, the duty filed."""
    assert tenant.phone is not None
    [duty] = signed.duties
    case, bench = made.id(), made.workbench
    bench.plant(
        "cases", id=case, duty_id=duty.id, holder_id=tenant.holder_id, phone_id=tenant.phone.id,
        session_id=tenant.session_id, route="staff", state="submitted",
    )  # fmt: skip
    bench.plant(
        "verdicts", id=made.id(), case_id=case, holder_id=tenant.holder_id, phone_id=tenant.phone.id,
        outcome="approved", route="staff", reasons=[],
    )  # fmt: skip
    bench.force("phones", {"id": tenant.phone.id}, state="active", proved_by="staff")
    bench.plant(
        "registrations", id=made.id(), client_no="c-1", duty_id=duty.id, tenancy_id=signed.tenancy.id,
        holder_id=tenant.holder_id, number_mask="33**", number_index=bytes(32), version=1,
        state="submitted", submitted_at=made.clock.now(),
    )  # fmt: skip


async def sync(made: Installation, tenant: Person) -> DoorKit:
    assert tenant.phone is not None
    request = made.signed(tenant, tenant.phone.id, METHOD_PATH, b"{}")
    kit = await phone_sync(made.issuing, SeenRequests(), request, b"{}")
    [door] = kit.doors
    return door


async def ask_to_open(made: Installation, tenant: Person) -> UUID:
    """The tenant taps; the command's id."""
    asked = Asked(
        made.id(), tenant.session_id, tenant.holder_id, made.lock_id,
        made.wish(tenant, WishOperation.UNLOCK, made.lock_id),
        Claim(f"holder:{tenant.holder_id}", str(made.id()), "unlock", bytes(32)),
    )  # fmt: skip

    def answer(command: Command) -> Answer:
        return Answer(202, {"Location": f"/v1/commands/{command.id}"}, b"{}")

    assert await unlock_remotely(made.api, made.clock, asked, answer) is None
    return asked.command_id


async def story(workbench: Workbench) -> None:
    made = Installation(workbench, FakeClock())
    await made.lay_keys()
    landlord = await made.person("+8613800000001")
    door_id = await a_house(made, landlord)
    assert [lock["state"] for lock in workbench.rows("locks")] == ["active"]

    # ---- a lease is signed, and a key issued
    signed = await a_lease(made, landlord, door_id, "13900000002")
    tenant = await made.person("+8613900000002")
    assert (await sync(made, tenant)).withheld is not None  # nobody knows yet who he is
    identify(made, tenant, signed)
    key = (await sync(made, tenant)).credential
    assert key is not None
    claims = read_credential(key.raw, keys_by_id((made.issuer.public,))).claims
    assert (claims.lock_id, claims.epoch) == (made.lock_id.bytes, 1)

    # ---- the lock hears of it, and opens through the server
    await refresh_access(made.issuing, [made.lock_id])
    await converge_access(made.bridging, made.lock_id)
    await made.hear()
    command_id = await ask_to_open(made, tenant)
    assert ("commands", made.lock_id.hex) in workbench.heard()
    assert await send_commands(made.bridging, made.lock_id) == 1
    await made.hear()
    assert made.lock.door.state is BoltState.UNLOCKED
    assert made.lock.door.openings == 1
    [command] = workbench.rows("commands", id=command_id)
    assert (command["state"], command["counter"]) == ("done", 1)
    assert command["evidence"]
    assert ("command_settled", str(command_id)) in workbench.heard()
    numbers = [row["number"] for row in workbench.rows("journal")]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))

    # ---- who lives there ends it, and the key dies at the lock
    wish = made.wish(tenant, WishOperation.END_TENANCY, signed.tenancy.id)
    async with made.api.begin() as work:
        ending = await end_tenancy_early(
            work, made.random.randbytes, made.clock.now(), tenant.holder_id, signed.tenancy.id, wish
        )
    assert (ending.awaited, list(ending.lock_ids)) == (0, [made.lock_id])
    assert await refresh_access(made.issuing, ending.lock_ids) == [made.lock_id]
    await converge_access(made.bridging, made.lock_id)
    await made.hear()
    [status] = workbench.rows("lock_status")
    newest = max(workbench.rows("lock_documents", kind="revocation"), key=lambda row: int(row["number"]))
    listed = read_revocation_list(newest["raw"], keys_by_id((made.issuer.public,)))
    assert [cti for cti, _ in listed.entries] == [key.id.bytes]
    assert status["revocation_number"] == newest["number"]  # the lock's own word
    with pytest.raises(NotFoundError):
        await ask_to_open(made, tenant)
    assert {duty["kind"] for duty in workbench.rows("duties")} == {"arrival", "departure"}


def test_use_cases_run_on_the_memory_without_an_event_loop() -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    run(story(MemoryBench(MemoryStore())))


async def test_the_same_story_over_postgresql(workbench: Workbench) -> None:
    await story(workbench)


def test_one_seed_takes_the_same_way_twice() -> None:
    """What the memory keeps follows from the seed alone."""
    kept = []
    for _ in range(2):
        clock = FakeClock()
        bench = MemoryBench(MemoryStore(clock))
        run(story(bench))
        kept.append({name: bench.rows(name) for name in bench.store.tables})
    assert kept[0] == kept[1]
    assert Random(7).random() == Random(7).random()
