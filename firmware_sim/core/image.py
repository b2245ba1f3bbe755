"""A firmware image of the simulator: opaque bytes behind a head that names their version.

What runs says what it is called; nobody else's word for it is taken.
"""

from __future__ import annotations

from typing import Final

_MAGIC: Final = b"LSIM image\x00"


def build_image(version: str, payload: bytes) -> bytes:
    """An image called `version` (at most 32 characters of UTF-8, 255 bytes)."""
    name = version.encode()
    return _MAGIC + bytes([len(name)]) + name + payload


def image_version(image: bytes) -> str | None:
    """What the image calls itself; None if it is no image of ours."""
    if not image.startswith(_MAGIC) or len(image) <= len(_MAGIC):
        return None
    start = len(_MAGIC) + 1
    name = image[start : start + image[len(_MAGIC)]]
    try:
        return name.decode() if len(name) == image[len(_MAGIC)] else None
    except UnicodeDecodeError:
        return None
