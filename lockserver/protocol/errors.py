"""Refusals of the wire: who erred, why exactly, and how much of it is said over the air.

Two exceptions, after h11: ``RemoteError`` (they erred: any bytes from outside can only end in this
one) and ``LocalError`` (we erred: a caller of this library broke its contract).  ``Denial`` is the
one table of exact reasons; it goes into the lock's journal and the server's records.  ``AirCode``
is all that a phone learns from a lock.
"""

from enum import IntEnum


class Denial(IntEnum):
    """Exact reason of a refusal.  Append-only: a number is never reused or given another sense."""

    BAD_VERSION = 1  # another protocol version, or none
    BAD_FORMAT = 2  # not the one canonical encoding of an allowed message
    TOO_LARGE = 3  # above a named limit
    BAD_ISSUER = 4  # no issuer key that we trust signed this credential
    BAD_PROOF = 5  # the holder's signature under the credential's key does not verify
    BAD_SIGNATURE = 6  # any other signature or MAC that does not verify
    UNKNOWN_KEY = 7  # the key id names no key that we hold
    BAD_POINT = 8  # a public key that is not a point of P-256
    BAD_BOX = 9  # a sealed box or an AEAD that does not open
    UNKNOWN_CLAIM = 10  # a critical claim that this reader does not know
    WRONG_LOCK = 11
    NOT_YET = 12
    EXPIRED = 13
    REVOKED = 14
    EPOCH_LOW = 15
    EPOCH_JUMP = 16  # further above the lock's epoch than the bound
    EPOCH_SHARED = 17  # an epoch at a door that has none
    CAPABILITY = 18
    SCHEDULE = 19
    CLOCK_LOST = 20
    OCCUPIED = 21  # owner or staff without `entry` at an occupied room
    STALE_COMMAND = 22  # past its `not_after`, by an attested clock
    COUNTER = 23  # the command's counter was used or passed
    WISH_USED = 24
    WISH_EXPIRED = 25
    WISH_BAD = 26  # not this holder's, for another door, or for another operation
    NOT_ATTESTED = 27  # the clock could not be attested in time to judge a deadline
    JAMMED = 28
    LIFE_TOO_LONG = 29  # a credential that lives longer than its class may
    ROLLED_BACK = 30  # a document with a number at or below the one held
    REPLAYED = 31  # a report at or below the last (boot, seq)
    WRONG_STATE = 32  # a message at the wrong moment
    TIMED_OUT = 33  # M3 came later than the bound after M2
    BACK_OFF = 34  # too many failed attempts
    NO_BUTTON = 35  # enrolment without the button, or too late after it
    TORN = 36  # power was cut within the act
    LIST_FLOOR = 37  # issued before the revocation list's `iat` floor
    WRONG_NONCE = 38  # a time statement or enrolment for another nonce
    UNSUPPORTED = 39  # a well-formed request that this lock does not serve
    BURNT = 40  # the other side answered 7F: it refused before a credential had verified
    USED_UP = 41  # a one-time credential or PIN whose opening has been had
    KEYPAD_LOCKED = 42  # the keypad, or the card or finger reader, rests after failures
    PIN_UNKNOWN = 43  # nothing held here fits what was keyed, held up or touched
    BUSY = 44  # the motor's queue is full
    SLOTS_FULL = 45  # no room for another PIN, card or finger

    @property
    def word(self) -> str:
        """Stable lower-case code for logs, problems and pages, e.g. ``epoch_low``."""
        return self.name.lower()


class AirCode(IntEnum):
    """What a lock says to a phone in M4.  Coarse on purpose: no oracle for a stranger's key."""

    GRANTED = 0
    DENIED = 1
    TRY_LATER = 2
    CLOCK_LOST = 3
    UPDATE_REQUIRED = 4

    @property
    def word(self) -> str:
        """Stable lower-case code, e.g. ``try_later``."""
        return self.name.lower()


_AIR = {
    Denial.CLOCK_LOST: AirCode.CLOCK_LOST,
    Denial.NOT_ATTESTED: AirCode.TRY_LATER,
    Denial.JAMMED: AirCode.TRY_LATER,
    Denial.BACK_OFF: AirCode.TRY_LATER,
    Denial.BUSY: AirCode.TRY_LATER,
    Denial.KEYPAD_LOCKED: AirCode.TRY_LATER,
    Denial.TIMED_OUT: AirCode.TRY_LATER,
    Denial.TORN: AirCode.TRY_LATER,
    Denial.UNKNOWN_CLAIM: AirCode.UPDATE_REQUIRED,
    Denial.UNSUPPORTED: AirCode.UPDATE_REQUIRED,
}


def air_code(denial: Denial | None) -> AirCode:
    """Coarse code of an exact reason; ``None`` (no denial) is ``GRANTED``."""
    return AirCode.GRANTED if denial is None else _AIR.get(denial, AirCode.DENIED)


class ProtocolError(Exception):
    """Root of both."""


class RemoteError(ProtocolError):
    """The other side erred.  ``code`` is stable; ``detail`` is for diagnostics and names no secret."""

    def __init__(self, code: Denial, detail: str = "") -> None:
        super().__init__(f"{code.word}: {detail}" if detail else code.word)
        self.code = code
        self.detail = detail


class LocalError(ProtocolError):
    """We erred: this library was called against its contract."""
