"""Refusals of grants, entries and notices; each says in `detail` which field to change, and to what."""

from lockserver.domain.errors import DomainError


class ScheduleInvalidError(DomainError):
    """A line of the schedule does not name days and times of a week; `detail` says which and why."""

    code = "schedule_invalid"


class ScheduleZoneError(DomainError):
    """The schedule is written in another time zone than the house's."""

    code = "schedule_zone"


class ScheduleWideError(DomainError):
    """The schedule reaches outside that of the grant it hangs under; `detail` has the bounds."""

    code = "schedule_wide"


class CapabilityWideError(DomainError):
    """A capability is asked for that the grantor has not, or that the class may not have."""

    code = "capability_wide"


class GrantEndedError(DomainError):
    """The grant was revoked, or hangs under one that was."""

    code = "grant_ended"


class RoomsGuestsError(DomainError):
    """Guests of a room are named by an adult who lives there, and by nobody else."""

    code = "guest_of_room"


class EntryMissingError(DomainError):
    """Somebody lives there: his consent or a declared emergency comes first."""

    code = "entry_missing"


class EntryInvalidError(DomainError):
    """The consent or emergency does not say what it must; `detail` names the argument and its bound."""

    code = "entry_invalid"


class EntryTooOftenError(DomainError):
    """So many emergencies were declared at this door today that a person must look first."""

    code = "entry_too_often"


class RoomVacantError(DomainError):
    """Nobody lives there: a key of one's own suffices."""

    code = "room_vacant"


class LandlordOccupantError(DomainError):
    """A landlord cannot be a tenant of his own lease."""

    code = "landlord_occupant"
