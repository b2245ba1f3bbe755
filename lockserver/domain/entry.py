"""Entries of owner or staff to an occupied room (L-52), and what people are told.

`entry` is conveyed while an entry lives: by the consent of an adult who lives there, or by an emergency
that is limited in time, gives a reason, and tells everybody who lives there in the same transaction.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from lockserver.domain.grant import GrantClass
from lockserver.domain.grant_errors import GrantEndedError
from lockserver.domain.times import Window

EntryKind = Literal["consent", "emergency"]
EntryClass = Literal["owner", "staff", "both"]
NoticeKind = Literal[
    "entry_consent",
    "entry_emergency",
    "entry_ended",
    "grant_given",
    "grant_frozen",
    "grant_unfrozen",
    "grant_revoked",
    "grant_edited",
    "access_at_risk",
    "card_refused",
    "lock_released",
]

CLASSES: Final[dict[int, EntryClass]] = {1: "owner", 2: "staff"}
"""A wish's argument `class`."""
REASON_LEAST: Final = 10
"""Characters: a word is no reason."""
EMERGENCY_MOST: Final = timedelta(hours=4)
EMERGENCIES_A_DAY: Final = 3
"""At one door in 24 hours; a fourth needs a person to look."""
CONSENT_MOST: Final = timedelta(days=7)
CONSENT_AHEAD: Final = timedelta(days=30)
"""A consent is for a stated time: it begins within a month and lasts a week at most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A time in which owner or staff may enter; `holder_id` names one person, None all of the class."""

    id: UUID
    lock_id: UUID
    door_id: UUID
    tenancy_id: UUID
    kind: EntryKind
    class_: EntryClass
    holder_id: UUID | None
    given_by: UUID
    wish_id: UUID
    reason: str | None
    lower: datetime
    upper: datetime
    ended_at: datetime | None = None

    @property
    def window(self) -> Window:
        """Return its half-open window."""
        return Window(self.lower, self.upper)

    def lives(self, at: datetime) -> bool:
        """Tell whether somebody may enter by it at this instant."""
        return self.ended_at is None and self.window.holds(at)

    def admits(self, class_: GrantClass, holder_id: UUID) -> bool:
        """Tell whether it is for this person."""
        return self.class_ in {class_, "both"} and self.holder_id in {None, holder_id}

    def ended(self, at: datetime) -> "Entry":
        """Return it ended; raises GrantEndedError where it has ended, or run out."""
        if self.ended_at is not None or at >= self.upper:
            raise GrantEndedError
        return replace(self, ended_at=at)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person was told. `detail` holds no field of any person."""

    id: UUID
    holder_id: UUID
    kind: NoticeKind
    about: UUID
    detail: dict[str, object]
    at: datetime
    seen_at: datetime | None = None
