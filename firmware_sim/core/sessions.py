"""Phones at the door: one attempt per connection, and nothing said to a stranger but `7F`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Final

from firmware_sim.core.acts import Act, Acts, Done
from firmware_sim.core.backoff import BackOff
from firmware_sim.core.documents import take_documents, take_key_set
from firmware_sim.core.events import RadioClose, RadioSend
from firmware_sim.core.server import PARCEL_ENTRIES
from lockserver.protocol.access import Denied, Granted, Operation, Verdict, decide
from lockserver.protocol.curve import private_key
from lockserver.protocol.enrolment import E1, E3
from lockserver.protocol.errors import Denial, RemoteError, air_code
from lockserver.protocol.handshake import M1, REFUSAL, Answer, Attempt, LockHandshake, LockInfo
from lockserver.protocol.journal import How, What
from lockserver.protocol.limits import CAPTURE_SECONDS, HANDSHAKE_SECONDS, MAX_PARCELS
from lockserver.protocol.parcels import Channel, Parcel, ParcelKind
from lockserver.protocol.reports import JournalBatch, Report

if TYPE_CHECKING:
    from firmware_sim.core.core import Core
    from firmware_sim.core.enrol import Enrolment
    from firmware_sim.core.held import Held
    from firmware_sim.core.server import Server

#: Milliseconds that a connection may take to say something; it holds one of few places.
FIRST_MS: Final = 10_000
#: Milliseconds that an enrolment may take from offer to document: the phone asks its server meanwhile.
ENROL_MS: Final = 60_000
#: Milliseconds without a parcel after M4 until we hang up.
IDLE_MS: Final = 30_000
#: Refusals held back at once; a further stranger is hung up on at once, so that places stay free.
HELD_BACK: Final = 2
#: Milliseconds without a parcel until we hang up on a gateway: longer than the pauses of its server.
CARRY_IDLE_MS: Final = 120_000
#: Gateways at one lock at once; a further one takes the place of the first. The other places are for phones.
CARRIERS: Final = 2
#: Parcels of journal on one connection: a third of the ring; the next phone carries on.
PARCELS: Final = 6


class _State(Enum):
    NEW = auto()
    HANDSHAKE = auto()
    DECIDING = auto()
    OPEN = auto()
    ENROLLING = auto()
    HELD_BACK = auto()


@dataclass(slots=True)
class _Session:
    connection: int
    until: int
    state: _State = _State.NEW
    handshake: LockHandshake | None = None
    channel: Channel | None = None
    subject: bytes | None = None
    parcels: int | None = None
    """Parcels of our reports already given to this phone to carry; None: it takes none."""
    carries: bool = False
    """A gateway: commands with acts come by it too."""
    packed: int = 0
    """Parcels sent on this connection, replies included."""
    opened: int = 0
    stays: int = 0
    """Until when it waits for a card to be read in (milliseconds since boot)."""
    told: int = 0
    """Journal number up to which it has them."""


class Sessions:
    """All phones at one door."""

    def __init__(self, core: Core, acts: Acts, server: Server, enrolment: Enrolment) -> None:
        self._core = core
        self._acts = acts
        self._server = server
        self._enrolment = enrolment
        self._back_off = BackOff(core.flash)
        self._sessions: dict[int, _Session] = {}

    @property
    def deadline(self) -> int | None:
        """Milliseconds since boot at which to look again."""
        times = [s.until for s in self._sessions.values()]
        if any(s.parcels is not None for s in self._sessions.values()):
            times.append(self._core.at.mono)
        return min(times, default=None)

    @property
    def taking(self) -> bool:
        """Whether some phone is still being given reports to carry."""
        return any(s.parcels is not None for s in self._sessions.values())

    def connected(self, connection: int) -> None:
        """A phone is there."""
        self._sessions[connection] = _Session(connection, self._core.at.mono + FIRST_MS)

    def gone(self, connection: int) -> None:
        """A phone has left; what it had authorised still happens."""
        self._forget(connection)

    def broken(self, connection: int) -> None:
        """A phone's bytes make no message."""
        session = self._sessions.get(connection)
        if session is not None:
            self._refuse(session, Denial.BAD_FORMAT)

    def message(self, connection: int, data: bytes) -> None:
        """A whole message from a phone."""
        session = self._sessions.get(connection)
        if session is None:
            return
        try:
            self._take(session, data)
        except RemoteError as error:
            self._refuse(session, error.code)

    def tick(self) -> None:
        """Look at the timers; give phones their next parcel."""
        now = self._core.at.mono
        for session in [s for s in self._sessions.values() if s.parcels is not None]:
            self._next_parcel(session)
        for session in [s for s in self._sessions.values() if now >= s.until]:
            if session.state is _State.HANDSHAKE:
                self._refuse(session, Denial.TIMED_OUT)
            elif session.state is _State.HELD_BACK:
                self._burn(session)
            else:
                self._close(session)

    # ---- by state

    def _take(self, session: _Session, data: bytes) -> None:
        first = data[0] if data else 0
        if session.state is _State.HELD_BACK:
            return  # whatever is said now, the refusal comes in its time
        if session.state is _State.NEW and first == M1:
            self._greet(session, data)
        elif session.state is _State.NEW and first == E1:
            self._send(session, self._enrolment.offer(data))
            session.state = _State.ENROLLING
            session.until = self._core.at.mono + ENROL_MS
        elif session.state in {_State.NEW, _State.ENROLLING} and first == E3:
            self._send(session, self._enrolment.accept(data))
            self._close(session)
            self._enrolment.announce()
        elif session.state is _State.HANDSHAKE:
            self._prove(session, data)
        elif session.state is _State.OPEN and session.channel is not None:
            self._parcel(session, session.channel, data)
        else:
            raise RemoteError(Denial.WRONG_STATE, session.state.name)

    def _greet(self, session: _Session, m1: bytes) -> None:
        core, held = self._core, self._core.held
        if held is None:
            raise RemoteError(Denial.WRONG_STATE, "not enrolled")
        info = LockInfo(
            lock_id=held.identity.lock_id,
            time=core.now,
            list_number=held.list_number,
            key_set_number=held.trust.key_set.number,
            time_nonce=core.nonces.current(core.at.mono),
        )
        handshake = LockHandshake(info, held.identity.signer, private_key(core.random))
        self._send(session, handshake.greet(m1))
        session.handshake = handshake
        session.state = _State.HANDSHAKE
        session.until = core.at.mono + HANDSHAKE_SECONDS * 1000

    def _prove(self, session: _Session, m3: bytes) -> None:
        core, held, handshake = self._core, self._core.held, session.handshake
        if held is None or handshake is None:
            raise RemoteError(Denial.WRONG_STATE, "no handshake")
        if core.at.mono >= session.until:
            raise RemoteError(Denial.TIMED_OUT, "M3 came late")
        try:
            attempt = handshake.receive(m3, held.trust)
        except RemoteError:
            # what the site root signed is news even from the hand of a stranger
            take_key_set(core, held, handshake.key_set, How.BLE)
            raise
        session.state = _State.DECIDING
        session.until = core.at.mono + IDLE_MS  # the motor's own timer is shorter
        claims = attempt.credential.claims
        session.subject = claims.cti
        if held.rtc.ratchet(core.at, claims.iat):
            core.flash.put(held.record())
        take_key_set(core, held, attempt.key_set, How.BLE)
        denials = take_documents(core, held, attempt.documents, How.BLE)
        # an older list is no offence; an order to let the door go that is refused is told
        grave = [denial for denial in denials if denial in {Denial.OCCUPIED, Denial.EXPIRED}]
        for denial in [*(denial for _, denial in attempt.refused), *grave]:
            core.deny(How.BLE, denial, claims.cti)
        if attempt.documents or attempt.key_set:
            self._server.publish(core.applied(None, tuple(d for _, d in attempt.refused)))
            self._server.clock_changed()
        self._decide(session, held, attempt)

    def _decide(self, session: _Session, held: Held, attempt: Attempt) -> None:
        core = self._core
        claims = attempt.credential.claims
        verdict: Verdict = decide(claims, attempt.operation, held.clock(core.at), core.door_view())
        moves = attempt.operation in {Operation.UNLOCK, Operation.HOLD_OPEN, Operation.LOCK}
        if isinstance(verdict, Granted) and moves and self._acts.full:
            verdict = Denied(Denial.BUSY)
        if isinstance(verdict, Denied):
            core.deny(How.BLE, verdict.denial, claims.cti)
            self._answer(session, verdict.denial)
            self._close(session)
            return
        if not moves:
            self._answer(session, None)
            if attempt.operation is Operation.CARRY:
                self._make_room()
                session.carries = True
            elif attempt.operation is Operation.CAPTURE:
                session.stays = core.at.mono + CAPTURE_SECONDS * 1000
                core.capture.begin(claims.cti, partial(self._report, session), core.at.mono)
            self._open_channel(session, everything=True)
            return
        if held.raise_for(claims, verdict):
            core.journal(What.EPOCH_RAISED, How.BLE, claims.cti, held.record())
        self._acts.begin(
            Act(
                operation=attempt.operation,
                how=How.BLE,
                subject=claims.cti,
                before=core.used.take(claims, held.rtc.floor) if verdict.uses_up else {},
                settle=lambda done, _number: core.used.settle(claims.cti, done.denial),
                answer=partial(self._moved, session),
            )
        )

    def _moved(self, session: _Session, done: Done) -> None:
        denial = Denial.TORN if done.torn else done.denial
        self._answer(session, denial)
        if denial is None:
            self._open_channel(session, everything=not self._core.broker_up)
        else:
            self._close(session)

    # ---- after M4

    def _open_channel(self, session: _Session, *, everything: bool) -> None:
        """Parcels from now on; with `everything`, the phone takes our reports along."""
        core = self._core
        if session.connection not in self._sessions or session.handshake is None:
            return
        session.channel = session.handshake.channel()
        session.state = _State.OPEN
        self._heard(session)
        # One a tick from now on: sealing takes longer than a bolt, and M4 does not wait for it.
        session.parcels = 0 if everything else None
        session.opened = core.at.mono

    def _next_parcel(self, session: _Session) -> None:
        """First where we stand, then the journal, a parcel at a time."""
        core = self._core
        if session.parcels is None or core.at.mono <= session.opened:
            return
        if session.carries:
            session.parcels = None
            self._server.carried(session.connection, partial(self._report, session))
            return
        if session.parcels == 0:
            self._report(session, core.hello())
        entries = core.ring.batch(session.told, PARCEL_ENTRIES) if session.parcels else ()
        if entries:
            self._report(session, JournalBatch(entries))
            session.told = entries[-1].number
        done = session.parcels >= PARCELS or (session.parcels and not entries)
        session.parcels = None if done else session.parcels + 1

    def _parcel(self, session: _Session, channel: Channel, data: bytes) -> None:
        parcel = channel.unpack(data)
        self._heard(session)
        if parcel.kind is ParcelKind.COMMAND:
            self._server.command(parcel.content, partial(self._report, session), acts=session.carries)

    def _heard(self, session: _Session) -> None:
        idle = CARRY_IDLE_MS if session.carries else IDLE_MS
        session.until = max(self._core.at.mono, session.stays) + idle

    def _make_room(self) -> None:
        """Gateways may not take all places: the one that came first gives way."""
        carriers = [s for s in self._sessions.values() if s.carries]
        if len(carriers) >= CARRIERS:
            self._close(carriers[0])

    def _report(self, session: _Session, report: Report) -> None:
        if session.channel is None or session.connection not in self._sessions:
            return
        parcel = Parcel(ParcelKind.REPORT, self._core.seal(report))
        self._send(session, session.channel.pack(parcel))
        session.packed += 1
        if session.packed >= MAX_PARCELS:
            self._close(session)  # its numbers are used up; it connects again

    def _answer(self, session: _Session, denial: Denial | None) -> None:
        core = self._core
        if session.connection in self._sessions and session.handshake is not None:
            answer = Answer(air_code(denial), core.bolt, core.now, core.ring.head)
            self._send(session, session.handshake.answer(answer))

    # ---- ends

    def _refuse(self, session: _Session, denial: Denial) -> None:
        """Journal why, say `7F` (or nothing, once more has been said), and hang up."""
        self._core.deny(How.BLE, denial, session.subject)
        if session.state is _State.OPEN:
            self._close(session)
            return
        delay = 0
        if session.state is _State.HANDSHAKE and denial is not Denial.TIMED_OUT:
            delay = self._back_off.failed(self._core.at.mono)
        waiting = sum(s.state is _State.HELD_BACK for s in self._sessions.values())
        if delay and waiting < HELD_BACK:
            session.state = _State.HELD_BACK
            session.until = self._core.at.mono + delay
        else:
            self._burn(session)

    def _burn(self, session: _Session) -> None:
        self._send(session, REFUSAL)
        self._close(session)

    def _send(self, session: _Session, data: bytes) -> None:
        self._core.emit(RadioSend(session.connection, data))

    def close_all(self) -> None:
        """Hang up on everybody, after what was said: the lock switches itself off."""
        for session in list(self._sessions.values()):
            self._close(session)

    def _close(self, session: _Session) -> None:
        self._forget(session.connection)
        self._core.emit(RadioClose(session.connection))

    def _forget(self, connection: int) -> None:
        session = self._sessions.pop(connection, None)
        if session is not None and session.carries:
            self._server.put_down(connection)
