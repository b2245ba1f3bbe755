"""What a lock's hello makes of its status: every value with when it was said, or when it was read (L-50)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from lockserver.domain.lock import Bolt, DoorPosition, LockStatus
from lockserver.domain.times import whole_seconds
from lockserver.protocol.bolt import BoltState, DoorState
from lockserver.protocol.reports import Hello

BOLTS: Final[dict[BoltState, Bolt]] = {BoltState.LOCKED: "locked", BoltState.UNLOCKED: "unlocked"}
_DOORS: Final[dict[DoorState | None, DoorPosition]] = {DoorState.CLOSED: "closed", DoorState.OPEN: "open"}


def said_by(hello: Hello, status: LockStatus, now: datetime) -> LockStatus:
    """Return the status as the lock tells it.

    A lock that names no battery says nothing about it: the last value stays, and so does its age. A value without
    the age of its reading was read nobody knows when.
    """
    said = replace(
        status,
        bolt=BOLTS.get(hello.bolt, "unknown"),
        bolt_at=now,
        occupied=hello.occupied,
        door=_DOORS.get(hello.door, "unknown"),
        tampered=hello.tampered,
        jams=hello.jams,
        firmware=hello.firmware,
        firmware_version=hello.firmware_version,
        clock_offset=None if hello.time is None else hello.time - whole_seconds(now),
        clock_attested=hello.attested,
        state_number=hello.state_version,
        revocation_number=hello.list_number,
        keys_number=hello.key_set_number,
        epoch=hello.epoch,
        counter=hello.counter,
    )
    if hello.battery is None:
        return said
    age = hello.battery_age
    changed = hello.battery != status.battery or status.battery_since is None
    return replace(
        said,
        battery=hello.battery,
        battery_at=now,
        battery_read_at=None if age is None else now - timedelta(seconds=age),
        battery_since=now if changed else status.battery_since,
    )
