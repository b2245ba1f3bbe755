"""Which way a command takes to its lock: its own connection, else the gateway that hears it best.

No IO, no clock: everything arrives with its instant, and leaves as moves that somebody else carries out. What
gateways say is believed for reachability only; a lying one can take commands and drop them, and then the next is
tried, with the same command id and counter, so that the lock does it once (L-16, L-19).

    act ──► its own connection ──silence──► best gateway ──busy | not heard | broke off | silence──► next …
                                                          └─ all tried: a pause, and from the front, until it dies
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias
from uuid import UUID

from lockserver.domain.fault import OnTheWay
from lockserver.protocol.curve import sha256
from lockserver.protocol.gateway import CarryCommand, CarryFault, Sight
from lockserver.protocol.gatt import tag
from lockserver.protocol.limits import ID

SIGHT_FRESH: Final = timedelta(seconds=30)
"""How long a beacon that was heard counts: gateways tell every few seconds what they hear."""
SEAT_FRESH: Final = timedelta(seconds=90)
"""A gateway that says nothing for so long is not there."""
DIRECT_PATIENCE: Final = timedelta(seconds=3)
"""Silence of a lock that was believed to be connected, after which a gateway is tried."""
HAND_PATIENCE: Final = timedelta(seconds=4)
"""How long a gateway may take to find a lock and prove itself there."""
RESULT_PATIENCE: Final = timedelta(seconds=5)
"""From the hand-over to the lock's report: the clock's attestation (2 s), the motor, the way back."""
ROUND_PAUSE: Final = timedelta(milliseconds=500)
BUSY_REST: Final = timedelta(seconds=1)
"""A gateway that was busy is left alone for so long."""
SESSION_FRESH: Final = timedelta(seconds=8)
"""After a report the carrier's session with the lock still stands for about so long: follow it."""

DIRECT: Final = "mqtt"
Way: TypeAlias = UUID | Literal["mqtt"]


@dataclass(frozen=True, slots=True)
class Hand:
    """Publish this to that gateway."""

    gateway_id: UUID
    frame: CarryCommand


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish this on the lock's own topic."""

    lock_id: UUID
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Noted:
    """How a command went last, and what stands in its way."""

    command_id: UUID
    via: str | None
    fault: OnTheWay | None


Move: TypeAlias = Hand | Publish | Noted


@dataclass(slots=True)
class Seat:
    """A gateway as this bridge knows it. `serves`: locks by their beacon's tag."""

    gateway_id: UUID
    serves: dict[bytes, UUID]
    heard_at: datetime
    boot: int | None = None
    free: int | None = None
    busy_until: datetime | None = None
    hears: dict[UUID, tuple[int, datetime]] = field(default_factory=dict)

    def reaches(self, lock_id: UUID, now: datetime) -> int | None:
        """Return how loud it hears the lock (dBm), or None where it is no way."""
        sight = self.hears.get(lock_id)
        if sight is None or now - sight[1] > SIGHT_FRESH or now - self.heard_at > SEAT_FRESH:
            return None
        return sight[0]


@dataclass(slots=True)
class Errand:
    """An act that is under way."""

    command_id: UUID
    lock_id: UUID
    envelope: bytes
    until: datetime
    way: Way | None = None
    ref: bytes | None = None
    look_at: datetime | None = None
    tried: set[Way] = field(default_factory=set)
    noted: tuple[str | None, str | None] = (None, None)


