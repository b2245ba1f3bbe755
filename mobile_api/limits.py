"""Tries per caller and address: a sliding count in memory, bounded in size (L-39, L-44).

Per process on purpose: it blunts stuffing from one address. What must hold across processes and
restarts (codes per phone number, attempts per code) is counted in the database.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

from lockserver.domain.errors import TooManyTriesError

WINDOW = timedelta(minutes=10)
LOGIN_TRIES = 120  # per address and window: a house behind one NAT logs in at once
PHONE_CODE_TRIES = 5  # per staff, case and window: misread, not guessed; a million codes then take years
REMEMBERED = 10_000  # addresses; the oldest is forgotten first


class Limits:
    """Counts tries by a name; `try_once` raises TooManyTriesError when there are too many."""

    def __init__(self, tries: int = LOGIN_TRIES, window: timedelta = WINDOW) -> None:
        self._tries = tries
        self._window = window
        self._seen: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def try_once(self, name: str, now: datetime) -> None:
        """Count a try; the answer is the same whatever the try was for."""
        started, count = self._seen.pop(name, (now, 0))
        if now - started >= self._window:
            started, count = now, 0
        self._seen[name] = (started, count + 1)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        if count + 1 > self._tries:
            left = self._window - (now - started)
            raise TooManyTriesError(retry_after_s=int(left.total_seconds()) + 1)
