"""A tenancy: the lease of a room to holders for a window, and who lives there.

Signing makes, in one transaction, the tenancy, one arrival duty per occupant and the grants (L-23).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from lockserver.domain.errors import (
    GuardianMissingError,
    NotARoomError,
    RoomFullError,
    TenancyEndedError,
    WindowInvalidError,
)
from lockserver.domain.house import Door
from lockserver.domain.times import Window

TenancyState = Literal["signed", "ended"]
EndReason = Literal["window", "early_tenant", "authority"]
KeyPolicy = Literal["on_submit", "on_receipt"]


@dataclass(frozen=True, slots=True)
class Tenancy:
    """A lease; `epoch` is the room's turnover epoch that its credentials carry."""

    id: UUID
    door_id: UUID
    lower: datetime
    upper: datetime
    epoch: int
    state: TenancyState
    signed_by: UUID
    key_policy: KeyPolicy = "on_submit"
    ended_at: datetime | None = None
    ended_by: UUID | None = None
    end_reason: EndReason | None = None
    wish_id: UUID | None = None

    @property
    def window(self) -> Window:
        """Return the lease's half-open window."""
        return Window(self.lower, self.upper)

    def lives(self, at: datetime) -> bool:
        """Tell whether the lease gives a way in at this instant."""
        return self.state == "signed" and self.window.holds(at)

    def ended(self, at: datetime, reason: EndReason, by: UUID | None) -> "Tenancy":
        """Return the tenancy ended; raises TenancyEndedError, or WindowInvalidError.

        Access ends only with the window, the tenant's own wish, or an authority's recorded order
        (L-45): a window that still runs cannot end a tenancy.
        """
        if self.state == "ended":
            raise TenancyEndedError
        if reason == "window" and at < self.upper:
            raise WindowInvalidError("the lease's window has not closed")
        return replace(self, state="ended", ended_at=at, ended_by=by, end_reason=reason)


@dataclass(frozen=True, slots=True)
class Occupant:
    """Somebody who lives there; a minor names his guardian among the tenancy's adults."""

    tenancy_id: UUID
    holder_id: UUID
    is_minor: bool = False
    guardian_holder_id: UUID | None = None
    invite_hash: bytes | None = None
    invite_accepted_at: datetime | None = None


def next_epoch(door: Door) -> int:
    """Return the turnover epoch of the next tenancy of this room; raises NotARoomError."""
    if door.kind != "room" or door.epoch is None:
        raise NotARoomError
    return door.epoch + 1


def check_occupants(door: Door, occupants: Sequence[Occupant]) -> None:
    """Refuse what the room cannot hold: nobody, too many, twice the same, a child alone.

    Raises NotARoomError, RoomFullError, GuardianMissingError.
    """
    if door.kind != "room" or door.capacity is None:
        raise NotARoomError
    holders = {occupant.holder_id for occupant in occupants}
    if len(holders) != len(occupants) or not 0 < len(occupants) <= door.capacity:
        raise RoomFullError(capacity=door.capacity, occupants=len(occupants))
    adults = {occupant.holder_id for occupant in occupants if not occupant.is_minor}
    for occupant in occupants:
        if occupant.is_minor and occupant.guardian_holder_id not in adults:
            raise GuardianMissingError
