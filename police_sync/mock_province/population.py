"""People who do not exist, for a province that runs alone: seeded, so that a run can be repeated.

Numbers carry region 330999, which GB/T 2260 never assigned: no living person has one of them.
"""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from police_sync.mock_province.checks import check_character

REGION = "330999"
_SURNAMES = "试样例仿拟"
_GIVEN = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"
_FIRST_BIRTH = date(1950, 1, 1)
_BIRTH_DAYS = 19_000  # until early 2002


def people(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """`count` invented adults with valid identity card numbers."""
    chance = random.Random(seed)  # noqa: S311 - invented people, nothing secret
    for serial in range(count):
        born = _FIRST_BIRTH + timedelta(days=chance.randrange(_BIRTH_DAYS))
        first = f"{REGION}{born:%Y%m%d}{serial % 1000:03d}"
        given = "".join(chance.choice(_GIVEN) for _ in range(2))
        yield {
            "document_type": "111",
            "document_number": first + check_character(first),
            "name": chance.choice(_SURNAMES) + given,
            "valid_to": None,
        }
