"""Identifiers: UUIDv7 (RFC 9562 §5.7), from one function.

A UUIDv7 begins with the millisecond of its making, so rows made together lie together in an index
and ids sort by age. It names things and proves nothing: what must not be guessed is a secret of
32 random bytes (`new_secret`), never an id.
"""

from datetime import UTC, datetime
from uuid import UUID

from lockserver.domain.times import Clock, require_utc
from lockserver.protocol.curve import Random

ENTROPY_BYTES = 10
"""Ten bytes hold the 74 random bits of a UUIDv7."""
SECRET_BYTES = 32

__all__ = ["Random", "made_at", "new_id", "new_secret", "uuid7"]


def uuid7(at: datetime, entropy: bytes) -> UUID:
    """Return the UUIDv7 of the aware instant `at` with ten bytes of `entropy`.

    Raises ValueError for a naive instant, another number of bytes, or an instant before 1970.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a UUIDv7 takes {ENTROPY_BYTES} bytes of entropy, not {len(entropy)}")
    milliseconds = int(require_utc(at).timestamp() * 1000)
    if not 0 <= milliseconds < 1 << 48:
        raise ValueError("the instant does not fit the 48-bit timestamp of a UUIDv7")
    bits = int.from_bytes(entropy)
    rand_a = bits >> 68  # 12 bits
    rand_b = bits & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


def made_at(made: UUID) -> datetime:
    """Return the millisecond of a UUIDv7's making, in UTC."""
    return datetime.fromtimestamp((made.int >> 80) / 1000, tz=UTC)


def new_id(clock: Clock, random: Random) -> UUID:
    """Return a fresh UUIDv7."""
    return uuid7(clock.now(), random(ENTROPY_BYTES))


def new_secret(random: Random) -> bytes:
    """Return 32 random bytes: a session's, an invite's, a broker password's."""
    return random(SECRET_BYTES)
