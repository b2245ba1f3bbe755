"""Canonical JSON and digests as the contract's README says. Own code: the relay has its own."""

import hashlib
import json
from typing import Any


class BadJsonError(ValueError):
    """Bytes that are no JSON object of the contract."""


def dump(document: dict[str, Any]) -> bytes:
    """Canonical bytes: sorted keys, no white space, UTF-8."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def load(body: bytes) -> dict[str, Any]:
    """The object in `body`.

    Raises:
        BadJsonError: anything else.

    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        if len(set(names)) < len(names):
            raise BadJsonError("repeated name")
        return dict(items)

    try:
        document = json.loads(body.decode(), object_pairs_hook=pairs)
        if isinstance(document, dict):
            dump(document)  # a lone surrogate shows here
            return document
    except (ValueError, RecursionError) as error:
        raise BadJsonError(str(error)) from error
    raise BadJsonError("not an object")


def digest(document: dict[str, Any]) -> str:
    """The content digest of a body."""
    return f"sha-256:{hashlib.sha256(dump(document)).hexdigest()}"


def text_digest(text: str) -> str:
    """The digest of a text, in the same form."""
    return f"sha-256:{hashlib.sha256(text.encode()).hexdigest()}"
