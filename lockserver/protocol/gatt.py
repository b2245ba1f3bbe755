"""Names that phone and lock share on the radio: the door service and its beacon.

The UUIDs are the project's own, of version 4. The beacon is manufacturer data under the company id
that the Bluetooth SIG keeps for internal use, since the project has none of its own.
"""

from __future__ import annotations

import hashlib
from typing import Final

#: The door service.
SERVICE: Final = "6c6b3100-9b1d-4d0c-8f6e-5d0f3c7a1e52"
#: Phone to lock: WRITE | WRITE WITHOUT RESPONSE, one fragment a write.
ASK: Final = "6c6b3101-9b1d-4d0c-8f6e-5d0f3c7a1e52"
#: Lock to phone: READ | NOTIFY, one fragment a notification or a read; an empty read: nothing yet.
ANSWER: Final = "6c6b3102-9b1d-4d0c-8f6e-5d0f3c7a1e52"

#: The ATT_MTU that phones ask for: one fragment then fits one link-layer packet (251 - 4 bytes).
WANTED_MTU: Final = 247

#: "Internal use" company identifier (Bluetooth Assigned Numbers 7.1).
COMPANY: Final = 0xFFFF
#: Bytes of the tag: what an advertisement of 31 bytes has room for.
TAG_SIZE: Final = 5

_CLAIMABLE: Final = 0x01


def tag(name: bytes) -> bytes:
    """Five bytes by which a phone that knows `name` finds the lock: its id, or its serial if unclaimed.

    A hint for finding, not a proof: the handshake proves.
    """
    return hashlib.sha256(b"LK1 beacon" + name).digest()[:TAG_SIZE]


def beacon(lock_tag: bytes, *, claimable: bool) -> bytes:
    """Manufacturer data: company id (little endian), flags, tag."""
    return COMPANY.to_bytes(2, "little") + bytes([_CLAIMABLE if claimable else 0]) + lock_tag
