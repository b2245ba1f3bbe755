"""A house before anything happens: a gate, rooms with claimed locks, a landlord, tenants with leases and keys."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from firmware_sim.core.events import ButtonPressed, RadioConnected, RadioGone, RadioMessage
from lockserver.app.accept_report import accept_report
from lockserver.app.enrol_lock import Claim, enrol_lock
from lockserver.app.enrol_phone import Enrolment, enrol_phone
from lockserver.app.keep_house import NewDoor, add_door, create_house
from lockserver.app.log_in import find_or_make_holder
from lockserver.domain.account import Session
from lockserver.domain.ids import new_id
from lockserver.domain.phone_number import normalise
from lockserver.protocol.enrolment import read_e2, read_e4, write_e1, write_e3
from tests.sim.agenda import T0
from tests.sim.api import INDEX, Wanted
from tests.sim.gateways import PROFILE
from tests.sim.locks import LockActor
from tests.sim.memory.pausing import run
from tests.sim.oracle import Right
from tests.sim.people import Person, PhoneActor
from tests.sim.plan import DAY, HOUR, MINUTE
from tests.sim.site import burnt

if TYPE_CHECKING:
    from tests.sim.radio import Connection
    from tests.sim.world import World

_KNOCK = -1


class Counter:
    """The far end of a connection during enrolment: keeps what the lock says."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def answer(self, message: bytes) -> None:
        """The lock speaks."""
        self.said.append(message)

    def close(self) -> None:
        """The lock hangs up."""

    def lost(self) -> None:
        """The lock went dark."""


def settle(world: World) -> None:
    """Build the house. No fault strikes yet."""
    world.landlord = newcomer(world, "landlord")
    random = world.dice.of("town").bytes
    api, now = world.api, world.agenda.now()

    async def build() -> UUID:
        async with api.transactions.begin() as work:
            house = await create_house(
                work, random, now, world.landlord.holder_id, "a house", "330106000000", "330106000000"
            )
            return house.id

    world.house_id = run(build())
    phone = new_phone(world, world.landlord)
    names = ["gate", *[f"room-{n}" for n in range(1, world.rooms + 1)]]
    for number, name in enumerate(names):
        _door(world, name, number)
        world.oracle.rights.append(Right("landlord", name, "owner", T0 - 1, None))
    world.store.force("phones", {"id": phone.id}, state="active", proved_by="button")
    for lock in world.locks[1:]:
        _first_lease(world, lock)
    for process in world.processes.values():
        process.boot()
    for lock in world.locks:
        lock.reconnect_later()
    world.gateways.settle()


def newcomer(world: World, name: str) -> Person:
    """Somebody logs in for the first time."""
    number = f"139{len(world.people):08d}"
    person = Person(name, number)
    dice = world.dice.of("person", name)
    now = world.agenda.now()

    async def enter() -> None:
        async with world.api.transactions.begin() as work:
            holder = await find_or_make_holder(work, INDEX, dice.bytes, now, normalise(number))
            assert holder.account_id is not None
            person.holder_id, person.account_id = holder.id, holder.account_id
            person.session_id = new_id(world.agenda, dice.bytes)
            far = now + timedelta(days=400)
            await work.sessions.add(
                Session(person.session_id, holder.account_id, dice.bytes(32), far, dice.bytes(32), far)
            )

    run(enter())
    world.people[name] = person
    return person


def new_phone(world: World, person: Person) -> PhoneActor:
    """Somebody brings a phone; it is `pending`."""
    phone = PhoneActor(world, person)
    keys = phone.bundle.sign_public + phone.bundle.ecdh_public
    proof = phone.signed(person.session_id.bytes, "POST /v1/phones", keys)

    async def enrol() -> UUID:
        async with world.api.transactions.begin() as work:
            made = await enrol_phone(
                work,
                phone.dice.bytes,
                world.agenda.now(),
                person.holder_id,
                person.session_id,
                Enrolment(phone.bundle.sign_public, phone.bundle.ecdh_public, proof),
            )
            return made.id

    phone.bundle.phone_id = run(enrol()).bytes
    return phone


