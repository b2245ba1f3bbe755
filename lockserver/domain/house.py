"""Houses and doors, as facts."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

DoorKind = Literal["gate", "room"]


@dataclass(frozen=True, slots=True)
class House:
    """A house, its standard address and the code of its police station (12 characters)."""

    id: UUID
    owner_holder_id: UUID
    name: str
    address_id: str
    station_code: str


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who works in a house."""

    house_id: UUID
    holder_id: UUID
    wish_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """A gate (shared: no turnover epoch, no capacity) or a room.

    `hold_open`: weekly windows in which a gate stands open, as a grant's schedule. `auto_lock`: seconds after which
    the lock locks by itself, 0 for never, None for the lock's own habit.
    """

    id: UUID
    house_id: UUID
    kind: DoorKind
    name: str
    capacity: int | None
    epoch: int | None
    hold_open: dict[str, object] | None = None
    auto_lock: int | None = None
