"""Identity numbers and card fields: what the number itself proves, and where fields contradict it.

Pure: the day of today is an argument (the civil date in Asia/Shanghai). Nothing raises on bad
input: a check answers with the value it found or with a :class:`Fault` that names the field,
because a person corrects fields, not exceptions. Values that carry an identity number print masked.

Sources: GB 11643-1999 (18 characters, check character by ISO 7064 MOD 11-2), GB/T 2260 (regions),
GB/T 2261.1 (sexes), GB/T 3304 (ethnic groups), 居民身份证法 arts 3 and 5 (fields, terms),
港澳台居民居住证申领发放办法 (810000, 820000, 830000 in the place of the region).
"""

from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from lockserver.domain.identity_data.ethnicities import CODE_OF as ETHNICITY_CODES
from lockserver.domain.identity_data.regions import ABOLISHED, CURRENT, PREFECTURES

NUMBER_LENGTH = 18
NAME_LENGTH_MAX = 50  # the longest minority names on record are under forty characters
ADDRESS_LENGTH_MAX = 100
OLDEST_BIRTH_YEAR = 1880
LONG_TERM = "长期"

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS = "10X98765432"
_TERRITORIES = MappingProxyType({"81": "hong_kong", "82": "macau", "83": "taiwan"})
_FULL_WIDTH_START, _FULL_WIDTH_END, _FULL_WIDTH_SHIFT = 0xFF01, 0xFF5E, 0xFEE0

# CJK ideographs a name may hold: the block of 1993, its extensions A to I with what the standard
# added since, the compatibility ideographs, and 〇. 生僻字 are mostly in the extensions.
_IDEOGRAPHS = (
    (0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF), (0x2A700, 0x2EE5D), (0x2F800, 0x2FA1F), (0x30000, 0x3347F),
)  # fmt: skip
_PRIVATE_USE = ((0xE000, 0xF8FF), (0xF0000, 0x10FFFD))
_NAME_DOTS = "•‧・．∙⋅.᛫･"
NAME_DOT = "·"


class FaultCode(StrEnum):
    """Everything a field can be refused for. The first word is the field."""

    NAME_MISSING = "name_missing"
    NAME_CHARACTERS = "name_characters"
    NAME_PRIVATE_USE = "name_private_use"
    NAME_LENGTH = "name_length"
    SEX_UNKNOWN = "sex_unknown"
    SEX_DIFFERS_FROM_NUMBER = "sex_differs_from_number"
    ETHNICITY_UNKNOWN = "ethnicity_unknown"
    BIRTH_FORMAT = "birth_format"
    BIRTH_DIFFERS_FROM_NUMBER = "birth_differs_from_number"
    ADDRESS_MISSING = "address_missing"
    ADDRESS_LENGTH = "address_length"
    NUMBER_MISSING = "number_missing"
    NUMBER_CHARACTERS = "number_characters"
    NUMBER_LENGTH = "number_length"
    NUMBER_CHECK_DIGIT = "number_check_digit"
    NUMBER_REGION = "number_region"
    NUMBER_BIRTH = "number_birth"
    NUMBER_BIRTH_FUTURE = "number_birth_future"
    AUTHORITY_MISSING = "authority_missing"
    VALID_FROM_FORMAT = "valid_from_format"
    VALID_FROM_FUTURE = "valid_from_future"
    VALID_TO_FORMAT = "valid_to_format"
    VALID_TO_BEFORE_FROM = "valid_to_before_from"
    VALID_TO_EXPIRED = "valid_to_expired"


@dataclass(frozen=True)
class Fault:
    """One field, one reason. Holds no value of the field: it may be shown and logged."""

    field: str
    code: FaultCode


class Sex(StrEnum):
    """GB/T 2261.1; the value is the code that the province takes."""

    MALE = "1"
    FEMALE = "2"

    @property
    def han(self) -> str:
        """The character a card prints."""
        return "男" if self is Sex.MALE else "女"


class RegionStatus(StrEnum):
    """Whether the leading six digits are a living code; an abolished one is valid, with a flag."""

    CURRENT = "current"
    ABOLISHED = "abolished"
    TERRITORY = "territory"
    UNLISTED = "unlisted"  # a prefecture we know, a county we do not: younger than our list


