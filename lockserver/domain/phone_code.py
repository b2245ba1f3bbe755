"""Six digits that name a phone's key, short enough to be read off a screen."""

import hashlib

DIGITS = 6


def phone_code(sign_pub: bytes) -> str:
    """Return the first six decimal digits of SHA-256(sign_pub), read as one integer."""
    return str(int.from_bytes(hashlib.sha256(sign_pub).digest()))[:DIGITS]
