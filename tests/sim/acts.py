"""What people do: visits, syncs, remote unlocks, leases; each act chooses its persons by its own dice."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lockserver.app.end_tenancy import Ending
from lockserver.app.sign_tenancy import Signed
from lockserver.domain.command import Command
from lockserver.domain.errors import DomainError
from lockserver.protocol.access import Operation
from lockserver.protocol.wish import WishOperation
from mobile_api.phone.errors import NoKeyError
from tests.sim.agenda import T0
from tests.sim.api import Wanted
from tests.sim.attacks import ATTACKS
from tests.sim.faults import FAULTS
from tests.sim.firmware import FIRMWARE
from tests.sim.gateways import GATEWAYS
from tests.sim.guests import GUESTS
from tests.sim.oracle import Intent
from tests.sim.plan import DAY, HOUR, MINUTE
from tests.sim.storms import STORMS
from tests.sim.town import agreed, new_phone, newcomer
from tests.sim.visits import Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.chance import Chance
    from tests.sim.locks import LockActor
    from tests.sim.people import Person, PhoneActor
    from tests.sim.plan import Item
    from tests.sim.world import World


def dice_of(world: World, item: Item) -> Chance:
    """The dice of one item."""
    return world.dice.of("item", item.number)


# ---- at a door


def knock(
    world: World,
    person: Person,
    lock: LockActor,
    *,
    kind: str = "visit",
    bare: bool = False,
    done: Callable[[Visit], None] | None = None,
) -> Visit | None:
    """Somebody tries his own key at a door; None if he has none, or nobody answers there."""
    phone = person.phone
    if lock.lock is None or lock.id is None or phone.lost:
        return None
    try:
        key = phone.bundle.door_key(lock.id.bytes)
    except NoKeyError:
        return None
    if bare:  # a phone that carries nothing for others: the lock decides by what it holds
        key = replace(key, documents=())
    return Visit(world, phone, lock, key, kind=kind, done=done).start()


def visit(world: World, item: Item) -> None:
    """A tenant comes home; half of them let their phone look for news first."""
    dice = dice_of(world, item)
    person = _somebody(world, dice)
    if person is None:
        return
    lock = _his_door(world, dice, person)
    bare = dice.happens(0.4)
    if dice.happens(0.5):
        sync(world, person.phone, lambda _kit: knock(world, person, lock, bare=bare))
    else:
        knock(world, person, lock, bare=bare)


def carry(world: World, person: Person, lock: LockActor) -> None:
    """Somebody's phone passes a door: documents in, journal out, and nothing moves."""
    phone = person.phone
    if lock.lock is None or lock.id is None:
        return
    try:
        key = phone.bundle.door_key(lock.id.bytes)
    except NoKeyError:
        return
    Visit(world, phone, lock, key, operation=Operation.SYNC, kind="carry").start()


def owner_visit(world: World, item: Item) -> None:
    """The landlord at one of his doors, occupied or not."""
    dice = dice_of(world, item)
    lock = dice.one(world.locks)
    sync(world, world.landlord.phone, lambda _kit: knock(world, world.landlord, lock))


def sync(world: World, phone: PhoneActor, then: Callable[[Any], object] | None = None) -> None:
    """A phone asks for what it needs, and takes reports along."""
    request, asks, carried = phone.asks()

    def take(kit: Any) -> None:
        if isinstance(kit, dict):
            phone.take_kit(kit, len(carried))
        if then is not None:
            then(kit)

    world.call(phone, "sync", lambda: world.api.sync(request, asks, carried), take)


def somebody_syncs(world: World, item: Item) -> None:
    """Silent refresh."""
    dice = dice_of(world, item)
    person = _somebody(world, dice) if dice.happens(0.8) else world.landlord
    if person is not None:
        sync(world, person.phone)