@dataclass(frozen=True)
class IdNumber:
    """A number that passed every check it carries in itself. Prints masked."""

    text: str = field(repr=False)
    region: str
    region_status: RegionStatus
    birth: date = field(repr=False)
    sex: Sex

    @property
    def masked(self) -> str:
        """First three and last four characters; the rest stars."""
        return mask_number(self.text)

    @property
    def territory(self) -> str | None:
        """``hong_kong``, ``macau`` or ``taiwan`` for a residence permit's number, else None."""
        return _TERRITORIES.get(self.text[:2])

    def __str__(self) -> str:
        return self.masked

    def age_on(self, day: date) -> int:
        """Completed years on `day`; who was born on 29 February turns on 1 March, as law counts."""
        passed = (day.month, day.day) >= (self.birth.month, self.birth.day)
        return day.year - self.birth.year - (0 if passed else 1)


@dataclass(frozen=True)
class IdentityFields:
    """The nine fields of a resident identity card, as text; what a holder confirms.

    `sex` 男 or 女, `ethnicity` without 族, dates ``YYYY-MM-DD``, `valid_to` a date or 长期.
    """

    name: str = field(repr=False)
    sex: str = field(repr=False)
    ethnicity: str = field(repr=False)
    birth: str = field(repr=False)
    address: str = field(repr=False)
    number: str = field(repr=False)
    authority: str = field(repr=False)
    valid_from: str = field(repr=False)
    valid_to: str = field(repr=False)

    def as_dict(self) -> dict[str, str]:
        """Field name to text."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


FIELD_NAMES: tuple[str, ...] = tuple(item.name for item in fields(IdentityFields))
FRONT_FIELDS = ("name", "sex", "ethnicity", "birth", "address", "number")
BACK_FIELDS = ("authority", "valid_from", "valid_to")


def half_width(text: str) -> str:
    """Full-width ASCII (０-９ Ａ-Ｚ …) and the ideographic space to their plain forms."""
    return "".join(
        chr(ord(char) - _FULL_WIDTH_SHIFT)
        if _FULL_WIDTH_START <= ord(char) <= _FULL_WIDTH_END
        else " "
        if char == "\u3000"
        else char
        for char in text
    )


def normalise_number(text: str) -> str:
    """Half-width, no spaces or hyphens, x in upper case. Does not judge."""
    return "".join(half_width(text).split()).replace("-", "").upper()


def normalise_name(text: str) -> str:
    """One kind of dot (U+00B7), no spaces. Does not judge."""
    joined = "".join(text.split())
    return "".join(NAME_DOT if char in _NAME_DOTS else char for char in joined)


def mask_number(text: str) -> str:
    """``330***********123X``: the first three and the last four characters; short text: stars."""
    number = normalise_number(text)
    if len(number) < NUMBER_LENGTH - 3:
        return "*" * len(number)
    return number[:3] + "*" * (len(number) - 7) + number[-4:]


def check_character(seventeen: str) -> str:
    """The 18th character for the first seventeen digits (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(seventeen, _WEIGHTS, strict=True))
    return _CHECK_CHARACTERS[total % 11]


def region_status(region: str) -> RegionStatus | None:
    """What six leading digits stand for; None if no prefecture ever had them."""
    if region[:2] in _TERRITORIES:
        return RegionStatus.TERRITORY if region[2:] == "0000" else None
    if region in CURRENT:
        return RegionStatus.CURRENT
    if region in ABOLISHED:
        return RegionStatus.ABOLISHED
    # Nobody is refused because a county is younger than our list; the province has the last word.
    return RegionStatus.UNLISTED if region[:4] in PREFECTURES else None


def check_number(text: str, *, today: date) -> IdNumber | Fault:
    """Judge one identity number; the check character first, as it finds the slip of a finger."""
    number = normalise_number(text)
    digits = number[:-1]
    if not number:
        return Fault("number", FaultCode.NUMBER_MISSING)
    if not (number.isascii() and digits.isdigit() and (number[-1].isdigit() or number[-1] == "X")):
        return Fault("number", FaultCode.NUMBER_CHARACTERS)
    if len(number) != NUMBER_LENGTH:
        return Fault("number", FaultCode.NUMBER_LENGTH)
    if check_character(digits) != number[-1]:
        return Fault("number", FaultCode.NUMBER_CHECK_DIGIT)
    status = region_status(number[:6])
    if status is None:
        return Fault("number", FaultCode.NUMBER_REGION)
    birth = parse_date(f"{number[6:10]}-{number[10:12]}-{number[12:14]}")
    if birth is None or birth.year < OLDEST_BIRTH_YEAR:
        return Fault("number", FaultCode.NUMBER_BIRTH)
    if birth > today:
        return Fault("number", FaultCode.NUMBER_BIRTH_FUTURE)
    sex = Sex.MALE if int(number[16]) % 2 else Sex.FEMALE
    return IdNumber(number, number[:6], status, birth, sex)


