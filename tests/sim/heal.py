"""The end of a world: all faults cease, time passes, phones walk by; then everything must have converged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sim.plan import MINUTE, SECOND

if TYPE_CHECKING:
    from tests.sim.locks import LockActor
    from tests.sim.people import Person
    from tests.sim.visits import Visit
    from tests.sim.world import World

#: Milliseconds of calm after which queues are empty and pauses are over.
CALM_MS = 30 * SECOND


def heal(world: World) -> None:
    """Let the sun come out, and see who gets in."""
    world.say("-- healing --")
    world.healing = True
    _no_more_faults(world)
    _pass(world, CALM_MS)
    for _ in range(2):
        for person in _living(world):
            _come_home(world, person)
    _landlord_walks(world)
    _pass(world, CALM_MS)
    _probe_the_living(world)
    _probe_the_former(world)
    _pass(world, 30 * SECOND)


def _pass(world: World, ms: int) -> None:
    world.stir(ms)
    world.live(world.agenda.ms + ms)


def _no_more_faults(world: World) -> None:
    world.weather.clear()
    world.broker.holding.clear()
    world.gateways.heal()
    for process in world.processes.values():
        process.crash_in = None
        process.boot()
    for person in world.people.values():
        for phone in person.phones:
            phone.offline_until = 0
    for lock in world.locks:
        lock.medium.cut = None
        lock.cut_move = None
        lock.door.jammed = False
        lock.network_until = 0
        lock.pass_time()
        world.book.of(lock).drifts(1.0)
        if lock.clocks.now().chip is None:
            lock.new_battery()
            world.book.of(lock).befalls(1e12, lost=True)
        lock.reconnect_later()


def _living(world: World) -> list[Person]:
    """Who lives somewhere now, and may stay long enough to be asked."""
    now = world.agenda.seconds
    names = dict.fromkeys(
        one.person
        for one in world.oracle.rights
        if one.kind == "tenant" and one.lives(now) and one.lives(now + 15 * MINUTE / 1000)
    )
    return [world.people[name] for name in names]


def _doors_of(world: World, person: Person) -> list[LockActor]:
    now = world.agenda.seconds
    return [
        world.door(one.door) for one in world.oracle.rights if one.person == person.name and one.lives(now)
    ]


def _come_home(world: World, person: Person) -> None:
    """Sync, walk to each of his doors, sync: what the doors said goes to the server, and back."""
    from tests.sim.acts import knock, sync

    sync(world, person.phone)
    _pass(world, 2 * SECOND)
    for lock in _doors_of(world, person):
        knock(world, person, lock)
        _pass(world, 8 * SECOND)
    sync(world, person.phone)
    _pass(world, 2 * SECOND)


def _landlord_walks(world: World) -> None:
    """The landlord's phone passes each lock that has no network: it carries documents in, journals out."""
    from tests.sim.acts import carry, sync

    phone = world.landlord.phone
    for lock in world.locks:
        for _ in range(3):
            world.walked[lock.name] = world.agenda.now()
            sync(world, phone)
            _pass(world, 2 * SECOND)
            carry(world, world.landlord, lock)
            _pass(world, 9 * SECOND)
            if lock.online:
                break
    sync(world, phone)
    _pass(world, 3 * SECOND)


def _probe_the_living(world: World) -> None:
    """Everybody who lives there opens his door, or the world says so."""
    from tests.sim.acts import knock, sync

    for person in _living(world):
        sync(world, person.phone)
        _pass(world, 2 * SECOND)
        for lock in _doors_of(world, person):
            outcome: list[str] = []

            def told(visit: Visit, outcome: list[str] = outcome) -> None:
                outcome.append(visit.outcome)

            knock(world, person, lock, kind="probe", done=told)
            _pass(world, 14 * SECOND)
            if outcome != ["granted"]:
                world.shut_out.append((person.name, lock.name))


def _probe_the_former(world: World) -> None:
    """Every phone tries every key it ever got where its holder has no right any more."""
    from tests.sim.attacks import try_kept

    now = world.agenda.seconds
    for person in list(world.people.values()):
        for phone in person.phones:
            for lock in world.locks:
                lives = any(
                    one.person == person.name
                    and one.door == lock.name
                    and (one.upper is None or now < one.upper + 5)
                    and one.ended is None
                    for one in world.oracle.rights
                )
                if (
                    lock.id is None
                    or lock.id.bytes not in phone.attic
                    or (lives and phone.name not in world.oracle.lost_phones)
                ):
                    continue

                def told(visit: Visit, person: Person = person, lock: LockActor = lock) -> None:
                    if visit.outcome == "granted":
                        world.let_in.append((person.name, lock.name))

                try_kept(world, phone, lock, told)
                _pass(world, 8 * SECOND)
