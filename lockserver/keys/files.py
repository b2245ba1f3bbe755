"""Key files: 0600 in folders 0700, written whole or not at all, and refused when others could read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(RuntimeError):
    """A key file is missing, readable by others or not what it should be; one line, with the cure."""


def make_folder(folder: Path) -> None:
    """Make the folder, for its owner only."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)  # mkdir's mode passes through the umask, and the folder may be old


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file for its owner only. Raises FileExistsError rather than overwrite a key."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, FILE_MODE)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def read_secret(path: Path) -> bytes:
    """Return the file's bytes. Raises KeyFileError where it is missing or others may read it."""
    try:
        for part, wanted in ((path.parent, FOLDER_MODE), (path, FILE_MODE)):
            if part.stat().st_mode & _OTHERS:
                raise KeyFileError(f"{part} is open to others: chmod {wanted:o} {part}")
        return path.read_bytes()
    except FileNotFoundError:
        raise KeyFileError(f"{path} is missing: `lockserver demo` or a set-up makes it") from None
    except PermissionError:
        raise KeyFileError(f"{path} cannot be read by this user: chown it to him") from None


def write_private_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a P-256 key as PEM (PKCS 8)."""
    write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def read_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of a PEM file. Raises KeyFileError."""
    data = read_secret(path)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        raise KeyFileError(f"{path} holds no private key in PEM: put back the right file") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(f"{path} holds a key of another kind: P-256 is wanted")
    return key


def read_exactly(path: Path, count: int) -> bytes:
    """Return a symmetric key of `count` bytes. Raises KeyFileError."""
    data = read_secret(path)
    if len(data) != count:
        raise KeyFileError(f"{path} holds {len(data)} bytes instead of {count}: put back the right file")
    return data