def _door(world: World, name: str, number: int) -> None:
    """Add a door, and claim a lock for it with the landlord's phone."""
    random = world.dice.of("door", name).bytes
    room = name != "gate"
    landlord = world.landlord

    async def add() -> UUID:
        async with world.api.transactions.begin() as work:
            new = NewDoor("room" if room else "gate", name, 3 if room else None)
            made = await add_door(work, random, world.agenda.now(), landlord.holder_id, world.house_id, new)
            return made.id

    door_id = run(add())
    online = world.dice.happens(0.8)
    lock = LockActor(world, name, burnt(number), online=online and world.profile != PROFILE)
    lock.door_id = door_id
    world.locks.append(lock)
    lock.power_on()
    _claim(world, lock)


def _claim(world: World, lock: LockActor) -> None:
    """The enrolment of the wire, by hand: button, offer, document, first report."""
    landlord = world.landlord
    counter = Counter()
    far_end: Connection = counter  # type: ignore[assignment]
    lock.feed(ButtonPressed())
    lock.connections[_KNOCK] = far_end
    lock.feed(RadioConnected(_KNOCK))
    lock.feed(RadioMessage(_KNOCK, write_e1(landlord.phone.bundle.sign_public)))
    offer = read_e2(counter.said[-1])
    claim = Claim(landlord.holder_id, lock.door_id, offer, lock.factory.claim_code)
    made = run(enrol_lock(world.issuing, claim))
    lock.feed(RadioMessage(_KNOCK, write_e3(made.document, made.mac)))
    report = read_e4(counter.said[-1])
    lock.connections.pop(_KNOCK, None)
    lock.feed(RadioGone(_KNOCK))
    lock.id = made.lock_id
    world.by_id[made.lock_id] = lock
    run(accept_report(world.bridge.bridging, made.lock_id, report))
    world.laws.enrolled(lock)


def _first_lease(world: World, lock: LockActor) -> None:
    """Somebody lives behind nearly every door from the beginning."""
    dice = world.dice.of("first lease", lock.name)
    if dice.happens(0.15):
        return
    tenants = [newcomer(world, f"{lock.name}-tenant-{n}") for n in range(1 + dice.happens(0.4))]
    for person in tenants:
        new_phone(world, person)
    upper = dice.one((2 * MINUTE, 2 * HOUR, 3 * DAY, 60 * DAY))
    signed = run(world.api.sign(world.landlord, Wanted(lock.door_id, 0, upper, tenants), told=False))
    agreed(world, lock.name, tenants, 0, upper, signed.tenancy.id)
    world.tenancies.append((signed.tenancy.id, lock.name, tenants))


def agreed(world: World, door: str, tenants: list[Person], lower: int, upper: int, tenancy: UUID) -> None:
    """The truth about a signed lease: who may enter the room, and the gate, from when until when."""
    for person in tenants:
        for name, kind in ((door, "tenant"), ("gate", "resident")):
            world.oracle.rights.append(
                Right(person.name, name, kind, T0 + lower / 1000, T0 + upper / 1000, tenancy)
            )
        world.identify(person, tenancy)


def identify(world: World, person: Person, tenancy_id: UUID) -> None:
    """The identity step of one tenant with the phone in his hand, as role verify leaves it."""
    phone = person.phone
    store = world.store
    duty = next(
        row
        for row in store.rows("duties", tenancy_id=tenancy_id)
        if row["holder_id"] == person.holder_id and row["kind"] == "arrival"
    )
    fresh = world.dice.of("identity", person.name, tenancy_id, phone.name)

    def new() -> UUID:
        return new_id(world.agenda, fresh.bytes)

    case = new()
    store.plant(
        "cases", id=case, duty_id=duty["id"], holder_id=person.holder_id, phone_id=phone.id,
        session_id=person.session_id, route="staff", state="submitted",
    )  # fmt: skip
    store.plant(
        "verdicts", id=new(), case_id=case, holder_id=person.holder_id, phone_id=phone.id,
        outcome="approved", route="staff", reasons=[],
    )  # fmt: skip
    store.force("phones", {"id": phone.id}, state="active", proved_by="staff")
    if not store.rows("registrations", duty_id=duty["id"]):
        store.plant(
            "registrations", id=new(), client_no=f"c-{duty['id'].hex}", duty_id=duty["id"],
            tenancy_id=tenancy_id, holder_id=person.holder_id, number_mask="3301**********0000",
            number_index=fresh.bytes(32), version=1, state="submitted", submitted_at=world.agenda.now(),
        )  # fmt: skip
        store.force("duties", {"id": duty["id"]}, state="filed")
