"""What a credential says: numbered claims, windows and schedules.  Pure.

Claim numbers follow CWT (RFC 8392) and ``cnf`` (RFC 8747) where those exist; ids are raw bytes instead
of text, and ours are negative.  The issuer is named by the key id of the signature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from lockserver.protocol.errors import Denial, LocalError, RemoteError
from lockserver.protocol.fields import Fields, as_list, as_octets, as_uint, bad, present
from lockserver.protocol.limits import (
    ENTRY_LIFE,
    GATEWAY_LIFE,
    ID,
    MAX_NUMBER,
    MAX_TIME,
    MAX_WINDOWS,
    OWNER_LIFE,
    TENANT_LIFE,
)

WEEK: Final = 7 * 24 * 60
"""Minutes of a week; minute 0 is Monday 00:00."""

MAX_OFFSET: Final = 14 * 60
"""Largest offset from UTC in minutes (Kiribati)."""

_EPOCH_MINUTE: Final = 3 * 24 * 60
"""1970-01-01 was a Thursday."""

_SUB, _AUD, _EXP, _NBF, _IAT, _CTI, _CNF = 2, 3, 4, 5, 6, 7, 8
_CAPABILITIES, _CLASS, _EPOCH, _SCHEDULE, _USES = -1, -2, -3, -4, -5
_COSE_KEY: Final = 1
_KTY, _CRV, _X, _Y = 1, -1, -2, -3
_EC2, _P256 = 2, 1


def minute_of_week(now: int, offset: int) -> int:
    """Minute of the week, from Monday 00:00, at ``offset`` minutes east of UTC; ``now`` in Unix seconds."""
    return (now // 60 + offset + _EPOCH_MINUTE) % WEEK


class Capability(IntFlag):
    """One verb a credential conveys.  Append-only bits; an unknown bit conveys nothing."""

    UNLOCK = 1
    HOLD_OPEN = 2
    LOCK = 4
    READ_JOURNAL = 8
    ADMINISTER = 16
    ENTRY = 32  # owner or staff into an occupied room: on the tenant's wish or an emergency
    CARRY = 64  # a gateway: carries documents and reports, opens nothing


class HolderClass(IntEnum):
    """Whose key it is."""

    OWNER = 1
    STAFF = 2
    TENANT = 3
    GUEST = 4
    GATEWAY = 5  # carries sealed commands and reports; conveys `carry` and nothing else

    @property
    def resident(self) -> bool:
        """Tenant or guest: under the room's turnover epoch."""
        return self in {HolderClass.TENANT, HolderClass.GUEST}


