"""Firmware images as the server keeps them. It signs none: the manufacturer does, and the lock checks (L-14)."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FirmwareImage:
    """An image without its bytes. `serials`: how the serial numbers begin of the locks that it is for."""

    id: UUID
    model: str
    serials: str
    counter: int
    version: str
    manifest: bytes
    size: int
