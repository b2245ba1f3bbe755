"""Telephone numbers: one spelling inside, a mask for everybody else."""

import re

from lockserver.domain.errors import InvalidInputError

_SEPARATORS = re.compile(r"[ \-().]")
_MAINLAND = re.compile(r"^1[3-9][0-9]{9}$")
_E164 = re.compile(r"^\+[1-9][0-9]{6,14}$")
_MAINLAND_PREFIX = "+86"


def normalise(text: str) -> str:
    """Return the number in E.164; eleven digits from 13 to 19 are a mainland mobile.

    Raises InvalidInputError, which does not repeat the number.
    """
    number = _SEPARATORS.sub("", text.strip())
    if number.startswith("00"):
        number = "+" + number[2:]
    if _MAINLAND.match(number):
        return _MAINLAND_PREFIX + number
    if number.startswith("86") and _MAINLAND.match(number[2:]):
        return "+" + number
    if _E164.match(number):
        return number
    raise InvalidInputError(field="phone")


def mask(number: str) -> str:
    """Return `138****1234` for a mainland mobile, else the first four and last two characters."""
    local = number.removeprefix(_MAINLAND_PREFIX)
    if _MAINLAND.match(local):
        return f"{local[:3]}****{local[-4:]}"
    return f"{number[:4]}****{number[-2:]}"
