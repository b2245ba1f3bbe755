"""What reaches a gateway, and what it does. Data only, as `firmware_sim.core.events`.

A gateway is driven by `Gateway.step(event, at)`, `at` in milliseconds since its boot: it answers with effects, in
the order in which they are to happen. Whoever drives it (a link, a test, a simulated world) carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class BrokerUp:
    """The broker has accepted our connection and our subscription."""


@dataclass(frozen=True, slots=True)
class BrokerDown:
    """The broker is out of reach."""


@dataclass(frozen=True, slots=True)
class FrameDown:
    """A frame on our topic. `retained`: the broker kept it from before."""

    data: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class BeaconHeard:
    """A lock advertises, so loud (dBm)."""

    tag: bytes
    rssi: int


@dataclass(frozen=True, slots=True)
class LockConnected:
    """The connection that we asked for stands."""

    connection: int


@dataclass(frozen=True, slots=True)
class LockSaid:
    """A whole message from the lock."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LockGone:
    """The connection ended, or never stood."""

    connection: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed (see `Gateway.deadline`)."""


Event: TypeAlias = (
    BrokerUp | BrokerDown | FrameDown | BeaconHeard | LockConnected | LockSaid | LockGone | Tick
)


@dataclass(frozen=True, slots=True)
class FrameUp:
    """Publish this on our topic."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect to the lock that advertises this tag; `connection` names it from now on."""

    connection: int
    tag: bytes


@dataclass(frozen=True, slots=True)
class Say:
    """Send a whole message to the lock."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the connection, after what was sent."""

    connection: int


Effect: TypeAlias = FrameUp | Connect | Say | HangUp