def check_name(text: str) -> str | Fault:
    """A name in ideographs and the dot; returns it normalised."""
    name = normalise_name(text)
    if not name:
        return Fault("name", FaultCode.NAME_MISSING)
    if any(_within(char, _PRIVATE_USE) for char in name):
        return Fault("name", FaultCode.NAME_PRIVATE_USE)
    parts = name.split(NAME_DOT)
    if not all(part and all(_within(char, _IDEOGRAPHS) for char in part) for part in parts):
        return Fault("name", FaultCode.NAME_CHARACTERS)
    if not 2 <= len(name) <= NAME_LENGTH_MAX:  # noqa: PLR2004 - a family and a given name
        return Fault("name", FaultCode.NAME_LENGTH)
    return name


def parse_date(text: str) -> date | None:
    """``YYYY-MM-DD``, digits only; None if there is no such day."""
    parts = text.split("-")
    if [len(part) for part in parts] != [4, 2, 2] or not "".join(parts).isascii():
        return None
    try:
        return date(*(int(part) for part in parts))
    except ValueError:
        return None


def parse_sex(text: str) -> Sex | None:
    """男 or 女, or their codes 1 and 2."""
    return {"男": Sex.MALE, "女": Sex.FEMALE, "1": Sex.MALE, "2": Sex.FEMALE}.get(text)


def check_fields(given: IdentityFields, *, today: date) -> list[Fault]:
    """Every fault of a card's fields, in the card's order; none means consistent and in force."""
    found: list[Fault] = []
    name = check_name(given.name)
    if isinstance(name, Fault):
        found.append(name)
    number = check_number(given.number, today=today)
    found += _personal_faults(given, None if isinstance(number, Fault) else number)
    if isinstance(number, Fault):
        found.append(number)
    if not given.authority.strip():
        found.append(Fault("authority", FaultCode.AUTHORITY_MISSING))
    return found + _validity_faults(given, today)


def _personal_faults(given: IdentityFields, number: IdNumber | None) -> list[Fault]:
    found: list[Fault] = []
    sex, birth, address = parse_sex(given.sex), parse_date(given.birth), given.address.strip()
    if sex is None:
        found.append(Fault("sex", FaultCode.SEX_UNKNOWN))
    elif number and sex is not number.sex:
        found.append(Fault("sex", FaultCode.SEX_DIFFERS_FROM_NUMBER))
    if given.ethnicity not in ETHNICITY_CODES:
        found.append(Fault("ethnicity", FaultCode.ETHNICITY_UNKNOWN))
    if birth is None:
        found.append(Fault("birth", FaultCode.BIRTH_FORMAT))
    elif number and birth != number.birth:
        found.append(Fault("birth", FaultCode.BIRTH_DIFFERS_FROM_NUMBER))
    if not address:
        found.append(Fault("address", FaultCode.ADDRESS_MISSING))
    elif len(address) > ADDRESS_LENGTH_MAX:
        found.append(Fault("address", FaultCode.ADDRESS_LENGTH))
    return found


def _validity_faults(given: IdentityFields, today: date) -> list[Fault]:
    found: list[Fault] = []
    start = parse_date(given.valid_from)
    end = parse_date(given.valid_to)
    if start is None:
        found.append(Fault("valid_from", FaultCode.VALID_FROM_FORMAT))
    elif start > today:
        found.append(Fault("valid_from", FaultCode.VALID_FROM_FUTURE))
    if given.valid_to == LONG_TERM:
        return found
    if end is None:
        found.append(Fault("valid_to", FaultCode.VALID_TO_FORMAT))
    elif start is not None and end <= start:
        found.append(Fault("valid_to", FaultCode.VALID_TO_BEFORE_FROM))
    elif end < today:  # the card is good on its last day
        found.append(Fault("valid_to", FaultCode.VALID_TO_EXPIRED))
    return found


def _within(char: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= ord(char) <= high for low, high in ranges)
