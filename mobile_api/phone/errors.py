"""What may go wrong at a door, in words for a person. Each has a stable `code`."""

from __future__ import annotations


class PhoneError(Exception):
    """Root of these. `code` is stable."""

    code = "phone_error"


class NoSuchDoorError(PhoneError):
    """No lock in reach answers to this name."""

    code = "no_such_door"


class DoorGoneError(PhoneError):
    """The connection ended, or the lock said nothing in time."""

    code = "door_gone"


class NoKeyError(PhoneError):
    """This phone holds no key for that door."""

    code = "no_key"


class RefusedError(PhoneError):
    """The lock refused before the credential had verified (`7F`), or with the coarse code given."""

    code = "refused"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class WeakPinError(PhoneError):
    """The PIN breaks the published rule `why` (docs/protocol.md, custom PINs)."""

    code = "pin_weak"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NoPinKeyError(PhoneError):
    """The site's key set names nobody to whom a PIN could be sealed."""

    code = "no_pin_key"
