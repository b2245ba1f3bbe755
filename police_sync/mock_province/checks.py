"""The province's checks: pure, each fault one return code, each code one field (return_codes.json).

Sources: GB 11643 (check character by ISO 7064 MOD 11-2, birth date in digits 7-14, sex in the parity
of digit 17). Lateness is for the mark ACCEPTED_LATE only: 3 working days after arrival (Monday to
Friday; this mock has no holiday calendar), one day for foreigners.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from police_sync.mock_province import rulebook

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_LENGTH = 18
_NUMBERED_BY_GB11643 = {"111", "112", "113", "550"}
_FOREIGN = {"414", "553", "554"}
_CHINESE = {"111", "112", "113"}
_GUARDED_BELOW = 16  # years; art 7
_WORKING_DAYS = 3
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the register knows around one record."""

    person: dict[str, Any] | None
    premises: dict[str, Any] | None
    heads: int  # active registrations at the address, this one not counted
    active_elsewhere: bool
    guardian_known: bool
    today: date  # civil date in Asia/Shanghai


def check_character(number: str) -> str:
    """The 18th character for the first 17 digits."""
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return "10X98765432"[total % 11]


def _number_faults(record: dict[str, Any]) -> list[str]:
    number = record["document_number"]
    if record["document_type"] not in _NUMBERED_BY_GB11643:
        return []
    if len(number) != _LENGTH or not number[:17].isdigit() or check_character(number) != number[17]:
        return ["E101"]
    faults = []
    if number[6:14] != record["birth_date"].replace("-", ""):
        faults.append("E102")
    if (int(number[16]) % 2 == 1) != (record["sex"] == "1"):
        faults.append("E103")
    return faults


def _person_faults(record: dict[str, Any], around: Surroundings) -> list[str]:
    person = around.person
    if person is None or person["document_type"] != record["document_type"]:
        return ["E202"]
    faults = []
    if person["name"] != record["name"]:
        faults.append("E201")
    if person["valid_to"] is not None and date.fromisoformat(person["valid_to"]) < around.today:
        faults.append("E203")
    return faults


def _place_faults(record: dict[str, Any], around: Surroundings) -> list[str]:
    premises = around.premises
    if premises is None:
        return ["E301"]
    faults = []
    if premises["station"] != record["station"]:
        faults.append("E302")
    if around.heads + 1 > premises["capacity"]:
        faults.append("E303")
    if around.active_elsewhere:
        faults.append("E304")
    return faults


def _code_faults(record: dict[str, Any]) -> list[str]:
    faults = []
    chinese = record["document_type"] in _CHINESE
    if "ethnicity" in record and record["ethnicity"] not in rulebook.codes("ethnicity"):
        faults.append("E104")
    if chinese != ("ethnicity" in record) and record["document_type"] in _CHINESE | _FOREIGN:
        faults.append("E105")
    if record["reason_code"] not in rulebook.codes("reason"):
        faults.append("E501")
    if record["occupation_code"] not in rulebook.codes("occupation"):
        faults.append("E502")
    return faults


def _stay_faults(record: dict[str, Any], around: Surroundings) -> list[str]:
    faults = []
    arrival = date.fromisoformat(record["arrival"])
    if arrival > around.today:
        faults.append("E401")
    if date.fromisoformat(record["planned_until"]) < arrival:
        faults.append("E402")
    born = date.fromisoformat(record["birth_date"])
    had_birthday = (around.today.month, around.today.day) >= (born.month, born.day)
    age = around.today.year - born.year - (0 if had_birthday else 1)
    needs_guardian = age < _GUARDED_BELOW or "guardian_client_no" in record
    if needs_guardian and not around.guardian_known:
        faults.append("E601")
    return faults


def check(record: dict[str, Any], around: Surroundings) -> list[str]:
    """The return codes that `record` earns, none when it is right."""
    numbers = _number_faults(record)
    people = [] if "E101" in numbers else _person_faults(record, around)
    return [
        *numbers,
        *people,
        *_place_faults(record, around),
        *_code_faults(record),
        *_stay_faults(record, around),
    ]


def is_late(record: dict[str, Any], received: date) -> bool:
    """Whether a registration that came on `received` (Asia/Shanghai) came after its deadline."""
    arrival = date.fromisoformat(record["arrival"])
    if record["document_type"] in _FOREIGN:
        return received > arrival + timedelta(days=1)
    deadline, left = arrival, _WORKING_DAYS
    while left:
        deadline += timedelta(days=1)
        left -= deadline.weekday() < _SATURDAY
    return received > deadline