@dataclass(frozen=True, slots=True)
class Schedule:
    """When in the week a credential works.

    ``offset``: minutes east of UTC, fixed.  ``windows``: half-open ``[from, until)`` in minutes of the
    local week, ascending, apart, within ``[0, 10080]``; one over Sunday midnight is written as two
    (``Schedule.of`` does that).
    """

    offset: int
    windows: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if not -MAX_OFFSET <= self.offset <= MAX_OFFSET:
            raise LocalError("a schedule's offset is in minutes, within 14 hours")
        if not 1 <= len(self.windows) <= MAX_WINDOWS:
            raise LocalError(f"a schedule has 1 to {MAX_WINDOWS} windows")
        last = 0
        for start, end in self.windows:
            if not last <= start < end <= WEEK:
                raise LocalError("schedule windows ascend, apart, within the week")
            last = end

    @classmethod
    def of(cls, offset: int, windows: Sequence[tuple[int, int]]) -> "Schedule":
        """A schedule from windows in any order; ``until`` <= ``from`` means over the week's end."""
        parts: list[tuple[int, int]] = []
        for start, end in windows:
            whole = (start, end) if start < end else None
            parts += [whole] if whole else [w for w in ((start, WEEK), (0, end)) if w[0] < w[1]]
        return cls(offset, tuple(sorted(parts)))

    def covers(self, now: int) -> bool:
        """Whether the instant ``now`` (Unix seconds) falls into a window."""
        minute = minute_of_week(now, self.offset)
        return any(start <= minute < end for start, end in self.windows)


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one credential.  Times in Unix seconds; window ``[nbf, exp)``.

    ``uses``: 1 for one opening in its life, None for any number.
    """

    cti: bytes
    subject: bytes
    lock_id: bytes
    holder_public: bytes
    nbf: int
    exp: int
    iat: int
    capabilities: Capability
    holder_class: HolderClass
    epoch: int | None = None
    schedule: Schedule | None = None
    uses: int | None = None


def life_limit(claims: Claims) -> int:
    """Longest life in seconds of a credential of this class and with these capabilities."""
    if claims.holder_class is HolderClass.GATEWAY:
        return GATEWAY_LIFE
    limit = TENANT_LIFE if claims.holder_class.resident else OWNER_LIFE
    return min(limit, ENTRY_LIFE) if Capability.ENTRY in claims.capabilities else limit


def life_allowed(claims: Claims) -> bool:
    """Whether the window is not empty and no longer than the class may have."""
    return 0 < claims.exp - claims.nbf <= life_limit(claims)


def window_denial(claims: Claims, now: int) -> Denial | None:
    """Why the claims do not hold at ``now`` (Unix seconds), or None.  Window first, then schedule."""
    if now < claims.nbf:
        return Denial.NOT_YET
    if now >= claims.exp:
        return Denial.EXPIRED
    if claims.schedule is not None and not claims.schedule.covers(now):
        return Denial.SCHEDULE
    return None


def window_allows(claims: Claims, now: int) -> bool:
    """Whether window and schedule, both half-open, hold at ``now`` (Unix seconds)."""
    return window_denial(claims, now) is None


def claims_map(claims: Claims) -> dict[int, object]:
    """The map that is signed."""
    point = claims.holder_public
    return present(
        {
            _SUB: claims.subject,
            _AUD: claims.lock_id,
            _EXP: claims.exp,
            _NBF: claims.nbf,
            _IAT: claims.iat,
            _CTI: claims.cti,
            _CNF: {_COSE_KEY: {_KTY: _EC2, _CRV: _P256, _X: point[1:33], _Y: point[33:]}},
            _CAPABILITIES: int(claims.capabilities),
            _CLASS: int(claims.holder_class),
            _EPOCH: claims.epoch,
            _SCHEDULE: None if claims.schedule is None else schedule_row(claims.schedule),
            _USES: claims.uses,
        }
    )


def read_claims(value: object) -> Claims:
    """The claims of a decoded map.  RemoteError: BAD_FORMAT, UNKNOWN_CLAIM, LIFE_TOO_LONG."""
    fields = Fields(value, "credential")
    claims = Claims(
        cti=fields.octets(_CTI, ID),
        subject=fields.octets(_SUB, ID),
        lock_id=fields.octets(_AUD, ID),
        holder_public=_read_cnf(fields.raw(_CNF)),
        nbf=fields.time(_NBF),
        exp=fields.time(_EXP),
        iat=fields.uint(_IAT, MAX_TIME),
        capabilities=Capability(fields.uint(_CAPABILITIES, MAX_NUMBER)),
        holder_class=fields.choice(_CLASS, HolderClass),
        epoch=fields.optional_uint(_EPOCH),
        schedule=read_schedule(fields.raw(_SCHEDULE)) if fields.has(_SCHEDULE) else None,
        uses=fields.optional_uint(_USES),
    )
    fields.close()
    if claims.uses not in {None, 1}:
        raise bad("a credential opens once, or any number of times")
    if not life_allowed(claims):
        raise RemoteError(Denial.LIFE_TOO_LONG, f"{claims.exp - claims.nbf} s")
    return claims


def _read_cnf(value: object) -> bytes:
    """The point of ``{1: COSE_Key}``; whether it lies on the curve shows when it verifies."""
    if type(value) is not dict or set(value) != {_COSE_KEY}:
        raise bad("cnf is not {1: COSE_Key}")
    key = value[_COSE_KEY]
    if type(key) is not dict or set(key) != {_KTY, _CRV, _X, _Y}:
        raise bad("cnf is no EC2 key")
    if key[_KTY] != _EC2 or key[_CRV] != _P256:
        raise bad("cnf is no P-256 key")
    return b"\x04" + as_octets(key[_X], 32, "x") + as_octets(key[_Y], 32, "y")


def schedule_row(schedule: Schedule) -> list[object]:
    """As it is signed: ``[offset, [from, until, from, until, ...]]``."""
    return [schedule.offset, [part for window in schedule.windows for part in window]]


def read_schedule(value: object) -> Schedule:
    """The reverse of ``schedule_row``.  RemoteError: BAD_FORMAT, TOO_LARGE."""
    offset, minutes = as_list(value, "schedule", length=2)
    if type(offset) is not int or not -MAX_OFFSET <= offset <= MAX_OFFSET:
        raise bad("schedule offset")
    numbers = [as_uint(m, WEEK, "minute") for m in as_list(minutes, "windows", most=2 * MAX_WINDOWS)]
    if len(numbers) % 2:
        raise bad("an odd number of minutes")
    try:
        return Schedule(offset, tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    except LocalError as error:
        raise bad(str(error)) from None
