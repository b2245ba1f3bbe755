"""What a grantor signed, read from the request's own JSON: by the role api once, by the issuer again.

Both read the same bytes with the same eyes. So a grant that says more than its wish is no grant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from lockserver.domain.canonical import unb64url
from lockserver.domain.errors import InvalidInputError, WindowInvalidError, WindowPastError, WindowWideError
from lockserver.domain.grant import KEEP, VERBS, Edit, Keep, Reach, capabilities_of
from lockserver.domain.schedule import read_schedule
from lockserver.domain.times import Window, require_utc
from lockserver.protocol.claims import Capability
from lockserver.protocol.limits import TENANT_LIFE

NamedClass = Literal["guest", "staff"]
MOST_DOORS: Final = 16
"""Doors of one bundle: a house's gates, corridor and a room."""
KEY_BYTES: Final = 32
DEFAULT: Final = int(Capability.UNLOCK)
ONE_TIME: Final = timedelta(seconds=TENANT_LIFE)
"""A right for one opening has one credential, ever; so it lasts no longer than one may."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Who is let in where, when, to do what: `key` is SHA-256 of the signing key of his one phone."""

    door_ids: tuple[UUID, ...]
    class_: NamedClass
    key: bytes
    reach: Reach
    uses: int | None


def read_terms(body: Mapping[str, Any]) -> Terms:
    """Read `{door_ids, class, guest_key, window, schedule?, capabilities?, uses?}`.

    Raises InvalidInputError, WindowInvalidError, WindowWideError, ScheduleInvalidError, ScheduleZoneError.
    """
    class_, uses = body.get("class"), body.get("uses")
    if class_ not in ("guest", "staff"):
        raise InvalidInputError(field="class")
    if uses not in (None, 1) or isinstance(uses, bool) or (uses is not None and class_ != "guest"):
        raise InvalidInputError(field="uses")
    window = _window(body.get("window"))
    if uses == 1 and (window.upper is None or window.upper - window.lower > ONE_TIME):
        raise WindowWideError(field="window.until", most_hours=int(ONE_TIME.total_seconds() // 3600))
    capabilities = capabilities_of(body["capabilities"]) if "capabilities" in body else DEFAULT
    if capabilities is None:
        raise InvalidInputError(field="capabilities", one_of=list(VERBS))
    said = body.get("schedule")
    schedule = None if said is None else read_schedule(_object(said, "schedule"))
    return Terms(
        _door_ids(body.get("door_ids")),
        "guest" if class_ == "guest" else "staff",
        read_key(body.get("guest_key"), "guest_key"),
        Reach(window, capabilities, schedule),
        uses,
    )


def read_edit(body: Mapping[str, Any]) -> Edit:
    """Read `{window?: {from?, until?}, schedule?, capabilities?, widen?}`: what is not there is kept.

    Raises InvalidInputError, WindowInvalidError, ScheduleInvalidError, ScheduleZoneError.
    """
    capabilities: int | Keep = KEEP
    if "capabilities" in body:
        bits = capabilities_of(body["capabilities"])
        if bits is None:
            raise InvalidInputError(field="capabilities", one_of=list(VERBS))
        capabilities = bits
    schedule: dict[str, object] | Keep | None = KEEP
    if "schedule" in body:
        said = body["schedule"]
        schedule = None if said is None else read_schedule(_object(said, "schedule"))
    window = _object(body.get("window", {}), "window")
    lower = _instant(window["from"], "window.from") if "from" in window else KEEP
    upper: datetime | Keep | None = KEEP
    if "until" in window:
        upper = None if window["until"] is None else _instant(window["until"], "window.until")
    widen = body.get("widen", False)
    if not isinstance(widen, bool):
        raise InvalidInputError(field="widen")
    return Edit(lower, upper, capabilities, schedule, widen)


def check_ahead(window: Window, now: datetime) -> None:
    """Refuse a window that is over; raises WindowPastError."""
    if window.upper is not None and window.upper <= now:
        raise WindowPastError(field="window.until", later_than=require_utc(now).isoformat())


def read_key(said: object, field: str) -> bytes:
    """Return the 32 bytes that name a phone's key; raises InvalidInputError."""
    try:
        key = unb64url(said) if isinstance(said, str) else b""
    except InvalidInputError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidInputError(field=field)
    return key


def _door_ids(said: object) -> tuple[UUID, ...]:
    if not isinstance(said, list) or not 1 <= len(said) <= MOST_DOORS:
        raise InvalidInputError(field="door_ids", most=MOST_DOORS)
    try:
        ids = tuple(UUID(str(one)) for one in said)
    except ValueError as error:
        raise InvalidInputError(field="door_ids") from error
    if len(set(ids)) != len(ids):
        raise InvalidInputError(field="door_ids", problem="twice")
    return ids


def _window(said: object) -> Window:
    named = _object(said, "window")
    if "from" not in named or "until" not in named:
        raise InvalidInputError(field="window")
    lower = _instant(named["from"], "window.from")
    upper = None if named["until"] is None else _instant(named["until"], "window.until")
    try:
        return Window(lower, upper)
    except ValueError as error:
        raise WindowInvalidError(field="window.until", later_than=str(named["from"])) from error


def _instant(said: object, field: str) -> datetime:
    """Read RFC 3339 with its offset."""
    try:
        return require_utc(datetime.fromisoformat(said if isinstance(said, str) else ""))
    except (ValueError, OverflowError) as error:  # the calendar's last day lies beyond it, by some offsets
        raise WindowInvalidError(field=field, problem="instant") from error


def _object(said: object, field: str) -> Mapping[str, Any]:
    if not isinstance(said, Mapping):
        raise InvalidInputError(field=field)
    return said