def remote(world: World, item: Item) -> None:
    """A tenant opens from afar."""
    dice = dice_of(world, item)
    person = _somebody(world, dice)
    if person is None:
        return
    lock = _his_door(world, dice, person)
    if not lock.online:
        lock = _his_door(world, dice, person)  # who knows that his room has no network asks for it less
    for _ in range(1 + dice.happens(0.3)):
        from_afar(world, person, lock)


def from_afar(world: World, person: Person, lock: LockActor) -> None:
    """One wish, sent with its session."""
    if lock.id is None:
        return
    phone, lock_id = person.phone, lock.id
    wish, raw = phone.wished(WishOperation.UNLOCK, lock_id.bytes)
    world.oracle.intents.append(
        Intent(
            "remote", person.name, phone.name, lock.name, None, world.agenda.ms, own=True,
            wish_id=wish.wish_id, not_after=wish.not_after,
        )
    )  # fmt: skip
    world.wishes.append((person, lock, raw))
    key = phone.dice.bytes(12).hex()

    def told(answer: Any) -> None:
        if isinstance(answer, Command):
            world.say(f"{phone.name} is told of {lock.name}: {answer.state} {answer.code or ''}".rstrip())
            world.book.shown(answer)

    world.call(phone, "unlock", lambda: world.api.unlock(person, lock_id, raw, key), told)


# ---- leases


def lease(world: World, item: Item) -> None:
    """A lease of a room: for now if it is free, else after the present one."""
    dice = dice_of(world, item)
    lock = dice.one([one for one in world.locks if one.name != "gate"])
    tenants = [newcomer(world, f"tenant-{item.number}-{n}") for n in range(1 + dice.happens(0.3))]
    for person in tenants:
        new_phone(world, person)
    now = world.agenda.ms
    taken = [one for one in world.oracle.rights if one.door == lock.name and one.kind == "tenant"]
    living = [one for one in taken if one.upper is not None and one.ended is None]
    free = max([now, *[int((one.upper or 0) - T0) * 1000 for one in living]])
    lower = free + dice.one((0, 0, 5 * MINUTE))
    upper = lower + dice.one((3 * MINUTE, 4 * HOUR, 2 * DAY, 40 * DAY))
    sign(world, lock.name, tenants, lower, upper)


def sign(world: World, door: str, tenants: list[Person], lower: int, upper: int) -> None:
    """The landlord signs, on his phone."""
    wanted = Wanted(world.door(door).door_id, lower, upper, tenants)

    def signed(answer: Any) -> None:
        if isinstance(answer, Signed):
            world.say(f"lease of {door}: {', '.join(one.name for one in tenants)}")
            agreed(world, door, tenants, lower, upper, answer.tenancy.id)
            world.tenancies.append((answer.tenancy.id, door, tenants))
            for person in tenants:
                sync(world, person.phone)

    world.call(world.landlord.phone, "sign", lambda: world.api.sign(world.landlord, wanted), signed)


def end_lease(world: World, item: Item) -> None:
    """One or all of those who live somewhere wish the lease ended."""
    dice = dice_of(world, item)
    living = [one for one in world.tenancies if _lives(world, one[0])]
    if not living:
        return
    tenancy_id, _, tenants = dice.one(living)
    leave(world, tenancy_id, tenants if dice.happens(0.7) else tenants[:1], tenants)


def leave(world: World, tenancy_id: UUID, leaving: list[Person], tenants: list[Person]) -> None:
    """Some of those who live there wish their lease ended, each on his phone."""

    for person in leaving:
        _, raw = person.phone.wished(WishOperation.END_TENANCY, tenancy_id.bytes)
        world.wished_end(tenancy_id, person, tenants)
        world.call(person.phone, "end", partial(world.api.end, person, tenancy_id, raw))


