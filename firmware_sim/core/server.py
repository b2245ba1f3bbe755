"""The lock and its server: commands in, reports out, through a broker or a phone that may be hostile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from firmware_sim.core.acts import Act, Acts, Done, Intent
from firmware_sim.core.documents import take_documents, take_key_set
from firmware_sim.core.events import Publish
from firmware_sim.core.results import Results
from firmware_sim.core.rtc import ATTEST_AGAIN
from firmware_sim.core.wishes import Wishes
from lockserver.protocol.access import Denied, Operation, decide
from lockserver.protocol.bolt import BoltState
from lockserver.protocol.carried import check_documents
from lockserver.protocol.commands import (
    ACTS,
    BOUND,
    ActBody,
    CaptureBody,
    Command,
    CommandKind,
    DocumentsBody,
    FirmwareBody,
    JournalAckBody,
)
from lockserver.protocol.credential import Credential, read_credential
from lockserver.protocol.envelope import open_command
from lockserver.protocol.errors import Denial, RemoteError
from lockserver.protocol.journal import How, What, entry_hash
from lockserver.protocol.limits import COMMAND_LIFE, COUNTER_JUMP, MAX_BATCH, TIME_ROUND_TRIP
from lockserver.protocol.reports import JournalBatch, Outcome, Report, Result, TimeRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_sim.core.core import Core
    from firmware_sim.core.firmware import Firmware
    from firmware_sim.core.held import Held, Record

    Reply = Callable[[Report], None]

#: Commands that may wait for the clock to be attested.
WAITING: Final = 4
#: Journal reports sent and not yet acknowledged.
REPORTS: Final = 4
#: Milliseconds without an acknowledgement until entries are sent again; doubles up to the second.
RESEND_MS: Final = (5_000, 60_000)
#: Milliseconds between questions for the time when nobody waits for it.
ASK_MS: Final = 10_000
#: Journal entries in one parcel (4 KiB, less envelope and seal).
PARCEL_ENTRIES: Final = 36
#: Milliseconds between hellos that nobody asked for: a rattling door is no flood.
HELLO_MS: Final = 5_000


@dataclass(slots=True)
class _Waiting:
    command: Command
    reply: Reply
    until: int


class Server:
    """One lock's side of the conversation with its server."""

    def __init__(self, core: Core, acts: Acts, firmware: Firmware) -> None:
        self._core = core
        self._acts = acts
        self._firmware = firmware
        self._results = Results(core.flash)
        self._wishes = Wishes(core.flash)
        self._waiting: list[_Waiting] = []
        self._moving: set[bytes] = set()
        self._sent = 0
        self._resend_at: int | None = None
        self._resend_ms = RESEND_MS[0]
        self._ask_at = 0
        self._hello_at = 0
        self._carriers: dict[int, Reply] = {}

    # ---- the connection

    def up(self) -> None:
        """The broker is there: say where we stand, and what was not yet heard."""
        core = self._core
        core.broker_up = core.held is not None
        if core.held is not None:
            self._position(core.held, self.publish)
            self._journal_anew(core.held)

    def down(self) -> None:
        """The broker is gone. Nothing is lost: the journal waits, or goes by a gateway."""
        self._core.broker_up = False
        self._change_carrier()

    def carried(self, connection: int, say: Reply) -> None:
        """A gateway carries for us from now on: all that would go to the broker, where there is none."""
        held = self._core.held
        if held is None:
            return
        self._carriers[connection] = say
        self._position(held, say)
        if not self._core.broker_up:
            self._journal_anew(held)

    def put_down(self, connection: int) -> None:
        """A gateway carries no more."""
        if self._carriers.pop(connection, None) is not None and not self._core.broker_up:
            self._change_carrier()

    def _change_carrier(self) -> None:
        """What was on its way may be lost with who had it: it goes by who is left, or waits."""
        self._resend_at = None
        if self.linked and self._core.held is not None:
            self._journal_anew(self._core.held)

    @property
    def linked(self) -> bool:
        """Whether broker or gateway hears us."""
        return self._core.broker_up or bool(self._carriers)

    def _position(self, held: Held, say: Reply) -> None:
        say(self._core.hello())
        for result in self._results.since(held.acknowledged):
            say(result)
        unheard, self._core.capture.unheard = self._core.capture.unheard, None
        if unheard is not None:
            say(unheard)

    def _journal_anew(self, held: Held) -> None:
        """What was on its way may be lost: all that is not acknowledged goes again."""
        self._sent = held.acknowledged
        self._ask_at = self._core.at.mono
        self.pump()

    def publish(self, report: Report) -> None:
        """Report over the broker, or by the gateway that came last; else nobody hears it now."""
        if self._core.broker_up:
            self._core.emit(Publish(self._core.seal(report)))
        elif self._carriers:
            self._carriers[next(reversed(self._carriers))](report)

    @property
    def deadline(self) -> int | None:
        """Milliseconds since boot at which to look again."""
        times = [w.until for w in self._waiting]
        if self.linked:
            times.append(self._ask_at)
            if self._resend_at is not None:
                times.append(self._resend_at)
            if self._core.hello_due:
                times.append(self._hello_at)
        return min(times) if times else None

    def tick(self) -> None:
        """Look at the timers."""
        now = self._core.at.mono
        overdue = [w for w in self._waiting if now >= w.until]
        self._waiting = [w for w in self._waiting if now < w.until]
        for waiting in overdue:
            self._refuse(waiting.command, Denial.NOT_ATTESTED, None, waiting.reply)
        if self._resend_at is not None and now >= self._resend_at and self._core.held is not None:
            self._sent = self._core.held.acknowledged
            self._resend_ms = min(2 * self._resend_ms, RESEND_MS[1])
            self._resend_at = None

    def pump(self) -> None:
        """Send what is new in the journal, and ask for the time when ours grows old."""
        core = self._core
        if not self.linked or core.held is None:
            return
        if core.hello_due and core.at.mono >= self._hello_at:
            core.hello_due = False
            self._hello_at = core.at.mono + HELLO_MS
            self.publish(core.hello())
        if core.at.mono >= self._ask_at:
            age = core.rtc.age(core.at)
            if core.rtc.bound(core.at) is None or age is None or age > ATTEST_AGAIN:
                self.publish(TimeRequest(core.nonces.fresh(core.at.mono)))
            self._ask_at = core.at.mono + ASK_MS
        most = MAX_BATCH if core.broker_up else PARCEL_ENTRIES
        while self._sent < core.ring.head.number and self._sent - core.held.acknowledged < REPORTS * most:
            entries = core.ring.batch(self._sent, most)
            if not entries:
                break
            self.publish(JournalBatch(entries))
            self._sent = entries[-1].number
            if self._resend_at is None:
                self._resend_at = core.at.mono + self._resend_ms

    # ---- commands

    def message(self, data: bytes, *, retained: bool) -> None:
        """Something came on our topic. What the broker kept from before is never obeyed."""
        if self._core.held is None:
            return
        if retained:
            self._core.deny(How.REMOTE, Denial.WRONG_STATE)
            return
        self.command(data, self.publish, acts=True)

    def command(self, data: bytes, reply: Reply, *, acts: bool) -> None:
        """Open and obey a sealed command; `acts`: whether it may move the bolt by this way."""
        core, held = self._core, self._core.held
        if held is None:
            return
        try:
            command = open_command(
                data, held.identity.lock_id, held.identity.ecdh, held.trust.key_set.commanders
            )
        except RemoteError as error:
            core.deny(How.REMOTE, error.code)
            return
        if command.kind in BOUND and not acts:
            core.deny(How.REMOTE, Denial.UNSUPPORTED)
        elif command.kind in BOUND:
            self._act(held, command, reply)
        elif isinstance(command.body, DocumentsBody):
            self._documents(held, command, command.body, reply)
        elif isinstance(command.body, JournalAckBody):
            self._acknowledged(held, command.body)
        elif isinstance(command.body, FirmwareBody):
            self._firmware.take(command.body, reply)
        elif command.kind is CommandKind.SAY_HELLO:
            reply(core.hello())
        elif command.kind is CommandKind.INVENTORY:
            reply(core.inventory())

    def _documents(self, held: Held, command: Command, body: DocumentsBody, reply: Reply) -> None:
        core = self._core
        checked = check_documents(body.documents, held.trust, held.identity.lock_id)
        take_key_set(core, held, checked.key_set, How.REMOTE)
        denials = take_documents(core, held, checked.accepted, How.REMOTE)
        refused = (*(denial for _, denial in checked.refused), *denials)
        for denial in refused:
            core.deny(How.REMOTE, denial)
        reply(core.applied(command.command_id, refused))
        self.clock_changed()

    def _acknowledged(self, held: Held, body: JournalAckBody) -> None:
        core = self._core
        entry = next((e for e in core.ring.held if e.number == body.upto), None)
        if entry is None or entry_hash(entry) != body.head_hash:
            return  # another history, or old news: nothing is freed for it
        held.acknowledged = body.upto
        core.ring.acknowledge(body.upto)
        core.flash.put(held.record())
        self._sent = max(self._sent, body.upto)
        self._resend_ms = RESEND_MS[0]
        self._resend_at = core.at.mono + self._resend_ms if self._sent > body.upto else None

    # ---- acts

    def clock_changed(self) -> None:
        """The clock may be attested now: judge what waited for it."""
        if self._core.rtc.bound(self._core.at) is None or self._core.held is None:
            return
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            self._judge(self._core.held, item.command, item.reply)

    def interrupted(self, intent: Intent, number: int) -> dict[str, bytes | None]:
        """What to put beside the `torn` entry `number` for a command that was under way."""
        if intent.command_id is None:
            return {}
        result = Result(
            command_id=intent.command_id,
            outcome=Outcome.TORN,
            bolt=BoltState.UNKNOWN,
            counter=intent.counter,
            time=self._core.now,
            journal_number=number,
        )
        return self._results.record(result)

    def _act(self, held: Held, command: Command, reply: Reply) -> None:
        core = self._core
        known = self._results.find(command.command_id)
        if known is not None:
            reply(known)
            return
        if command.command_id in self._moving or any(
            w.command.command_id == command.command_id for w in self._waiting
        ):
            return  # the same command again, while it is under way
        counter = command.counter or 0
        if counter <= held.counter:
            core.deny(How.REMOTE, Denial.COUNTER)
            if self._results.never_seen(counter, held.counter):
                reply(self._refusal(command, Denial.COUNTER))
            return
        if counter > held.counter + COUNTER_JUMP:
            # Refused for good like any other, but without its number: that would use up all those below.
            core.deny(How.REMOTE, Denial.COUNTER)
            result = self._refusal(command, Denial.COUNTER)
            core.flash.put(self._results.record(result))
            reply(result)
        elif core.rtc.bound(core.at) is not None:
            self._judge(held, command, reply)
        elif len(self._waiting) >= WAITING:
            self._refuse(command, Denial.BACK_OFF, None, reply)
        else:
            self._waiting.append(_Waiting(command, reply, core.at.mono + TIME_ROUND_TRIP * 1000))
            reply(TimeRequest(core.nonces.fresh(core.at.mono)))

    def _judge(self, held: Held, command: Command, reply: Reply) -> None:
        credential: Credential | None = None
        body = command.body
        try:
            if not isinstance(body, ActBody | CaptureBody) or (command.counter or 0) <= held.counter:
                raise RemoteError(Denial.COUNTER, "used while this one waited")  # noqa: TRY301
            latest = self._deadline_kept(held, command)
            credential = read_credential(body.credential, held.trust.key_set.issuers)
            held.rtc.ratchet(self._core.at, credential.claims.iat)
            operation = ACTS.get(command.kind, Operation.CAPTURE)
            wish = self._wishes.read(body.wish, credential, operation, held.identity.lock_id, latest)
            verdict = decide(credential.claims, operation, held.clock(self._core.at), self._core.door_view())
            if isinstance(verdict, Denied):
                raise RemoteError(verdict.denial, "decided")  # noqa: TRY301
            if self._acts.full and operation is not Operation.CAPTURE:
                raise RemoteError(Denial.BUSY, "the motor's queue is full")  # noqa: TRY301
        except RemoteError as error:
            subject = None if credential is None else credential.claims.cti
            self._refuse(command, error.code, subject, reply)
            return
        held.counter = command.counter or 0
        claims = credential.claims
        before = self._wishes.record(wish, latest)
        if operation is Operation.CAPTURE:
            self._capture(held, command, claims.cti, before, reply)
            return
        if held.raise_for(claims, verdict):
            self._core.journal(What.EPOCH_RAISED, How.REMOTE, claims.cti, held.record() | before)
        if verdict.uses_up:
            before |= self._core.used.take(claims, held.rtc.floor)
        self._moving.add(command.command_id)
        self._acts.begin(
            Act(
                operation=operation,
                how=How.REMOTE,
                subject=claims.cti,
                before=before,
                settle=partial(self._settle, command, claims.cti),
                answer=partial(self._answer, command, reply),
                command_id=command.command_id,
                counter=command.counter,
            )
        )

    def _deadline_kept(self, held: Held, command: Command) -> float:
        """The latest that it can be now, in Unix seconds, if that is before the command's deadline."""
        now, bound = held.rtc.now(self._core.at), held.rtc.bound(self._core.at)
        if now is None or bound is None or command.not_after is None:
            raise RemoteError(Denial.NOT_ATTESTED, "no attested time")
        latest = now + bound + 1  # whole seconds: the truth may be almost one later
        if latest > command.not_after:
            raise RemoteError(Denial.STALE_COMMAND, f"{command.not_after} is past")
        if command.not_after > now + COMMAND_LIFE + bound + 1:
            raise RemoteError(Denial.NOT_YET, "a deadline further ahead than any command may have")
        return latest

    def _capture(self, held: Held, command: Command, cti: bytes, before: Record, reply: Reply) -> None:
        """Wait for a card or finger; that the lock waits is the command's whole result."""
        core = self._core
        done = Result(
            command_id=command.command_id,
            outcome=Outcome.DONE,
            bolt=core.bolt,
            counter=command.counter,
            time=core.now,
        )
        core.flash.put(held.record() | before | self._results.record(done))
        core.capture.begin(cti, None, core.at.mono)
        reply(done)

    def _settle(self, command: Command, cti: bytes, done: Done, number: int) -> Record:
        outcome = Outcome.DONE if done.denial is None else Outcome.REFUSED
        result = Result(
            command_id=command.command_id,
            outcome=Outcome.TORN if done.torn else outcome,
            bolt=self._core.bolt,
            counter=command.counter,
            denial=done.denial,
            time=self._core.now,
            journal_number=number,
        )
        return self._results.record(result) | self._core.used.settle(cti, done.denial)

    def _answer(self, command: Command, reply: Reply, _done: Done) -> None:
        self._moving.discard(command.command_id)
        result = self._results.find(command.command_id)
        if result is not None:
            reply(result)

    def _refusal(self, command: Command, denial: Denial, number: int | None = None) -> Result:
        return Result(
            command_id=command.command_id,
            outcome=Outcome.REFUSED,
            bolt=self._core.bolt,
            counter=command.counter,
            denial=denial,
            time=self._core.now,
            journal_number=number,
        )

    def _refuse(self, command: Command, denial: Denial, subject: bytes | None, reply: Reply) -> None:
        """Say no for good: the counter is used up, so that no later copy is obeyed after a refusal."""
        core, held = self._core, self._core.held
        if held is None:
            return
        held.counter = max(held.counter, command.counter or 0)
        entry = core.deny(How.REMOTE, denial, subject)
        result = self._refusal(command, denial, None if entry is None else entry.number)
        core.flash.put(held.record() | self._results.record(result))
        reply(result)
