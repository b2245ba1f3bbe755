"""Refusals of PINs, cards and fingers."""

from lockserver.domain.errors import DomainError


class PinLengthError(DomainError):
    """A PIN has as many digits as `GET /v1/pin-rules` says, and nothing but digits."""

    code = "pin_length"


class PinWeakError(DomainError):
    """The PIN is among the first that anybody would try; `rule` names the published rule that it breaks."""

    code = "pin_weak"


class PinTakenError(DomainError):
    """This PIN cannot be had at this lock; choose another."""

    code = "pin_taken"


class SlotsFullError(DomainError):
    """The lock holds as many PINs, cards or fingers as it can; remove one first."""

    code = "slots_full"


class CardTakenError(DomainError):
    """This card or finger is enrolled at this lock already."""

    code = "card_taken"


class PinHourFullError(DomainError):
    """Both PINs of this kind and hour are given; choose another hour or another kind."""

    code = "pin_hour_full"


class BackupMissingError(DomainError):
    """The lock holds no backup PIN that is still free."""

    code = "backup_missing"


class SlotGoneError(DomainError):
    """This PIN, card or finger is on its way out of the lock, or gone."""

    code = "slot_gone"
