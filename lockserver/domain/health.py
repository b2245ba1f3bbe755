"""How a lock is, as far as it is known: every value with its age, and `unknown` instead of an old guess (L-50)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from lockserver.domain.lock import Bolt, LockStatus

Connection = Literal["online", "silent", "never"]
BatteryDoubt = Literal["old", "frozen", "unread"]

BOLT_STANDS: Final = timedelta(minutes=10)
"""For so long what a lock said of its bolt is shown though it says nothing more: it may be moved any minute,
and only a lock with a connection would tell."""
BATTERY_OLD: Final = timedelta(hours=24)
"""A lock reads its gauge at least twice a day."""
FROZEN_FOR: Final = timedelta(days=30)
FROZEN_OPENINGS: Final = 200
"""A gauge that says the same after a month and 200 openings is stuck: the first that one hears of it would
be a dead lock."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a thing that moves, and when."""

    value: Bolt
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Battery:
    """Percent as last told; `read_at`: when the gauge was read. `doubt`: why it may not be so."""

    percent: int | None
    read_at: datetime | None
    doubt: BatteryDoubt | None


def connection_of(status: LockStatus) -> Connection:
    """Return whether it is there now, was once, or never spoke."""
    if status.last_seen_at is None:
        return "never"
    return "online" if status.connected else "silent"


def bolt_of(status: LockStatus, moved: Said | None, now: datetime) -> Said:
    """Return how the bolt stands, or `unknown` with the age of the last word about it.

    `moved`: the newest movement in its journal, with when that reached us.
    """
    said = Said(status.bolt, status.bolt_at)
    if moved is not None and (said.at is None or (moved.at is not None and moved.at > said.at)):
        said = moved
    if said.at is None:
        return Said("unknown", None)
    stands = status.connected or now - said.at <= BOLT_STANDS
    return said if stands else Said("unknown", said.at)


def battery_of(status: LockStatus, openings: int, now: datetime) -> Battery:
    """Return the battery; `openings`: how often the lock opened since the value is this one."""
    if status.battery is None:
        return Battery(None, None, None)
    read = status.battery_read_at
    doubt: BatteryDoubt | None = None
    if read is None:
        doubt = "unread"
    elif now - read > BATTERY_OLD:
        doubt = "old"
    elif (
        status.battery_since is not None
        and now - status.battery_since > FROZEN_FOR
        and openings > FROZEN_OPENINGS
    ):
        doubt = "frozen"
    return Battery(status.battery, read, doubt)
