"""Send a one-time code to a telephone number, known or not: the answer is the same (L-39)."""

import hashlib
from datetime import datetime, timedelta

from lockserver.app.ports import PhoneIndex, Random, UnitOfWork
from lockserver.domain.account import LoginCode
from lockserver.domain.errors import TooManyTriesError
from lockserver.domain.ids import uuid7

CODE_DIGITS = 6
CODE_LIFE = timedelta(minutes=5)
CODES_MAX = 5
"""Codes per number and hour: five tries each, a million codes: 25 in a million an hour."""
CODES_WINDOW = timedelta(hours=1)


def code_hash(phone_index: bytes, code: str) -> bytes:
    """Return the hash under which a code is kept; bound to the number's keyed hash."""
    return hashlib.sha256(b"lockserver login code\0" + phone_index + code.encode()).digest()


async def send_login_code(
    work: UnitOfWork, index: PhoneIndex, random: Random, now: datetime, phone: str
) -> str:
    """Write a code's hash and return the code, to be sent once this has committed.

    `phone` is normalised. Raises TooManyTriesError.
    """
    phone_index = index.index(phone)
    if await work.accounts.codes_since(phone_index, now - CODES_WINDOW) >= CODES_MAX:
        raise TooManyTriesError(retry_after_s=int(CODES_WINDOW.total_seconds()))
    code = f"{int.from_bytes(random(8)) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"
    await work.accounts.add_code(
        LoginCode(
            id=uuid7(now, random(10)),
            phone_index=phone_index,
            code_hash=code_hash(phone_index, code),
            expires_at=now + CODE_LIFE,
        )
    )
    return code
