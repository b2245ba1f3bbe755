"""What reaches a lock, and what a lock does. Data only.

A lock is driven by `Lock.step(event, at)`: it answers with effects, in the order in which they are to
happen. Whoever drives it (a link, a test, a simulated world) carries the effects out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from lockserver.protocol.bolt import BoltState

# ---- what reaches the lock


@dataclass(frozen=True, slots=True)
class RadioConnected:
    """A phone has connected; `connection` names it until it is gone."""

    connection: int


@dataclass(frozen=True, slots=True)
class RadioMessage:
    """A whole message from a phone, put together by the link (`framing`)."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RadioBroken:
    """The phone's fragments make no message: too long, or none at all."""

    connection: int


@dataclass(frozen=True, slots=True)
class RadioGone:
    """The phone has left."""

    connection: int


@dataclass(frozen=True, slots=True)
class BrokerUp:
    """The broker has accepted our connection and our subscription."""


@dataclass(frozen=True, slots=True)
class BrokerDown:
    """The broker is out of reach."""


@dataclass(frozen=True, slots=True)
class BrokerMessage:
    """Something on our command topic. `retained`: the broker kept it from before."""

    data: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class BoltReport:
    """What the bolt's sensor says, after a movement or when asked."""

    state: BoltState


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    """Somebody pressed the button inside the room."""


@dataclass(frozen=True, slots=True)
class KeypadEntered:
    """Digits and then `#` on the keypad: one whole entry, however long."""

    digits: str


@dataclass(frozen=True, slots=True)
class CardPresented:
    """A card was held to the reader; `uid` is its number, 1 to 32 bytes."""

    uid: bytes


@dataclass(frozen=True, slots=True)
class FingerRead:
    """A finger was laid on the reader; `template` is the module's own number for it, 16 bytes."""

    template: bytes


@dataclass(frozen=True, slots=True)
class ResetHeld:
    """Somebody held the button for ten seconds: the lock is to forget its door."""


@dataclass(frozen=True, slots=True)
class DoorSensor:
    """The door itself, not its bolt, was opened or closed."""

    open: bool


@dataclass(frozen=True, slots=True)
class TamperSensor:
    """The case was opened, or closed again."""

    open: bool


@dataclass(frozen=True, slots=True)
class HandleTurned:
    """Somebody left by the inside handle: the mechanics have drawn the bolt already."""


@dataclass(frozen=True, slots=True)
class CylinderTurned:
    """Somebody turned the mechanical key: the bolt is where he put it."""

    locked: bool


@dataclass(frozen=True, slots=True)
class BatteryReading:
    """What the battery gauge says, in percent; None: it says nothing."""

    percent: int | None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed (see `Lock.deadline`)."""


Event: TypeAlias = (
    RadioConnected
    | RadioMessage
    | RadioBroken
    | RadioGone
    | BrokerUp
    | BrokerDown
    | BrokerMessage
    | BoltReport
    | ButtonPressed
    | KeypadEntered
    | CardPresented
    | FingerRead
    | ResetHeld
    | DoorSensor
    | TamperSensor
    | HandleTurned
    | CylinderTurned
    | BatteryReading
    | Tick
)

# ---- what the lock does


@dataclass(frozen=True, slots=True)
class RadioSend:
    """Send a whole message to a phone."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RadioClose:
    """Hang up, after what was sent."""

    connection: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Send a sealed report to our report topic."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MoveBolt:
    """Drive the motor. Answer with a `BoltReport`."""

    to: BoltState


@dataclass(frozen=True, slots=True)
class SenseBolt:
    """Read the sensor. Answer with a `BoltReport`. Moves nothing."""


@dataclass(frozen=True, slots=True)
class Advertise:
    """Advertise from now on under this tag (`gatt.tag`)."""

    tag: bytes
    claimable: bool


class Sign(Enum):
    """What keypad and readers show to whoever stands before them; the exact reason is in the journal."""

    OPEN = "open"
    DENIED = "denied"
    LOCKED = "locked"  # too many failures: nothing is looked at until the pause is over
    CLEARED = "cleared"
    CAPTURED = "captured"
    TRY_LATER = "try_later"  # it was right, but the motor is busy or jammed, or a list is full


@dataclass(frozen=True, slots=True)
class KeypadAnswer:
    """Lights and beeps at keypad or reader. `seconds`: what is left of the pause, with LOCKED."""

    answer: Sign
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class IdentityChanged:
    """Enrolled, or forgotten: links take their names and secrets anew (`Lock.identity`)."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """Switch the processor off and on: build a new `Lock` on the same medium. Nothing follows it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Sound the buzzer: `tampered`, `forced` (opened behind a thrown bolt) or `door_held`."""

    kind: str


Effect: TypeAlias = (
    RadioSend
    | RadioClose
    | Publish
    | MoveBolt
    | SenseBolt
    | Advertise
    | KeypadAnswer
    | IdentityChanged
    | Reboot
    | Alarm
)
