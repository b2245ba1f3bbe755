"""A server role that can die anywhere: coroutines over ports, driven by hand, and no event loop.

A role's memory dies with it (`Process.die`); what it had committed stays in the store, what it had not is
undone by its own transactions. At every effect boundary (`MemoryStore.boundary`) it may be made to die, or to
give way to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.sim.memory.pausing import CrashError, DeadlockError, Pause, Wait

if TYPE_CHECKING:
    from tests.sim.agenda import Agenda
    from tests.sim.chance import Chance

Done = Callable[[Any], None]


@dataclass(eq=False, slots=True)
class Task:
    """One coroutine of one process; `done` is given what it returned, or the exception that ended it."""

    process: Process
    name: str
    coroutine: Coroutine[Any, Any, Any]
    done: Done | None
    alive: bool = True
    waits: Wait | None = None


class Process:
    """One role. `on_boot` builds its memory anew and starts what it does by itself."""

    def __init__(self, name: str, machine: Machine) -> None:
        self.name = name
        self.machine = machine
        self.tasks: list[Task] = []
        self.up = False
        self.boots = 0
        self.crash_in: int | None = None
        """Effect boundaries until it dies; None: it was not told to."""
        self.on_boot: Callable[[], None] = lambda: None
        self.on_death: Callable[[], None] = lambda: None

    def boot(self) -> None:
        """Start, with an empty memory."""
        if not self.up:
            self.up = True
            self.boots += 1
            self.on_boot()

    def die(self) -> None:
        """All that it was doing ends here, half done."""
        self.up = False
        self.crash_in = None
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.alive = False
            self.machine.forget(task)
            task.coroutine.close()
        self.on_death()

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any], done: Done | None = None) -> None:
        """Begin something; a process that is down does not."""
        if not self.up:
            coroutine.close()
            return
        task = Task(self, name, coroutine, done)
        self.tasks.append(task)
        self.machine.resume_later(task)


class Machine:
    """Drives every task of every process, one stretch between two boundaries at a time."""

    def __init__(self, agenda: Agenda, dice: Chance) -> None:
        self.agenda = agenda
        self.dice = dice
        self.running: Task | None = None
        self.waiting: list[Task] = []
        self.faults: list[tuple[str, BaseException]] = []
        """Exceptions that no use case should let out: neither a refusal nor a crash of ours."""
        self.struck: Callable[[str], None] = lambda _kind: None
        self.crashed: Callable[[Process], None] = lambda _process: None

    async def boundary(self, name: str) -> None:
        """Stand before an effect, or after it: somebody else may go first, or this process die."""
        task = self.running
        if task is None:
            return  # set-up, outside every process
        self.effect(name)
        if self.dice.happens(0.25):
            await Pause()

    def effect(self, name: str) -> None:
        """Stand before, or after, an effect that takes no time: this process may die there."""
        task = self.running
        if task is None or task.process.crash_in is None:
            return
        task.process.crash_in -= 1
        if task.process.crash_in < 0:
            self.struck(f"crash.{task.process.name}.{name}")
            raise CrashError(name)

    def resume_later(self, task: Task, ms: int | None = None) -> None:
        """Go on with a task in a moment."""
        delay = self.dice.between(0, 3) if ms is None else ms
        self.agenda.after(delay, f"{task.process.name}: {task.name}", lambda: self.resume(task))

    def forget(self, task: Task) -> None:
        """It waits for nothing any more."""
        if task in self.waiting:
            self.waiting.remove(task)

    def resume(self, task: Task) -> None:
        """Run a task up to where it gives way, ends or dies."""
        if not task.alive:
            return
        self.running = task
        try:
            given = task.coroutine.send(None)
        except StopIteration as end:
            self._ended(task, end.value)
        except CrashError:
            task.process.die()
            self.crashed(task.process)
        except DeadlockError as fault:
            self.faults.append((task.name, fault))
            self._ended(task, fault)
        except Exception as fault:  # noqa: BLE001 - whoever started the task judges it
            self._ended(task, fault)
        else:
            self._gave_way(task, given)
        finally:
            self.running = None

    def look(self) -> None:
        """Wake every task whose wait is over. Cheap: called after each step."""
        for task in [one for one in self.waiting if one.waits is None or one.waits.ready()]:
            self.waiting.remove(task)
            task.waits = None
            self.resume_later(task)

    def _gave_way(self, task: Task, given: object) -> None:
        if not isinstance(given, Pause):
            raise TypeError(f"{given!r} needs an event loop")
        if isinstance(given, Wait) and not given.ready():
            task.waits = given
            self.waiting.append(task)
            if given.until is not None:
                left = (given.until - self.agenda.now()).total_seconds()
                self.agenda.after(max(int(left * 1000) + 1, 1), f"{task.name}: waited", self.look)
            return
        self.resume_later(task)

    def _ended(self, task: Task, value: object) -> None:
        task.alive = False
        if task in task.process.tasks:
            task.process.tasks.remove(task)
        if task.done is not None:
            task.done(value)
        elif isinstance(value, BaseException):
            self.faults.append((f"{task.process.name}: {task.name}", value))
