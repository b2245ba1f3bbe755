"""What strikes: weather on links, power cuts, crashes, a broker that restarts, clocks, phones that sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.sim.plan import DAY, HOUR, MINUTE, SECOND
from tests.sim.weather import LINKS, MODES, Spell

if TYPE_CHECKING:
    from tests.sim.chance import Chance
    from tests.sim.locks import LockActor
    from tests.sim.plan import Item
    from tests.sim.world import World

#: Parts per million that a processor's timer is wrong by nature.
TIMER_PPM = 150

#: In worlds about one kind of link the weather is mostly there.
FAVOURED = {"radio": "ble", "broker": "mqtt", "slow": "mqtt", "lossy": "mqtt", "crashes": "http"}


def _of(world: World, item: Item) -> tuple[Chance, LockActor]:
    dice = world.dice.of("item", item.number)
    return dice, dice.one(world.locks)


def weather(world: World, item: Item) -> None:
    """A spell of bad weather on one kind of link."""
    dice, _ = _of(world, item)
    favoured = FAVOURED.get(world.profile)
    link = favoured if favoured is not None and dice.happens(0.7) else dice.one(LINKS)
    mode = dice.one(tuple(one for one in MODES if link != "http" or one != "reorder"))
    spell = Spell(
        link, mode, dice.one((0.15, 0.4, 0.8)), world.agenda.ms + dice.between(8, 90) * SECOND, dice
    )
    world.say(f"weather: {link} {mode} {spell.share}")
    world.weather.begin(spell)


def cut_flash(world: World, item: Item) -> None:
    """The power goes at one of the next writes, with a share of its bytes."""
    dice, lock = _of(world, item)
    write, share = dice.below(7), dice.one((0.0, dice.share(), dice.share(), 1.0))
    world.say(f"{lock.name}: the power will go at write {write}, {share:.2f} of it")
    lock.cut_write(write, share)
    if dice.of("boot").happens(0.2):  # the plug is pulled now, and the cut comes while it boots
        lock.cut_write(write % 3, share)
        lock.power_off()


def cut_motor(world: World, item: Item) -> None:
    """The power goes as the motor turns: just before, or just after."""
    dice, lock = _of(world, item)
    turns = dice.happens(0.5)
    world.say(f"{lock.name}: the power will go {'after' if turns else 'before'} the motor")
    lock.cut_move = (dice.below(2), turns)


def crash(world: World, item: Item) -> None:
    """A role dies at one of its next effect boundaries."""
    dice, _ = _of(world, item)
    process = world.processes[dice.one(sorted(world.processes))]
    process.crash_in = dice.below(5)
    world.say(f"{process.name} will die at boundary {process.crash_in}")


def broker_restart(world: World, item: Item) -> None:
    """The broker restarts; every lock comes back at once, with jitter."""
    dice, _ = _of(world, item)
    world.say("the broker restarts")
    world.broker.restart(dice.between(200, 6_000))


def clock_drift(world: World, item: Item) -> None:
    """A chip runs fast or slow from now on."""
    dice, lock = _of(world, item)
    ppm = dice.one((-20_000, -3_000, -300, 300, 3_000, 20_000))
    world.weather.struck["clock.drift"] += 1
    world.say(f"{lock.name}: its chip runs at {ppm} ppm")
    lock.pass_time()
    world.book.of(lock).drifts(1.0 + ppm / 1e6)
    lock.clocks.timer_rate = 1.0 + dice.between(-TIMER_PPM, TIMER_PPM) / 1e6


def clock_lost(world: World, item: Item) -> None:
    """The chip's battery dies, and it says so."""
    _, lock = _of(world, item)
    world.weather.struck["clock.lost"] += 1
    world.say(f"{lock.name}: its clock is lost")
    lock.pass_time()
    lock.clocks.pull_battery()
    world.book.of(lock).befalls(0, lost=True)


def clock_back(world: World, item: Item) -> None:
    """Somebody sets the chip back, or forward."""
    dice, lock = _of(world, item)
    seconds = dice.one((-4 * 3600, -1200, -600, -100, 100, 600))
    world.weather.struck["clock.back"] += 1
    world.say(f"{lock.name}: its chip is set by {seconds} s")
    lock.pass_time()
    lock.clocks.shift(seconds)
    world.book.of(lock).befalls(abs(seconds))


def clock_reset(world: World, item: Item) -> None:
    """The chip starts again at 2000-01-01 and thinks nothing of it."""
    _, lock = _of(world, item)
    world.weather.struck["clock.reset"] += 1
    world.say(f"{lock.name}: its chip says 2000-01-01")
    lock.pass_time()
    lock.clocks.pull_battery(chip=0.0)
    world.book.of(lock).befalls(1e12, lost=True)


def offline(world: World, item: Item) -> None:
    """A phone has no network for a while."""
    _phone_away(world, item, (20 * SECOND, 3 * MINUTE, 2 * HOUR))


def asleep(world: World, item: Item) -> None:
    """A phone lies in a drawer for days."""
    world.weather.struck["phone.asleep"] += 1
    _phone_away(world, item, (2 * DAY, 5 * DAY, 14 * DAY))


def _phone_away(world: World, item: Item, lengths: tuple[int, ...]) -> None:
    dice, _ = _of(world, item)
    person = world.people[dice.one(list(world.people))]
    if person.phones:
        person.phone.offline_until = world.agenda.ms + dice.one(lengths)
        world.say(f"{person.phone.name} is away until {person.phone.offline_until}")


def no_network(world: World, item: Item) -> None:
    """A lock has no network for a while."""
    dice, lock = _of(world, item)
    if lock.online:
        world.weather.struck["lock.offline"] += 1
        world.say(f"{lock.name} is offline")
        lock.lose_network(dice.one((10 * SECOND, 2 * MINUTE, 10 * MINUTE, 9 * HOUR)))


def jam(world: World, item: Item) -> None:
    """Something blocks a bolt for a minute."""
    _, lock = _of(world, item)
    world.weather.struck["bolt.jam"] += 1
    lock.door.jammed = True
    lock.jammed_until = world.agenda.ms + MINUTE

    def free() -> None:
        lock.door.jammed = False

    world.agenda.after(MINUTE, f"{lock.name}: free again", free)


FAULTS: dict[str, Any] = {
    "weather": weather,
    "cut_flash": cut_flash,
    "cut_motor": cut_motor,
    "crash": crash,
    "broker_restart": broker_restart,
    "clock_drift": clock_drift,
    "clock_lost": clock_lost,
    "clock_back": clock_back,
    "clock_reset": clock_reset,
    "offline": offline,
    "asleep": asleep,
    "no_network": no_network,
    "jam": jam,
}
