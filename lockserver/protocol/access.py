"""The lock's decision, pure: the same for lock, server and vectors.

The order is the wire's: audience, window (clock), revocation, epoch, capability, schedule, the occupied
room, and last whether a one-time credential has had its opening.  Windows are half-open and judged by
the lock's best estimate of now: drift is bounded by attestation, never added to a window.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, TypeAlias

from lockserver.protocol.claims import Capability, Claims, HolderClass
from lockserver.protocol.documents import RevocationList
from lockserver.protocol.errors import Denial
from lockserver.protocol.limits import EPOCH_JUMP, MAX_USED


class Operation(IntEnum):
    """What a holder asks of a lock.  Append-only."""

    UNLOCK = 1
    LOCK = 2
    HOLD_OPEN = 3
    READ_JOURNAL = 4
    SYNC = 5  # bring documents and take reports; moves nothing
    CAPTURE = 6  # read in a card or finger for the credential's holder; moves nothing
    CARRY = 7  # a gateway's session: sealed commands, acts included; moves nothing by itself


NEEDS: Final = {
    Operation.UNLOCK: Capability.UNLOCK,
    Operation.LOCK: Capability.LOCK,
    Operation.HOLD_OPEN: Capability.HOLD_OPEN,
    Operation.READ_JOURNAL: Capability.READ_JOURNAL,
    Operation.SYNC: Capability(0),
    Operation.CAPTURE: Capability.UNLOCK,
    Operation.CARRY: Capability.CARRY,
}
"""The capability that each operation needs."""

OPENS: Final = frozenset({Operation.UNLOCK, Operation.HOLD_OPEN})
"""Operations that let somebody in: they raise epochs, and need `entry` at an occupied room."""


@dataclass(frozen=True, slots=True)
class ClockView:
    """The lock's clock.

    ``now``: best estimate in Unix seconds, or None when the clock is lost.  ``floor``: it is certainly
    not earlier than this (persisted, never falls).
    """

    now: int | None
    floor: int = 0


@dataclass(frozen=True, slots=True)
class DoorView:
    """What the lock holds about its door.

    ``shared``: a gate or corridor, without turnover epoch.  ``epoch``: turnover epoch (tenant and guest
    together); ``owner_epoch`` and ``staff_epoch`` are their own.  ``occupied``: a tenancy lives here.
    ``used``: ids of one-time credentials that have had their opening and have not expired.
    """

    lock_id: bytes
    shared: bool
    epoch: int = 0
    occupied: bool = False
    revocation: RevocationList | None = None
    owner_epoch: int = 0
    staff_epoch: int = 0
    used: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Granted:
    """Allowed, and what to store before the bolt moves.

    ``raise_epoch``: the class's new epoch, if not None.  ``occupies``: set ``occupied``.  ``uses_up``:
    remember the credential's id until its ``exp``.
    """

    raise_epoch: int | None = None
    occupies: bool = False
    uses_up: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """Refused, with the exact reason for the journal."""

    denial: Denial


Verdict: TypeAlias = Granted | Denied


def decide(claims: Claims, operation: Operation, clock: ClockView, door: DoorView) -> Verdict:
    """Whether verified ``claims`` allow ``operation`` at this door, now."""
    denial = (
        _audience(claims, door)
        or _window(claims, clock)
        or _revocation(claims, door)
        or epoch_denial(claims.holder_class, claims.epoch, door)
        or _capability(claims, operation)
        or _schedule(claims, clock)
        or _occupied(claims, operation, door)
        or _used(claims, operation, door)
    )
    if denial is not None:
        return Denied(denial)
    if operation not in OPENS:
        return Granted()
    return replace(raised(claims.holder_class, claims.epoch, door), uses_up=claims.uses is not None)


def raised(holder_class: HolderClass, epoch: int | None, door: DoorView) -> Granted:
    """What an opening by this class at this epoch is to store."""
    held = _held_epoch(holder_class, door)
    if epoch is None or held is None or epoch <= held:
        return Granted()
    return Granted(epoch, occupies=holder_class.resident)


def _audience(claims: Claims, door: DoorView) -> Denial | None:
    return None if claims.lock_id == door.lock_id else Denial.WRONG_LOCK


def _window(claims: Claims, clock: ClockView) -> Denial | None:
    if clock.floor >= claims.exp:
        return Denial.EXPIRED  # certain, whatever the clock says
    if clock.now is None:
        return Denial.CLOCK_LOST
    if clock.now < claims.nbf:
        return Denial.NOT_YET
    return Denial.EXPIRED if clock.now >= claims.exp else None


def _revocation(claims: Claims, door: DoorView) -> Denial | None:
    listed = door.revocation
    if listed is None:
        return None
    if listed.covers(claims.cti):
        return Denial.REVOKED
    return Denial.LIST_FLOOR if claims.iat < (listed.iat_floor or 0) else None


def _held_epoch(holder_class: HolderClass, door: DoorView) -> int | None:
    """The epoch that the lock holds for this class; None where there is none."""
    if holder_class is HolderClass.OWNER:
        return door.owner_epoch
    if holder_class is HolderClass.STAFF:
        return door.staff_epoch
    return None if door.shared or holder_class is HolderClass.GATEWAY else door.epoch


def epoch_denial(
    holder_class: HolderClass, epoch: int | None, door: DoorView, *, jump: int = EPOCH_JUMP
) -> Denial | None:
    """Why this class's ``epoch`` does not hold at this door, or None.  ``jump``: how far above it may be."""
    held = _held_epoch(holder_class, door)
    if held is None:
        return None if epoch is None else Denial.EPOCH_SHARED
    if (epoch or 0) < held or (epoch is None and holder_class.resident):
        return Denial.EPOCH_LOW
    return Denial.EPOCH_JUMP if (epoch or 0) > held + jump else None


def _capability(claims: Claims, operation: Operation) -> Denial | None:
    """A gateway carries and does nothing else; nobody else carries; one opening enrols no card."""
    carries = operation is Operation.CARRY
    gateway = claims.holder_class is HolderClass.GATEWAY
    if gateway != (Capability.CARRY in claims.capabilities) or carries != gateway:
        return Denial.CAPABILITY
    if gateway and claims.capabilities != Capability.CARRY:
        return Denial.CAPABILITY
    if operation is Operation.CAPTURE and claims.uses is not None:
        return Denial.CAPABILITY
    need = NEEDS[operation]
    return None if claims.capabilities & need == need else Denial.CAPABILITY


def _schedule(claims: Claims, clock: ClockView) -> Denial | None:
    if claims.schedule is None or clock.now is None:
        return None
    return None if claims.schedule.covers(clock.now) else Denial.SCHEDULE


def _occupied(claims: Claims, operation: Operation, door: DoorView) -> Denial | None:
    if not door.occupied or claims.holder_class.resident:
        return None
    if operation is Operation.CAPTURE:
        return Denial.OCCUPIED  # leave to come in is no leave to keep a card of it
    if operation not in OPENS or Capability.ENTRY in claims.capabilities:
        return None
    return Denial.OCCUPIED


def _used(claims: Claims, operation: Operation, door: DoorView) -> Denial | None:
    if claims.uses is None or operation not in OPENS:
        return None
    if claims.cti in door.used:
        return Denial.USED_UP
    return Denial.BACK_OFF if len(door.used) >= MAX_USED else None
