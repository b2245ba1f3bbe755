"""The bolt as a value on the wire."""

from enum import IntEnum


class BoltState(IntEnum):
    """Where the bolt is.  ``UNKNOWN`` is a value: after a power cut it is the truth."""

    UNKNOWN = 0
    LOCKED = 1
    UNLOCKED = 2
    MOVING = 3
    JAMMED = 4


class DoorState(IntEnum):
    """Where the door's leaf is, by its sensor.  ``UNKNOWN``: it says nothing."""

    UNKNOWN = 0
    CLOSED = 1
    OPEN = 2
