"""What the laws remember: of each lock what it ever held and did, of each command where it stood."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any
from uuid import UUID

from firmware_sim.core.backoff import FORGET_MS, FREE, MOST_MS
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.journal import Entry, How, What
from tests.sim.laws.book import MOMENTS, Moment, at, judge_all
from tests.sim.laws.journals import MOVES
from tests.sim.oracle import Intent, Opening

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lockserver.app.read_lock import Known
    from lockserver.domain.command import Command
    from tests.sim.locks import LockActor
    from tests.sim.visits import Visit
    from tests.sim.world import World

    Row = Mapping[str, Any]


class LockWatch:
    """One lock, as an inspector who never sleeps remembers it."""

    def __init__(self, world: World, lock: LockActor) -> None:
        self.world = world
        self.lock = lock
        self.numbers: dict[str, int] = {}
        self.floor = 0
        self.spent = 0
        self.firmware = 0
        """The highest counter of an image that ever ran."""
        self.version = ""
        """The highest counter for which the bolt has moved."""
        self.epoch = 0
        self.lost = False
        """Its chip lost the time and nothing has set it since."""
        self.acted = 0.0
        self.injected = 0.0
        self.last_error = 0.0
        self.openings = 0
        self.accounted = 0
        self.written: dict[int, Entry] = {}
        self.pushed_out: list[Entry] = []
        self.evicted: set[int] = set()
        self.head = 0
        self.delivered_head = 0
        self.told_occupied = False
        self.said: deque[tuple[int, str]] = deque(maxlen=300)
        """What the lock took its bolt to be whenever it spoke: moment and state."""
        self.failures = 0
        self._failed_at = -FORGET_MS
        self._held: set[int] = set()
        self._offset: int | None = None
        self._base = 0.0
        self._since = world.agenda.ms
        self._chip_rate = 1.0

    # ---- time

    def believed(self) -> float | None:
        """What time the lock takes it to be: chip and offset, not below the floor. None: it has none."""
        held = None if self.lock.lock is None else self.lock.lock.held
        chip = self.lock.clocks.now().chip
        if held is None or chip is None or held.rtc.offset is None:
            return None
        return float(max(chip + held.rtc.offset, held.rtc.floor))

    def error(self) -> float:
        """By how much it is wrong now, seconds."""
        believed = self.believed()
        return 0.0 if believed is None else abs(believed - self.world.agenda.seconds)

    def offset_changed(self) -> bool:
        """Whether something has set the clock since the last look."""
        held = None if self.lock.lock is None else self.lock.lock.held
        return held is not None and held.rtc.offset != self._offset

    def set_now(self, error: float) -> None:
        """The clock was set: what befell it before counts no more."""
        assert self.lock.lock is not None
        assert self.lock.lock.held is not None
        self._offset = self.lock.lock.held.rtc.offset
        self._base = error
        self.acted = 0.0
        self.injected = 0.0
        self._since = self.world.agenda.ms
        self.lost = False

    def allowed(self) -> float:
        """How wrong it may be by what befell it since it was set."""
        elapsed = (self.world.agenda.ms - self._since) / 1000
        return self._base + self.injected + elapsed * abs(self.lock.clocks.chip_rate - 1.0)

    def befalls(self, seconds: float, *, lost: bool = False) -> None:
        """Somebody meddles with the chip."""
        self.injected += seconds
        self.lost = self.lost or lost

    def drifts(self, rate: float) -> None:
        """From now on the chip runs at another rate."""
        elapsed = (self.world.agenda.ms - self._since) / 1000
        self.injected += elapsed * abs(self.lock.clocks.chip_rate - 1.0)
        self._base, self.injected = self._base + self.injected, 0.0
        self._since = self.world.agenda.ms
        self.lock.clocks.chip_rate = rate

    def spoke(self) -> None:
        """The lock says something to somebody."""
        if self.lock.lock is not None:
            self.said.append((self.world.agenda.ms, self.lock.lock.bolt.name.lower()))

    # ---- guessing

    def stranger_failed(self, now: int) -> None:
        """Somebody without a credential failed a handshake, at that moment."""
        if now - self._failed_at > FORGET_MS:
            self.failures = 0
        self._failed_at = now
        self.failures += 1

    def rebooted(self) -> None:
        """Of what was counted, what had been written down is left: powers of two."""
        if self.failures:
            self.failures = 1 << (self.failures.bit_length() - 1)
        self._failed_at = self.world.agenda.ms

    def price(self, visit: Visit) -> int:
        """Milliseconds that this refusal must at least have taken."""
        over = visit.failure - FREE
        if over <= 0 or visit.hurried:
            return 0
        return min(1000 << min(over - 1, 6), MOST_MS)

    def crowded(self, visit: Visit) -> bool:
        """Whether somebody else was at the motor, or many at the door, during this visit."""
        return self.world.others_at(visit) or self.moving()

    def moving(self) -> bool:
        """Whether the motor is under way by the lock's own word."""
        return self.lock.lock is not None and self.lock.lock.bolt is BoltState.MOVING

    def occupied_by_its_own_word(self) -> bool:
        """What the lock has been told last; to refuse an owner by it is its right."""
        held = None if self.lock.lock is None else self.lock.lock.held
        return held is not None and held.occupied

    # ---- the journal

    def look(self) -> None:
        """Read what was written since the last look, and what left the ring."""
        lock = self.lock.lock
        if lock is None:
            return
        held = lock.journal.held
        numbers = {entry.number for entry in held}
        for entry in held:
            if entry.number not in self.written:
                self.written[entry.number] = entry
                self.head = max(self.head, entry.number)
                self.accounted += entry.what in MOVES and entry.how is not How.SELF
        for number in sorted(self._held - numbers):
            if number > self.delivered_head:
                self.pushed_out.append(self.written[number])
                self.evicted.add(number)
        self._held = numbers

    def others_held(self) -> int:
        """How many entries that are no denials lie in the ring."""
        return sum(self.written[number].what is not What.DENIED for number in self._held)


