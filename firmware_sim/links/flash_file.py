"""A flash chip in a file, so that a simulated lock survives its process.

Appends go to the file at once (a killed process loses nothing that was written); the other bank is a
second file, renamed over the first.
"""

from __future__ import annotations

import os
from pathlib import Path


class FileMedium:
    """One lock's flash as `path`, mode 0600: it holds the lock's private keys."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def read(self) -> bytes:
        """The current bank."""
        return self._path.read_bytes()

    def append(self, data: bytes, at: int) -> None:
        """Write at an offset, over a torn tail if there is one."""
        os.ftruncate(self._file, at)
        os.pwrite(self._file, data, at)

    def swap(self, data: bytes) -> None:
        """Write the other bank and rename it over this one, whose bytes are then blanked."""
        other = self._path.with_suffix(".swap")
        file = os.open(other, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.pwrite(file, data, 0)
        os.fsync(file)
        other.replace(self._path)
        os.pwrite(self._file, bytes(os.fstat(self._file).st_size), 0)
        os.close(self._file)
        self._file = file

    def erase_other(self) -> None:
        """The other bank is gone with its name; only a swap that was cut short leaves something."""
        self._path.with_suffix(".swap").unlink(missing_ok=True)

    def image(self, bank: int) -> bytes:
        """What was written since the bank was erased."""
        path = self._image(bank)
        return path.read_bytes() if path.exists() else b""

    def write_image(self, bank: int, at: int, data: bytes) -> None:
        """Write at an offset, over a torn tail if there is one."""
        file = os.open(self._image(bank), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(file, at)
            os.pwrite(file, data, at)
        finally:
            os.close(file)

    def erase_image(self, bank: int) -> None:
        """Forget the bank."""
        self._image(bank).unlink(missing_ok=True)

    def _image(self, bank: int) -> Path:
        return self._path.with_suffix(f".image{bank}")

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)
