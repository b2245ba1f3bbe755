"""Keys, seen by what they can do; none shows its private half."""

from typing import Protocol


class Signer(Protocol):
    """A P-256 key that signs."""

    @property
    def kid(self) -> bytes:
        """The key's id in `site_keys` and in protected headers."""
        ...

    @property
    def public(self) -> bytes:
        """The public point, 65 bytes, uncompressed."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature over SHA-256(message) as r‖s, 64 bytes."""
        ...


class Sealer(Protocol):
    """Seals to somebody else's public key; cannot open what it sealed."""

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """Return the sealed box, bound to `aad`."""
        ...


class Opener(Protocol):
    """Opens boxes sealed to its public key."""

    @property
    def public(self) -> bytes:
        """The public point that others seal to, 65 bytes."""
        ...

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Return the plaintext; raises SealBrokenError."""
        ...


class FieldCipher(Protocol):
    """Encrypts a value for one table, column and row: moved elsewhere it does not open (L-32)."""

    def seal(self, plaintext: bytes, *, table: str, column: str, row: bytes) -> bytes:
        """Return the ciphertext."""
        ...

    def open(self, sealed: bytes, *, table: str, column: str, row: bytes) -> bytes:
        """Return the plaintext; raises CiphertextMovedError."""
        ...


class PhoneIndex(Protocol):
    """Turns a telephone number into its keyed hash."""

    def index(self, value: str, /) -> bytes:
        """Return HMAC-SHA-256 of the normalised number, 32 bytes."""
        ...
