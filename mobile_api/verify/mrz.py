"""The machine readable zone of travel documents: ICAO Doc 9303, 8th edition, parts 3 to 6, read by our own code.

Three formats: TD3 (passports, 2 lines of 44), TD1 (cards, 3 of 30) and TD2 (2 of 36). Every check digit is
computed; what fails is named by its field, so that its owner can correct that field and no other. Six of forty
lines that an OCR engine read wrongly passed every check digit: a number is always confirmed by its owner.
"""

from __future__ import annotations

import re
from calendar import isleap
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

Format = Literal["TD1", "TD2", "TD3"]
Sex = Literal["M", "F", "X"]

#: Part 3, 4.9: weights that repeat over the characters.
WEIGHTS: Final = (7, 3, 1)
#: A document is issued for at most this many years (part 4, 3: ten are usual): what expires later was misread.
LONGEST_YEARS: Final = 20

_SHAPES: Final[dict[tuple[int, int], Format]] = {(3, 30): "TD1", (2, 36): "TD2", (2, 44): "TD3"}
_ALPHABET: Final = re.compile(r"[A-Z0-9<]+\Z")
_DIGITS_FOR: Final = str.maketrans("OQDIZSBG", "00012586")
_LETTERS_FOR: Final = str.maketrans("0125", "OIZS")


class MrzError(ValueError):
    """What was read is no zone; `code` is stable: `mrz_shape`, `mrz_characters`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Zone:
    """What a zone says. `faults` names each field whose check digit or form is wrong, empty if all agree.

    `surname` and `given` in the zone's own transliteration, words apart by spaces; `nationality` and `issuer` are
    three letters (Germany's `D` is one). A date that is none is None, and a fault.
    """

    format: Format
    kind: str
    issuer: str
    surname: str
    given: str
    number: str
    nationality: str
    birth: date | None
    sex: Sex
    expires: date | None
    optional: str
    faults: tuple[str, ...]


def check_digit(text: str) -> int:
    """The check digit of a field (part 3, 4.9): digits count as themselves, A to Z as 10 to 35, `<` as 0."""
    return sum(_value(one) * WEIGHTS[at % 3] for at, one in enumerate(text)) % 10


def read_zone(text: str, today: date) -> Zone:
    """Read the lines of a zone, as they came from a picture: blanks inside lines are dropped.

    Letters where only digits can stand (O for 0, I for 1 …) are taken for what they look like, before the check
    digit judges. Raises MrzError.
    """
    lines = [re.sub(r"\s", "", line).upper() for line in text.splitlines() if line.strip()]
    found = _SHAPES.get((len(lines), len(lines[0]))) if lines else None
    if found is None or any(len(line) != len(lines[0]) for line in lines):
        raise MrzError("mrz_shape")
    if not all(_ALPHABET.match(line) for line in lines):
        raise MrzError("mrz_characters")
    return _card(lines, today) if found == "TD1" else _page(found, lines, today)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A zone cut up. `middle`: birth, sex, expiry; `checks`: what each check digit is for, and that digit."""

    form: Format
    kind: str
    issuer: str
    names: str
    number: str
    nationality: str
    middle: tuple[str, str, str]
    optional: str
    checks: dict[str, tuple[str, str]]


def _page(form: Format, lines: list[str], today: date) -> Zone:
    """TD3 and TD2: names above, data below (part 4, 4.2; part 6, 4.2)."""
    above, below = lines
    ends = 42 if form == "TD3" else 35
    number, birth, expires = below[0:9], _digits(below[13:19]), _digits(below[21:27])
    optional = below[28:ends]
    composite = below[0:10] + birth + below[19] + expires + below[27 : 43 if form == "TD3" else 35]
    long_number = None
    if form == "TD2":
        number, long_number, optional = _long(number, below[9], optional)
    checks = {
        "number": (number, long_number or below[9]),
        "birth": (birth, below[19]),
        "expires": (expires, below[27]),
        "composite": (composite, below[-1]),
    }
    if form == "TD3" and not (set(optional) == {"<"} and below[42] == "<"):
        checks["optional"] = (optional, below[42])
    return _zone(
        _Parts(
            form,
            above[0:2],
            above[2:5],
            above[5:],
            number,
            below[10:13],
            (birth, below[20], expires),
            optional,
            checks,
        ),
        today,
    )


def _card(lines: list[str], today: date) -> Zone:
    """TD1 (part 5, 4.2)."""
    first, second, names = lines
    number, long_number, optional = _long(first[5:14], first[14], first[15:30])
    birth, expires = _digits(second[0:6]), _digits(second[8:14])
    composite = first[5:30] + birth + second[6] + expires + second[14] + second[18:29]
    checks = {
        "number": (number, long_number or first[14]),
        "birth": (birth, second[6]),
        "expires": (expires, second[14]),
        "composite": (composite, second[29]),
    }
    middle = (birth, second[7], expires)
    return _zone(
        _Parts(
            "TD1",
            first[0:2],
            first[2:5],
            names,
            number,
            second[15:18],
            middle,
            optional + second[18:29],
            checks,
        ),
        today,
    )


def _long(number: str, check: str, optional: str) -> tuple[str, str | None, str]:
    """A number of more than nine characters goes on in the optional data (part 5, 4.2.2 note j)."""
    if check != "<":
        return number, None, optional
    rest, _, left = optional.partition("<")
    return number + rest[:-1], rest[-1:] or "<", left


def _zone(parts: _Parts, today: date) -> Zone:
    checks, middle = parts.checks, parts.middle
    faults = [name for name, (said, digit) in checks.items() if _digits(digit) != str(check_digit(said))]
    birth, expires = _birth(middle[0], today), _expiry(middle[2], today)
    faults += [
        name for name, day in (("birth", birth), ("expires", expires)) if day is None and name not in faults
    ]
    surname, _, given = parts.names.rstrip("<").partition("<<")
    sex: Sex = "M" if middle[1] == "M" else "F" if middle[1] == "F" else "X"
    if middle[1] not in "MF<X":
        faults.append("sex")
    return Zone(
        format=parts.form,
        kind=parts.kind.rstrip("<"),
        issuer=parts.issuer.translate(_LETTERS_FOR).rstrip("<"),
        surname=_words(surname),
        given=_words(given),
        number=parts.number.rstrip("<"),
        nationality=parts.nationality.translate(_LETTERS_FOR).rstrip("<"),
        birth=birth,
        sex=sex,
        expires=expires,
        optional=parts.optional.rstrip("<"),
        faults=tuple(faults),
    )


def _value(one: str) -> int:
    return 0 if one == "<" else int(one, 36)


def _digits(text: str) -> str:
    return text.translate(_DIGITS_FOR)


def _words(text: str) -> str:
    return " ".join(word for word in text.split("<") if word)


def _birth(text: str, today: date) -> date | None:
    """Nobody is born in the future: of the two centuries the later that is past."""
    late = _day(text, today.year - today.year % 100)
    return late if late is not None and late <= today else _day(text, today.year - today.year % 100 - 100)


def _expiry(text: str, today: date) -> date | None:
    """A document outlives its reading by less than `LONGEST_YEARS`, or expired in the last eighty."""
    late = _day(text, today.year - today.year % 100)
    if late is not None and late.year > today.year + LONGEST_YEARS:
        return _day(text, today.year - today.year % 100 - 100)
    return late


def _day(text: str, century: int) -> date | None:
    if not text.isdigit():
        return None
    year, month, day = century + int(text[0:2]), int(text[2:4]), int(text[4:6])
    if (month, day) == (2, 29) and not isleap(year):
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None