class Carrying:
    """One bridge's view of who reaches which lock, and what is under way."""

    def __init__(self) -> None:
        self._direct: dict[UUID, tuple[datetime, datetime | None]] = {}
        """Lock with a connection of its own → when it spoke last, and when it was asked since."""
        self._seats: dict[UUID, Seat] = {}
        self._errands: dict[UUID, Errand] = {}
        self._last: dict[UUID, tuple[UUID, datetime]] = {}
        """Lock → the gateway that brought its last report."""

    # ---- who is there

    def heard_itself(self, lock_id: UUID, now: datetime) -> None:
        """The lock has spoken over a connection of its own."""
        self._direct[lock_id] = (now, None)
        self._last.pop(lock_id, None)

    def heard_through(self, lock_id: UUID, gateway_id: UUID, now: datetime) -> None:
        """A gateway has brought a report that the lock signed."""
        self._last[lock_id] = (gateway_id, now)

    def gone(self, lock_id: UUID) -> None:
        """The lock's own connection is no more."""
        self._direct.pop(lock_id, None)

    def is_direct(self, lock_id: UUID) -> bool:
        """Tell whether the lock is believed to hold a connection of its own."""
        return lock_id in self._direct

    def to_be_asked(self, before: datetime, now: datetime) -> list[UUID]:
        """Return locks that last spoke before this instant and were not asked since; they are asked now."""
        asked = [one for one, (spoke, ask) in self._direct.items() if spoke < before and ask is None]
        self._direct |= {one: (self._direct[one][0], now) for one in asked}
        return asked

    def silent_since(self, before: datetime, asked_before: datetime) -> list[UUID]:
        """Return locks that last spoke before this instant, were asked, and have let that pass."""
        return [
            one
            for one, (spoke, ask) in self._direct.items()
            if spoke < before and ask is not None and ask < asked_before
        ]

    def knows(self, gateway_id: UUID) -> bool:
        """Tell whether this gateway was seated."""
        return gateway_id in self._seats

    def seat(self, gateway_id: UUID, locks: Iterable[UUID], now: datetime) -> None:
        """Seat a gateway, or say anew which locks it may carry to."""
        serves = {tag(lock_id.bytes): lock_id for lock_id in locks}
        known = self._seats.get(gateway_id)
        if known is None:
            self._seats[gateway_id] = Seat(gateway_id, serves, now)
            return
        known.serves, known.heard_at = serves, now
        known.hears = {one: sight for one, sight in known.hears.items() if one in serves.values()}

    def unseat(self, gateway_id: UUID, now: datetime) -> list[Move]:
        """The gateway was removed, or the broker says that it is gone: what it had goes another way."""
        self._seats.pop(gateway_id, None)
        moves: list[Move] = []
        for errand in [one for one in self._errands.values() if one.way == gateway_id]:
            moves += self._try(errand, now)
        return moves

    def gateway_says(self, gateway_id: UUID, boot: int, free: int, now: datetime) -> bool:
        """Take a gateway's hello; tell whether it has started since its last one."""
        seat = self._seats.get(gateway_id)
        if seat is None:
            return False
        news, seat.boot = seat.boot != boot, boot
        seat.heard_at, seat.free = now, free
        if free:
            seat.busy_until = None
        return news

    def gateway_hears(
        self, gateway_id: UUID, sights: Sequence[Sight], now: datetime
    ) -> list[tuple[UUID, int]]:
        """Take all that a gateway hears now; return (lock, dBm) of the locks that it serves."""
        seat = self._seats.get(gateway_id)
        if seat is None:
            return []
        seat.heard_at = now
        seat.hears = {
            seat.serves[sight.tag]: (sight.rssi, now) for sight in sights if sight.tag in seat.serves
        }
        return [(lock_id, rssi) for lock_id, (rssi, _) in seat.hears.items()]

    def to_be_visited(self, before: datetime, now: datetime) -> list[UUID]:
        """Return locks that only gateways reach, and that none has brought a word of since this instant."""
        reached = {
            lock_id
            for seat in self._seats.values()
            for lock_id in seat.hears
            if lock_id not in self._direct and seat.reaches(lock_id, now) is not None
        }
        return sorted(one for one in reached if one not in self._last or self._last[one][1] < before)

    # ---- ways

    def way(self, lock_id: UUID, now: datetime) -> Way | None:
        """Return the way that anything but an act takes: where the lock was heard last, else the best.

        None: nobody reaches it, as far as we know.
        """
        if lock_id in self._direct:
            return DIRECT
        flying = next((e for e in self._errands.values() if e.lock_id == lock_id), None)
        if flying is not None and isinstance(flying.way, UUID):
            return flying.way
        last = self._last.get(lock_id)
        if last is not None and now - last[1] <= SESSION_FRESH and last[0] in self._seats:
            return last[0]
        return next(iter(self._gateways(lock_id, now)), None)

    def stands_in_the_way(self, lock_id: UUID, now: datetime) -> OnTheWay | None:
        """Return what keeps a further act from being sent just now; None: it may go.

        Through gateways one act at a time goes to a lock; while every gateway that hears it has no connection
        to spare, an act waits where nobody has published it, so that its end stays certain.
        """
        if lock_id in self._direct:
            return None
        if any(one.lock_id == lock_id for one in self._errands.values()):
            return "lock_busy"
        ways = self._gateways(lock_id, now)
        return "gateway_busy" if ways and all(self._busy(one, now) for one in ways) else None

    def _gateways(self, lock_id: UUID, now: datetime) -> list[UUID]:
        """Return the gateways that reach a lock, the loudest first."""
        reach = [
            (rssi, seat.gateway_id)
            for seat in self._seats.values()
            if (rssi := seat.reaches(lock_id, now)) is not None
        ]
        return [gateway_id for _, gateway_id in sorted(reach, key=lambda one: (-one[0], one[1]))]

    def _busy(self, gateway_id: UUID, now: datetime) -> bool:
        """Tell whether it has no connection to spare: it said so, or has just sent an errand back for that."""
        seat = self._seats[gateway_id]
        return seat.free == 0 or (seat.busy_until is not None and now < seat.busy_until)

    # ---- what goes down

    def send(self, lock_id: UUID, envelope: bytes, now: datetime) -> list[Move]:
        """Send anything but an act: once, the best way; whoever needs it again asks again."""
        way = self.way(lock_id, now)
        if isinstance(way, UUID):
            return [self._hand(way, lock_id, _ref(envelope, way), envelope)]
        return [Publish(lock_id, envelope)]

    def act(self, errand: Errand, now: datetime) -> list[Move]:
        """Send an act, and see to it until the lock has spoken or its deadline is past."""
        self._errands[errand.command_id] = errand
        return self._try(errand, now)

    def settled(self, command_id: UUID) -> None:
        """The lock has said what became of an act."""
        self._errands.pop(command_id, None)

    def handed(self, gateway_id: UUID, ref: bytes, fault: CarryFault, now: datetime) -> list[Move]:
        """Take what a gateway says became of an errand."""
        seat = self._seats.get(gateway_id)
        if seat is not None:
            seat.heard_at = now
        errand = next((e for e in self._errands.values() if e.ref == ref and e.way == gateway_id), None)
        if seat is not None and fault is CarryFault.BUSY:
            seat.busy_until = now + BUSY_REST
        if errand is None:
            return []
        if fault is CarryFault.HANDED_OVER:
            errand.look_at = now + RESULT_PATIENCE
            return []
        if seat is not None and fault in (CarryFault.NOT_HEARD, CarryFault.REFUSED):
            seat.hears.pop(errand.lock_id, None)
        return self._try(errand, now)

    def tick(self, now: datetime) -> list[Move]:
        """Let time go by: errands that have waited long enough are tried another way, dead ones dropped."""
        moves: list[Move] = []
        for errand in list(self._errands.values()):
            if now >= errand.until:
                del self._errands[errand.command_id]
            elif errand.look_at is not None and now >= errand.look_at:
                moves += self._try(errand, now)
        return moves

    def _try(self, errand: Errand, now: datetime) -> list[Move]:
        """Send an errand the next way that was not tried in this round."""
        direct: list[Way] = [DIRECT] if errand.lock_id in self._direct else []
        ways = [*direct, *self._gateways(errand.lock_id, now)]
        for way in ways:
            if way not in errand.tried and not (isinstance(way, UUID) and self._busy(way, now)):
                return self._go(errand, way, now)
        busy = any(isinstance(way, UUID) and self._busy(way, now) for way in ways)
        first_round = errand.way is None and not errand.tried
        errand.tried.clear()
        errand.ref, errand.look_at = None, now + ROUND_PAUSE
        fault: OnTheWay | None = "gateway_busy" if busy else None if ways else "lock_offline"
        if fault == "lock_offline" and first_round:
            # We may be wrong about who is there, and nobody else can take it: its own topic costs nothing.
            errand.way = DIRECT
            return [Publish(errand.lock_id, errand.envelope), *self._note(errand, DIRECT, fault)]
        return self._note(errand, errand.noted[0], fault)

    def _go(self, errand: Errand, way: Way, now: datetime) -> list[Move]:
        errand.way = way
        errand.tried.add(way)
        if isinstance(way, UUID):
            errand.ref = _ref(errand.envelope, way)
            errand.look_at = now + HAND_PATIENCE
            hand = self._hand(way, errand.lock_id, errand.ref, errand.envelope)
            return [hand, *self._note(errand, str(way), None)]
        errand.ref, errand.look_at = None, now + DIRECT_PATIENCE
        return [Publish(errand.lock_id, errand.envelope), *self._note(errand, DIRECT, None)]

    def _hand(self, way: UUID, lock_id: UUID, ref: bytes, envelope: bytes) -> Hand:
        return Hand(way, CarryCommand(lock_id.bytes, ref, tag(lock_id.bytes), envelope))

    def _note(self, errand: Errand, via: str | None, fault: OnTheWay | None) -> list[Move]:
        """Say it where it is news."""
        if errand.noted == (via, fault):
            return []
        errand.noted = (via, fault)
        return [Noted(errand.command_id, via, fault)]


def _ref(envelope: bytes, way: UUID) -> bytes:
    """Name an errand: an envelope has a fresh key in it, so no two are the same."""
    return sha256(envelope, way.bytes)[:ID]