def landlord_tries(world: World, item: Item) -> None:
    """The landlord tries to take a living tenant's way in: the lease's end, his phone."""
    dice = dice_of(world, item)
    living = [one for one in world.tenancies if _lives(world, one[0])]
    if not living:
        return
    tenancy_id, _, tenants = dice.one(living)
    victim = dice.one(tenants)
    phone = world.landlord.phone
    _, raw = phone.wished(WishOperation.END_TENANCY, tenancy_id.bytes)
    world.call(phone, "end", lambda: world.api.end(world.landlord, tenancy_id, raw), _must_fail(world))
    _, steal = phone.wished(WishOperation.END_TENANCY, tenancy_id.bytes)
    world.call(phone, "end as him", lambda: world.api.end(victim, tenancy_id, steal), _must_fail(world))
    _, lose = phone.wished(WishOperation.REMOVE_PHONE, victim.phone.id.bytes)
    world.call(
        phone, "remove", lambda: world.api.remove_phone(victim, victim.phone.id, lose), _must_fail(world)
    )


def lose_phone(world: World, item: Item) -> None:
    """Somebody brings a second phone, passes identity with it, and has the lost one removed."""
    dice = dice_of(world, item)
    person = _somebody(world, dice)
    if person is None or len(person.phones) > 1:
        return
    lost = person.phone
    new = new_phone(world, person)
    for tenancy_id, _, tenants in world.tenancies:
        if person in tenants:
            world.identify(person, tenancy_id)
    lost.lost = True
    _, raw = new.wished(WishOperation.REMOVE_PHONE, lost.id.bytes)

    def removed(answer: Any) -> None:
        if answer is None and world.removed(lost):
            world.oracle.lost_phones[lost.name] = world.agenda.seconds
        sync(world, new)

    world.say(f"{person.name} has lost a phone")
    world.call(new, "remove", lambda: world.api.remove_phone(person, lost.id, raw), removed)


def read(world: World, item: Item) -> None:
    """Somebody looks how a lock stands (L-50)."""
    dice = dice_of(world, item)
    person = _somebody(world, dice)
    if person is None:
        return
    lock = _his_door(world, dice, person)
    lock_id = lock.id
    if lock_id is None:
        return

    def shown(answer: Any) -> None:
        if answer is not None and not isinstance(answer, DomainError):
            world.book.known(lock, answer)

    def look() -> None:
        world.call(person.phone, "read", lambda: world.api.know(person, lock_id), shown)

    if dice.happens(0.6):
        from_afar(world, person, lock)  # while the bolt still stands open, he looks what he is told of it
        world.agenda.after(dice.between(800, 4_000), "looks", look)
    else:
        look()


# ---- whom


def _somebody(world: World, dice: Chance) -> Person | None:
    """A tenant, living or future; former ones come as `keeper`."""
    now = world.agenda.seconds
    names = dict.fromkeys(
        one.person
        for one in world.oracle.rights
        if one.kind == "tenant" and one.ended is None and (one.upper is None or now < one.upper + 60)
    )
    return world.people[dice.one(list(names))] if names else None


def _his_door(world: World, dice: Chance, person: Person) -> LockActor:
    """His room, or the gate."""
    doors = [one.door for one in world.oracle.rights if one.person == person.name]
    return world.door(dice.one(doors))


def _lives(world: World, tenancy_id: Any) -> bool:
    now = world.agenda.seconds
    return any(one.tenancy == tenancy_id and one.lives(now) for one in world.oracle.rights)


def _must_fail(world: World) -> Callable[[Any], None]:
    def told(answer: Any) -> None:
        if isinstance(answer, Ending) and answer.awaited == 0:
            world.say("the landlord ended a living lease")

    return told


ACTS: dict[str, Any] = {
    "visit": visit,
    "owner_visit": owner_visit,
    "sync": somebody_syncs,
    "remote": remote,
    "lease": lease,
    "end_lease": end_lease,
    "landlord_tries": landlord_tries,
    "lose_phone": lose_phone,
    "read": read,
    **FAULTS,
    **ATTACKS,
    **GUESTS,
    **FIRMWARE,
    **STORMS,
    **GATEWAYS,
}
