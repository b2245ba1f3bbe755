"""One gateway: events in, effects out. It knows its own key, and of each lock a credential and the key to pin.

    errand ─► session with that lock? ──open──► parcel, "handed over"
                 │no                    └─opening─► waits in its queue
                 ├─not heard ─► "not heard"      ├─no place free, none idle ─► "busy"
                 └─connect, M1–M4 (operation CARRY) ─► queue goes out ─► reports come back ─► silence, hang up

What it carries it can neither read nor forge; what it says of itself is only which locks it reaches.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from firmware_sim.gateway.events import (
    BeaconHeard,
    BrokerDown,
    BrokerUp,
    Connect,
    Effect,
    Event,
    FrameDown,
    FrameUp,
    HangUp,
    LockConnected,
    LockGone,
    LockSaid,
    Say,
    Tick,
)
from lockserver.protocol.access import Operation
from lockserver.protocol.credential import read_credential
from lockserver.protocol.curve import private_key
from lockserver.protocol.documents import read_door, read_key_set
from lockserver.protocol.errors import AirCode, LocalError, RemoteError
from lockserver.protocol.gateway import (
    AskGatewayHello,
    CarriedReport,
    CarryCommand,
    CarryFault,
    CarryMaterial,
    GatewayHello,
    Handed,
    Heard,
    Sight,
    decode_down,
    encode_up,
)
from lockserver.protocol.handshake import PhoneHandshake
from lockserver.protocol.limits import MAX_CARRIED, MAX_HEARD
from lockserver.protocol.parcels import Parcel, ParcelKind

if TYPE_CHECKING:
    from firmware_sim.gateway.identity import GatewayIdentity
    from lockserver.protocol.curve import Random
    from lockserver.protocol.gateway import GatewayUp
    from lockserver.protocol.parcels import Channel

#: Locks that one radio talks to at once: what small BLE chips manage beside scanning.
PLACES: Final = 2
#: Errands waiting for one session to open.
QUEUE: Final = 16
#: Milliseconds from the errand to M4; a lock that is slower is not there.
OPEN_MS: Final = 8_000
#: Milliseconds without a word either way until we hang up.
LINGER_MS: Final = 20_000
#: Milliseconds without a word after which a session may give its place to another lock's errand.
IDLE_MS: Final = 6_000
#: Milliseconds between two words about what we hear, and for how long a beacon counts.
HEAR_MS: Final = 2_000
HEARD_MS: Final = 10_000


class _State(Enum):
    CONNECTING = auto()
    GREETED = auto()
    PROVED = auto()
    OPEN = auto()


@dataclass(slots=True)
class _Session:
    connection: int
    lock_id: bytes
    handshake: PhoneHandshake
    until: int
    used: int
    state: _State = _State.CONNECTING
    channel: Channel | None = None
    queue: deque[tuple[bytes, bytes]] = field(default_factory=deque)


class Gateway:
    """A gateway with power. What it was given to carry with, it forgets with the power."""

    def __init__(self, identity: GatewayIdentity, random: Random, boot: int, *, places: int = PLACES) -> None:
        self._identity = identity
        self._issuers = read_key_set(identity.key_set, identity.site_root).issuers
        self._random = random
        self._boot = boot
        self._places = places
        self._material: dict[bytes, tuple[bytes, bytes]] = {}
        self._heard: dict[bytes, tuple[int, int]] = {}
        self._sessions: dict[int, _Session] = {}
        self._last = 0
        self._up = False
        self._told_free: int | None = None
        self._hear_at = 0
        self._at = 0
        self._effects: list[Effect] = []

    def step(self, event: Event, at: int) -> list[Effect]:
        """What the gateway does about `event` at `at` (milliseconds since boot)."""
        self._at = at
        self._dispatch(event)
        self._timers()
        self._tell_free()
        effects, self._effects = self._effects, []
        return effects

    def deadline(self) -> int | None:
        """Milliseconds since boot by which to send a `Tick`, or None."""
        times = [session.until for session in self._sessions.values()]
        if self._up:
            times.append(self._hear_at)
        return min(times, default=None)

    @property
    def free(self) -> int:
        """Connections to spare: places that are empty or idle."""
        taken = sum(not self._idle(session) for session in self._sessions.values())
        return max(self._places - taken, 0)

    @property
    def carries_to(self) -> frozenset[bytes]:
        """Ids of the locks that it may carry to."""
        return frozenset(self._material)

    def _dispatch(self, event: Event) -> None:
        match event:
            case BrokerUp():
                self._up, self._told_free, self._hear_at = True, None, self._at
            case BrokerDown():
                self._up = False
            case FrameDown(data, retained):
                self._frame(data, retained=retained)
            case BeaconHeard(tag, rssi):
                self._heard[tag] = (rssi, self._at)
            case LockConnected(connection):
                self._connected(connection)
            case LockSaid(connection, data):
                self._said(connection, data)
            case LockGone(connection):
                self._end(self._sessions.get(connection), CarryFault.BROKE_OFF, hang_up=False)
            case Tick():
                pass

    # ---- the server

    def _frame(self, data: bytes, *, retained: bool) -> None:
        """Obey a frame. What the broker kept from before, and what is none, is nothing to us."""
        if retained:
            return
        try:
            frame = decode_down(data)
        except RemoteError:
            return
        if isinstance(frame, CarryCommand):
            self._carry(frame)
        elif isinstance(frame, CarryMaterial):
            self._keep(frame)
        elif isinstance(frame, AskGatewayHello):
            self._told_free, self._hear_at = None, self._at

    def _keep(self, material: CarryMaterial) -> None:
        """Keep credentials that are ours, with the door documents that the issuer signed for them."""
        try:
            doors = [read_door(door, self._issuers) for door in material.doors]
            held = [(read_credential(raw, self._issuers).claims, raw) for raw in material.credentials]
        except RemoteError:
            return  # the broker's invention, or an issuer's key that we do not know yet
        pinned = {door.lock_id: door.lock_public for door in doors}
        for claims, raw in held:
            mine = claims.holder_public == self._identity.signer.public
            if mine and claims.lock_id in pinned and len(self._material) < MAX_CARRIED * 4:
                self._material[claims.lock_id] = (raw, pinned[claims.lock_id])

    def _carry(self, errand: CarryCommand) -> None:
        session = next((s for s in self._sessions.values() if s.lock_id == errand.lock_id), None)
        if session is None:
            session = self._open(errand)
        if session is None:
            return
        session.used = self._at
        if session.state is _State.OPEN:
            self._hand_over(session, errand.ref, errand.box)
        elif len(session.queue) >= QUEUE:
            self._answer(errand.ref, CarryFault.BUSY)
        else:
            session.queue.append((errand.ref, errand.box))

    def _open(self, errand: CarryCommand) -> _Session | None:
        """Begin a session with the lock, or say why not."""
        material = self._material.get(errand.lock_id)
        heard = self._heard.get(errand.tag)
        if material is None:
            self._answer(errand.ref, CarryFault.REFUSED)
        elif heard is None or self._at - heard[1] > HEARD_MS:
            self._answer(errand.ref, CarryFault.NOT_HEARD)
        elif not self._make_room():
            self._answer(errand.ref, CarryFault.BUSY)
        else:
            self._last += 1
            handshake = PhoneHandshake(errand.lock_id, material[1], private_key(self._random))
            session = _Session(self._last, errand.lock_id, handshake, self._at + OPEN_MS, self._at)
            self._sessions[self._last] = session
            self._effects.append(Connect(self._last, errand.tag))
            return session
        return None

    def _make_room(self) -> bool:
        """Whether a place is free, or an idle session could be ended for it: the longest idle one."""
        if len(self._sessions) < self._places:
            return True
        idle = [session for session in self._sessions.values() if self._idle(session)]
        if not idle:
            return False
        self._end(min(idle, key=lambda one: one.used), CarryFault.BROKE_OFF)
        return True

    def _idle(self, session: _Session) -> bool:
        quiet = self._at - session.used >= IDLE_MS
        return session.state is _State.OPEN and quiet and not session.queue

    def _publish(self, frame: GatewayUp) -> None:
        if self._up:
            self._effects.append(FrameUp(encode_up(frame)))

    def _answer(self, ref: bytes, fault: CarryFault) -> None:
        self._publish(Handed(ref, fault))

    def _tell_free(self) -> None:
        if self._up and self._told_free != self.free:
            self._told_free = self.free
            self._publish(GatewayHello(self._boot, self.free))

    # ---- the lock

    def _connected(self, connection: int) -> None:
        session = self._sessions.get(connection)
        if session is not None and session.state is _State.CONNECTING:
            session.state = _State.GREETED
            self._effects.append(Say(connection, session.handshake.hello()))

    def _said(self, connection: int, data: bytes) -> None:
        session = self._sessions.get(connection)
        if session is None:
            return
        try:
            self._take(session, data)
        except RemoteError:
            # 7F, another lock under this tag, or bytes that make no sense: nothing of ours was said to it
            self._end(session, CarryFault.REFUSED)

    def _take(self, session: _Session, data: bytes) -> None:
        session.used = self._at
        if session.state is _State.GREETED:
            session.handshake.receive_m2(data)
            raw, _ = self._material[session.lock_id]
            m3 = session.handshake.request(raw, Operation.CARRY, self._identity.signer)
            self._effects.append(Say(session.connection, m3))
            session.state = _State.PROVED
        elif session.state is _State.PROVED:
            answer = session.handshake.receive_m4(data)
            if answer.code is not AirCode.GRANTED:
                self._end(session, CarryFault.REFUSED)
                return
            session.channel = session.handshake.channel()
            session.state, session.until = _State.OPEN, self._at + LINGER_MS
            while session.queue:
                self._hand_over(session, *session.queue.popleft())
        elif session.state is _State.OPEN and session.channel is not None:
            session.until = self._at + LINGER_MS
            parcel = session.channel.unpack(data)
            if parcel.kind is ParcelKind.REPORT:
                self._publish(CarriedReport(session.lock_id, parcel.content))

    def _hand_over(self, session: _Session, ref: bytes, box: bytes) -> None:
        if session.channel is None:
            return
        try:
            message = session.channel.pack(Parcel(ParcelKind.COMMAND, box))
        except LocalError:  # as many parcels as a channel has numbers: the next session carries on
            self._answer(ref, CarryFault.BROKE_OFF)
            self._end(session, CarryFault.BROKE_OFF)
            return
        session.until = self._at + LINGER_MS
        self._effects.append(Say(session.connection, message))
        self._answer(ref, CarryFault.HANDED_OVER)

    def _end(self, session: _Session | None, fault: CarryFault, *, hang_up: bool = True) -> None:
        """Forget a session; what waited for it has a fault."""
        if session is None or self._sessions.pop(session.connection, None) is None:
            return
        if hang_up:
            self._effects.append(HangUp(session.connection))
        for ref, _ in session.queue:
            self._answer(ref, fault)

    # ---- time

    def _timers(self) -> None:
        for session in [one for one in self._sessions.values() if self._at >= one.until]:
            silent = session.state is _State.OPEN
            self._end(session, CarryFault.BROKE_OFF if silent else CarryFault.NOT_HEARD)
        if self._up and self._at >= self._hear_at:
            self._hear_at = self._at + HEAR_MS
            self._told_free = None  # said again each time: a lost word must not leave us full for ever
            self._heard = {
                tag: sight for tag, sight in self._heard.items() if self._at - sight[1] <= HEARD_MS
            }
            loudest = sorted(self._heard.items(), key=lambda one: -one[1][0])[:MAX_HEARD]
            self._publish(Heard(tuple(Sight(tag, rssi) for tag, (rssi, _) in loudest)))
