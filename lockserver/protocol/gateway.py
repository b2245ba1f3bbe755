"""Frames between the server and a BLE gateway, over the gateway's own pair of topics.

A gateway is a carrier: what it carries is sealed end to end, and of its own words nothing is believed
beyond which locks it can reach.  So these frames are plain CBOR arrays; the broker knows whose they are.

    down   [1, lock id, ref, tag, box]   [2, credentials, doors]   [3]
    up     [1, lock id, box]   [2, [[tag, rssi], ...]]   [3, ref, fault]   [4, boot, connections free]
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from lockserver.protocol.codec import decode, encode
from lockserver.protocol.credential import MAX_CREDENTIAL
from lockserver.protocol.errors import LocalError, RemoteError
from lockserver.protocol.fields import as_choice, as_list, as_octets, as_uint, bad
from lockserver.protocol.limits import (
    ID,
    MAX_CARRIED,
    MAX_ENVELOPE,
    MAX_HEARD,
    MAX_MESSAGE,
    MAX_NUMBER,
)
from lockserver.protocol.parcels import MAX_CONTENT

TAG: Final = 5
"""Bytes of a beacon's tag (``gatt.tag``)."""

LEAST_RSSI, MOST_RSSI = -127, 20
"""dBm that a controller reports (Bluetooth Core 5.4, vol 4, part E, 7.7.65.2)."""

MAX_FREE: Final = 255


class CarryFault(IntEnum):
    """What became of a box that a gateway was to hand over.  Append-only."""

    HANDED_OVER = 0
    BUSY = 1  # no free connection
    NOT_HEARD = 2  # the lock does not advertise here
    REFUSED = 3  # the lock refused the gateway
    BROKE_OFF = 4  # the connection broke before the box was handed over whole

    @property
    def word(self) -> str:
        """Stable lower-case code."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class CarryCommand:
    """Carry ``box`` to the lock that advertises ``tag``; ``ref`` names the errand in the answer."""

    lock_id: bytes
    ref: bytes
    tag: bytes
    box: bytes


@dataclass(frozen=True, slots=True)
class CarryMaterial:
    """The gateway's credentials and the LK1-DOORs to pin; one replaces another of the same lock."""

    credentials: tuple[bytes, ...]
    doors: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AskGatewayHello:
    """Say hello."""


@dataclass(frozen=True, slots=True)
class CarriedReport:
    """A report box of a lock."""

    lock_id: bytes
    box: bytes


@dataclass(frozen=True, slots=True)
class Sight:
    """One beacon heard: tag and signal strength in dBm."""

    tag: bytes
    rssi: int


@dataclass(frozen=True, slots=True)
class Heard:
    """All that the gateway hears now."""

    sights: tuple[Sight, ...]


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of the errand ``ref``.  HANDED_OVER proves nothing: the lock's report does."""

    ref: bytes
    fault: CarryFault


@dataclass(frozen=True, slots=True)
class GatewayHello:
    """The gateway is there; ``boot`` counts its starts, ``free`` its connections to spare."""

    boot: int
    free: int


GatewayDown: TypeAlias = CarryCommand | CarryMaterial | AskGatewayHello
GatewayUp: TypeAlias = CarriedReport | Heard | Handed | GatewayHello


def encode_down(frame: GatewayDown) -> bytes:
    """A frame for a gateway.  LocalError: what no gateway would take."""
    row: list[object]
    if isinstance(frame, CarryCommand):
        row = [1, frame.lock_id, frame.ref, frame.tag, frame.box]
    elif isinstance(frame, CarryMaterial):
        row = [2, list(frame.credentials), list(frame.doors)]
    else:
        row = [3]
    return _written(row, _down)


def decode_down(data: bytes) -> GatewayDown:
    """The reverse of ``encode_down``.  RemoteError: BAD_FORMAT, TOO_LARGE."""
    return _down(decode(data, limit=MAX_ENVELOPE))


