"""Moving the bolt, so that a power cut at any moment moves it at most once and is told.

The order is: everything that must survive (counter, wish, epoch, the intent) in one flash record; the
motor; the journal entry and the end of the intent in one flash record; the answer. A lock that boots
with an intent does not know whether the bolt moved: it writes `torn`, says so, and moves nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from firmware_sim.core.events import MoveBolt
from lockserver.protocol.access import Operation
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.codec import decode, encode
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import How, What

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_sim.core.core import Core
    from firmware_sim.core.held import Record

#: Milliseconds for a movement; a sensor that says nothing by then leaves the bolt unknown.
MOVE_MS: Final = 5000
#: Acts waiting for the motor. A fifth phone at one door gets `try_later`.
QUEUE: Final = 4

INTENT: Final = "intent"

_TARGET: Final = {
    Operation.UNLOCK: BoltState.UNLOCKED,
    Operation.HOLD_OPEN: BoltState.UNLOCKED,
    Operation.LOCK: BoltState.LOCKED,
}
_WHAT: Final = {
    Operation.UNLOCK: What.UNLOCKED,
    Operation.HOLD_OPEN: What.HELD_OPEN,
    Operation.LOCK: What.LOCKED,
}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an act: the journal's number, and why not, if not."""

    journal_number: int | None
    denial: Denial | None = None
    torn: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """An authorised movement.

    `before` is put into flash with the intent, beside the lock's numbers as they stand by then: an act
    may have waited for the motor while they rose. `settle` gives what is put beside the journal entry;
    `answer` is called when all that is written. `command_id` is kept for a `torn` report.
    """

    operation: Operation
    how: How
    subject: bytes | int | None
    before: Record
    settle: Callable[[Done, int], Record]
    answer: Callable[[Done], None]
    command_id: bytes | None = None
    counter: int | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """What was under way when the power went."""

    operation: Operation
    how: How
    subject: bytes | int | None
    command_id: bytes | None
    counter: int | None


class Follower(Protocol):
    """Who must know what became of an act: the auto-lock."""

    def beside(self, act: Act, what: What) -> Record:
        """What goes into flash beside the act's journal entry."""

    def finished(self, act: Act, what: What) -> None:
        """The entry is written, and the answer given."""


class Acts:
    """The motor's queue of one lock."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._queue: deque[Act] = deque()
        self._moving: Act | None = None
        self._until: int | None = None
        self.follower: Follower | None = None

    @property
    def full(self) -> bool:
        """Whether another act would have to wait too long, or for ever: the lock is being let go."""
        return len(self._queue) >= QUEUE or self._core.retire_at is not None

    @property
    def idle(self) -> bool:
        """Whether nothing moves, and nothing waits to."""
        return self._moving is None and not self._queue

    @property
    def deadline(self) -> int | None:
        """When the motor is overdue (milliseconds since boot)."""
        return self._until

    def begin(self, act: Act) -> None:
        """Do it now, or after what is moving."""
        self._queue.append(act)
        self._next()

    def reported(self, state: BoltState) -> bool:
        """The sensor has spoken. Whether an act was under way, which is thereby over."""
        self._core.bolt = state
        act, self._moving, self._until = self._moving, None, None
        if act is not None:
            self._finish(act, state)
        self._next()
        return act is not None

    def tick(self) -> None:
        """Look at the timer."""
        if self._until is not None and self._core.at.mono >= self._until:
            self.reported(BoltState.UNKNOWN)

    def _next(self) -> None:
        if self._moving is not None or not self._queue:
            return
        act = self._queue.popleft()
        self._moving = act
        intent = [int(act.operation), int(act.how), act.subject, act.command_id, act.counter]
        held = self._core.held
        numbers = {} if held is None else held.record()
        self._core.flash.put(act.before | numbers | {INTENT: encode(intent)})
        self._move(_TARGET[act.operation])

    def _move(self, to: BoltState) -> None:
        self._core.bolt = BoltState.MOVING
        self._until = self._core.at.mono + MOVE_MS
        self._core.emit(MoveBolt(to))

    def _finish(self, act: Act, state: BoltState) -> None:
        core = self._core
        number = core.ring.head.number + 1
        if state is _TARGET[act.operation]:
            what, done = _WHAT[act.operation], Done(number)
        elif state is BoltState.UNKNOWN:
            what, done = What.TORN, Done(number, torn=True)
        else:
            what, done = What.JAMMED, Done(number, Denial.JAMMED)
            core.jams += 1
        if core.held is not None and core.now is not None:
            core.held.rtc.seen = core.now
        record = act.settle(done, number) | {INTENT: None}
        if core.held is not None:
            record |= core.held.record()
        if self.follower is not None:
            record |= self.follower.beside(act, what)
        core.journal(what, act.how, act.subject, beside=record)
        act.answer(done)
        if self.follower is not None:
            self.follower.finished(act, what)


def interrupted(core: Core) -> Intent | None:
    """What was under way when the power went, if anything."""
    raw = core.flash.get(INTENT)
    if raw is None:
        return None
    row = decode(raw)
    if not isinstance(row, list):
        message = "the intent in flash is broken"
        raise TypeError(message)
    operation, how, subject, command_id, counter = row
    return Intent(Operation(operation), How(how), subject, command_id, counter)
