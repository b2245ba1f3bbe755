"""L-21: each lock's journal, recomputed entry by entry."""

from __future__ import annotations

from itertools import groupby

from lockserver.db.auditor.finding import Evidence, Finding, Findings, Row
from lockserver.domain.times import whole_seconds
from lockserver.protocol.errors import Denial
from lockserver.protocol.journal import GENESIS, Entry, How, What, entry_hash

_ID_BYTES = 16


def entry_of(row: Row) -> Entry:
    """Return the entry as the lock hashed it; raises ValueError for a word that no lock knows."""
    subject = row["subject"]
    slot = subject is not None and len(subject) != _ID_BYTES
    return Entry(
        number=row["number"],
        prev_hash=row["prev_hash"],
        what=What(row["what"]),
        how=How(row["how"]),
        subject=int.from_bytes(subject) if slot else subject,
        denial=None if row["denial"] is None else Denial(row["denial"]),
        at=None if row["at"] is None else whole_seconds(row["at"]),
        uncertainty=row["uncertainty"],
        count=row["count"],
    )


def check_journals(evidence: Evidence) -> Findings:
    """Numbers without a gap, each entry's hash its own, each previous hash the one before (L-21)."""
    rows = evidence.rows("SELECT * FROM journal ORDER BY lock_id, number")
    for lock_id, entries in groupby(rows, lambda row: row["lock_id"]):
        yield from _check_one(f"journal of {lock_id.hex}", list(entries))
    for row in evidence.rows(
        """
        SELECT s.lock_id, s.journal_number, j.hash FROM lock_status s
        LEFT JOIN journal j ON j.lock_id = s.lock_id AND j.number = s.journal_number
        WHERE s.journal_number > 0 AND j.hash IS DISTINCT FROM s.journal_hash
        """
    ):
        yield Finding("L-21", f"journal of {row['lock_id'].hex}", f"acknowledged up to {row['journal_number']}, "
                      "which is not what is kept")  # fmt: skip


def _check_one(where: str, rows: list[Row]) -> Findings:
    number, head = 0, GENESIS
    for row in rows:
        if row["number"] != number + 1:
            yield Finding("L-21", where, f"entries {number + 1} to {row['number'] - 1} are missing")
        elif row["prev_hash"] != head:
            yield Finding("L-21", where, f"entry {row['number']} does not follow the one before")
        try:
            right = entry_hash(entry_of(row)) == row["hash"]
        except ValueError:
            right = False
        if not right:
            yield Finding("L-21", where, f"entry {row['number']} is not what the lock wrote")
        number, head = row["number"], row["hash"]