class Book:
    """The laws' memory of one world, and the places at which they are asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._watches: dict[str, LockWatch] = {}
        self._states: dict[UUID, str] = {}
        self._over: set[UUID] = set()
        self._lines = 0
        self._steps: list[tuple[str | None, str, Row]] = []
        self._fresh_lines: list[Row] = []
        self.asked: Counter[str] = Counter()
        self._laws = {moment: at(moment) for moment in MOMENTS}
        self.quiet = True
        self.edited = 0
        """Edits of what guests were given of which somebody was told that they hold."""

    def of(self, lock: LockActor) -> LockWatch:
        """What is remembered of a lock."""
        if lock.name not in self._watches:
            self._watches[lock.name] = LockWatch(self.world, lock)
        return self._watches[lock.name]

    def _judge(self, moment: Moment, *facts: Any) -> None:
        self.asked[moment] += 1
        judge_all(self._laws[moment], self.world, *facts)

    # ---- locks

    def enrolled(self, lock: LockActor) -> None:
        """A lock has been claimed: from here on it is watched."""
        watch = self.of(lock)
        watch.set_now(watch.error())
        self.touched(lock)

    def booted(self, lock: LockActor) -> None:
        """A lock has started."""
        watch = self.of(lock)
        watch.rebooted()
        watch.look()
        self._judge("boot", lock)

    def touched(self, lock: LockActor) -> None:
        """A lock has done something."""
        if lock.id is None:
            return
        watch = self.of(lock)
        watch.look()
        held = None if lock.lock is None else lock.lock.held
        if held is not None and held.state is not None:
            watch.told_occupied = held.state.occupied
        if held is not None and held.revocation is not None:
            names = {cti for cti, _ in held.revocation.entries}
            self.world.oracle.took(lock.name, held.revocation.number, names)
        self._judge("lock", lock)

    def moved(self, lock: LockActor, to: BoltState) -> None:
        """A bolt was really driven."""
        if to is not BoltState.UNLOCKED:
            return
        world, watch = self.world, self.of(lock)
        self.touched(lock)
        watch.openings += 1
        opening = self._explain(lock)
        world.oracle.openings.append(opening)
        key = opening.key
        world.say(f"{lock.name} OPENS for {'?' if key is None else key.person} ({opening.how})")
        held = None if lock.lock is None else lock.lock.held
        if opening.how == "remote" and held is not None:
            watch.spent = max(watch.spent, held.counter)
        self._judge("opening", opening)
        if key is not None and key.resident and key.claims.epoch is not None:
            world.oracle.turned[lock.name] = watch.epoch = max(watch.epoch, key.claims.epoch)

    def _explain(self, lock: LockActor) -> Opening:
        """Which key, which command and which intent stand behind a movement."""
        world = self.world
        assert lock.lock is not None
        act = lock.lock._acts._moving
        how = (
            "?" if act is None else {How.BLE: "ble", How.REMOTE: "remote"}.get(act.how, act.how.name.lower())
        )
        cti = act.subject if act is not None and isinstance(act.subject, bytes) else None
        key = None if cti is None else world.oracle.keys.get(cti)
        intent = self._intent(lock, how, cti)
        command_id = None if act is None else act.command_id
        return Opening(lock, world.agenda.seconds, how, cti, command_id, lock.cause, intent, key)

    def _intent(self, lock: LockActor, how: str, cti: bytes | None) -> Intent | None:
        """The unused intent that fits; else, for a remote one, one that was used already."""
        world = self.world
        key = None if cti is None else world.oracle.keys.get(cti)
        if key is None:
            return None
        fitting = [
            one
            for one in world.oracle.intents
            if one.kind == how and one.lock == lock.name and one.phone == key.phone
        ]
        if how == "ble":
            fitting = [one for one in fitting if one.cti == cti]
            anybody = [
                o for o in world.oracle.intents if o.kind == how and o.lock == lock.name and o.cti == cti
            ]
            fitting = [one for one in (fitting or anybody) if not one.used]
        now = world.agenda.seconds
        fresh = [one for one in fitting if not one.used]
        living = [one for one in fresh if how == "ble" or one.not_after >= now]
        chosen = next(iter(living or fresh or fitting[-1:]), None)
        if chosen is not None:
            chosen.used += 1
        return chosen

    # ---- phones and people

    def visited(self, visit: Visit) -> None:
        """A phone leaves a door."""
        self._judge("visit", visit)

    def shown(self, command: Command) -> None:
        """Somebody is told what became of his command."""
        self._judge("shown", command)

    def known(self, lock: LockActor, known: Known) -> None:
        """Somebody is shown how a lock stands."""
        self._judge("known", lock, known)

    # ---- the server

    def committed(self) -> None:
        """A role has written something."""
        store = self.world.store
        self._steps, self._fresh_lines = [], []
        for row in store.tables["commands"].rows.values():
            before = self._states.get(row["id"])
            if before != row["state"]:
                self._steps.append((before, row["state"], row))
                self._states[row["id"]] = row["state"]
        lines = list(store.tables["journal"].rows.values())
        self._fresh_lines, self._lines = lines[self._lines :], len(lines)
        for row in self._fresh_lines:
            watch = self.of(self.world.by_id[row["lock_id"]])
            watch.delivered_head = max(watch.delivered_head, row["number"])
        for row in store.tables["tenancies"].rows.values():
            if (
                row["state"] == "ended"
                and row["end_reason"] == "early_tenant"
                and row["id"] not in self._over
            ):
                self._over.add(row["id"])
                self.world.over(row["id"])
        self._judge("commit")

    def steps(self) -> list[tuple[str | None, str]]:
        """Steps of commands since the last commit: from, to."""
        return [(before, after) for before, after, _ in self._steps]

    def newly(self, state: str) -> list[Row]:
        """Commands that have just come to this state."""
        return [row for _, after, row in self._steps if after == state]

    def new_lines(self) -> list[Row]:
        """Journal entries that have just been kept."""
        return self._fresh_lines

    def ended(self) -> None:
        """The world has healed."""
        self._judge("end")
