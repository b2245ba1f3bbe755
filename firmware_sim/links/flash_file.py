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
        """Write the other bank and rename it over this one."""
        other = self._path.with_suffix(".swap")
        file = os.open(other, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.pwrite(file, data, 0)
        os.fsync(file)
        other.replace(self._path)
        os.close(self._file)
        self._file = file

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)