def _down(value: object) -> GatewayDown:
    kind, rest = _kind(value)
    if kind == 1:
        lock_id, ref, tag, box = as_list(rest, "carry", length=4)
        return CarryCommand(
            as_octets(lock_id, ID, "lock id"),
            as_octets(ref, ID, "ref"),
            as_octets(tag, TAG, "tag"),
            _box(box),
        )
    if kind == 2:  # noqa: PLR2004 - the numbers of the table above
        credentials, doors = as_list(rest, "material", length=2)
        return CarryMaterial(
            tuple(
                as_octets(c, None, "credential", most=MAX_CREDENTIAL)
                for c in as_list(credentials, "credentials", most=MAX_CARRIED)
            ),
            tuple(
                as_octets(d, None, "door", most=MAX_MESSAGE)
                for d in as_list(doors, "doors", most=MAX_CARRIED)
            ),
        )
    if kind == 3 and not rest:  # noqa: PLR2004 - the numbers of the table above
        return AskGatewayHello()
    raise bad("no frame for a gateway")


def encode_up(frame: GatewayUp) -> bytes:
    """A frame from a gateway.  LocalError: what no server would take."""
    row: list[object]
    if isinstance(frame, CarriedReport):
        row = [1, frame.lock_id, frame.box]
    elif isinstance(frame, Heard):
        row = [2, [[sight.tag, sight.rssi] for sight in frame.sights]]
    elif isinstance(frame, Handed):
        row = [3, frame.ref, int(frame.fault)]
    else:
        row = [4, frame.boot, frame.free]
    return _written(row, _up)


def decode_up(data: bytes) -> GatewayUp:
    """The reverse of ``encode_up``.  RemoteError: BAD_FORMAT, TOO_LARGE."""
    return _up(decode(data, limit=MAX_ENVELOPE))


def _up(value: object) -> GatewayUp:
    kind, rest = _kind(value)
    if kind == 1:
        lock_id, box = as_list(rest, "report", length=2)
        return CarriedReport(as_octets(lock_id, ID, "lock id"), _box(box))
    if kind == 2:  # noqa: PLR2004 - the numbers of the table above
        (sights,) = as_list(rest, "heard", length=1)
        return Heard(tuple(_sight(row) for row in as_list(sights, "sights", most=MAX_HEARD)))
    if kind == 3:  # noqa: PLR2004 - the numbers of the table above
        ref, fault = as_list(rest, "handed", length=2)
        return Handed(as_octets(ref, ID, "ref"), as_choice(fault, CarryFault, "fault"))
    if kind == 4:  # noqa: PLR2004 - the numbers of the table above
        boot, free = as_list(rest, "hello", length=2)
        return GatewayHello(as_uint(boot, MAX_NUMBER, "boot"), as_uint(free, MAX_FREE, "free"))
    raise bad("no frame of a gateway")


def _kind(value: object) -> tuple[int, Sequence[object]]:
    row = as_list(value, "frame")
    if not row or type(row[0]) is not int:
        raise bad("a frame without a number")
    return row[0], row[1:]


def _box(value: object) -> bytes:
    """A box that fits a parcel: it is carried as one."""
    return as_octets(value, None, "box", most=MAX_CONTENT)


def _sight(row: object) -> Sight:
    tag, rssi = as_list(row, "sight", length=2)
    if type(rssi) is not int or not LEAST_RSSI <= rssi <= MOST_RSSI:
        raise bad("a signal strength beyond its range")
    return Sight(as_octets(tag, TAG, "tag"), rssi)


def _written(row: list[object], read: Callable[[object], object]) -> bytes:
    try:
        read(row)
    except RemoteError as error:
        raise LocalError(f"what no reader would take: {error}") from error
    data = encode(row)
    if len(data) > MAX_ENVELOPE:
        raise LocalError(f"a frame of {len(data)} bytes, limit {MAX_ENVELOPE}")
    return data
