"""L-24, L-25, L-27, L-30: what we say we filed, what was signed for it, what the province holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lockserver.db.auditor.finding import Evidence, Finding, Findings, Row
from police_sync.relay.filing import Kind, NotJsonError, Sent, parse
from police_sync.relay.receipts import Forged, PinnedKeys, check_receipt


def check_attempts(evidence: Evidence) -> Findings:
    """Every delivery has its attempt, recorded before it; nothing is settled without one (L-30)."""
    for row in evidence.rows(
        """
        SELECT o.client_no, o.seq, o.attempts, count(a.id) AS recorded, coalesce(max(a.n), 0) AS last
        FROM outbox o LEFT JOIN attempts a ON a.outbox_id = o.id
        GROUP BY o.id HAVING count(a.id) <> o.attempts OR coalesce(max(a.n), 0) <> o.attempts
        """
    ):
        yield Finding(
            "L-30", _entry(row), f"counts {row['attempts']} attempts, {row['recorded']} are recorded"
        )
    for row in evidence.rows(
        """
        SELECT o.client_no, o.seq FROM outbox o WHERE o.state = 'settled' AND NOT EXISTS
            (SELECT 1 FROM attempts a WHERE a.outbox_id = o.id AND a.action = 'deliver')
        """
    ):
        yield Finding("L-30", _entry(row), "is settled, and no delivery was ever recorded")
    for row in evidence.rows(
        """
        SELECT o.client_no, o.seq FROM outbox o JOIN outbox e
            ON e.client_no = o.client_no AND e.seq < o.seq AND e.state <> 'settled'
        WHERE o.state = 'settled'
        UNION
        SELECT o.client_no, o.seq FROM outbox o JOIN attempts a ON a.outbox_id = o.id
            JOIN outbox e ON e.client_no = o.client_no AND e.seq < o.seq
        WHERE e.settled_at IS NULL OR a.started_at < e.settled_at
        """
    ):
        yield Finding("L-27", _entry(row), "overtook an earlier version of its registration")


def check_receipts(evidence: Evidence, pins: PinnedKeys | None) -> Findings:
    """Receipts as they lie here: signed by the province, for what we sent, under our number (L-25)."""
    for row in evidence.rows(
        """
        SELECT o.client_no, o.seq FROM outbox o WHERE o.state = 'settled' AND NOT EXISTS
            (SELECT 1 FROM receipts r WHERE r.outbox_id = o.id AND r.kind = 'receipt')
        """
    ):
        yield Finding("L-25", _entry(row), "is settled without a receipt")
    for row in evidence.rows(
        """
        SELECT r.client_no, r.state FROM registrations r
        WHERE r.state NOT IN ('submitted', 'returned') AND NOT EXISTS
            (SELECT 1 FROM receipts c WHERE c.registration_id = r.id AND c.kind = 'receipt')
           OR r.receipt_no IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM receipts c WHERE c.registration_id = r.id AND c.no = r.receipt_no)
           OR r.voucher_no IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM receipts c WHERE c.registration_id = r.id AND c.no = r.voucher_no)
        """
    ):
        yield Finding("L-25", f"registration {row['client_no']}", f"{row['state']}, and no receipt says so")
    for row in evidence.rows(
        """
        SELECT d.id, d.kind FROM duties d WHERE d.state = 'fulfilled' AND NOT EXISTS
            (SELECT 1 FROM registrations r JOIN receipts c ON c.registration_id = r.id
             WHERE (r.tenancy_id, r.holder_id) = (d.tenancy_id, d.holder_id))
        """
    ):
        yield Finding("L-25", f"duty {row['id']}", f"{row['kind']} fulfilled, and nothing was signed for it")
    for row in evidence.rows(
        """
        SELECT c.kind AS what, c.no, c.raw, c.version, c.verified_at, o.client_no, o.seq, o.kind,
            (SELECT a.content_digest FROM attempts a WHERE a.outbox_id = o.id ORDER BY a.n DESC LIMIT 1)
            AS digest
        FROM receipts c JOIN outbox o ON o.id = c.outbox_id
        """
    ):
        fault = _receipt_fault(row, pins)
        if fault is not None:
            yield Finding("L-25", f"{row['what']} {row['no']}", fault)


def _receipt_fault(row: Row, pins: PinnedKeys | None) -> str | None:
    try:
        document = parse(row["raw"])
    except NotJsonError:
        return "not the contract's JSON"
    if pins is None:
        ours = {"client_no": row["client_no"], "version": row["seq"], "content_digest": row["digest"]}
        return None if ours.items() <= document.items() else "is for something else than we sent"
    if row["digest"] is None:
        return "for something that we never sent"
    checked = check_receipt(
        document,
        type_=row["what"],
        client_no=row["client_no"],
        version=row["seq"],
        sent=Sent(Kind(row["kind"]), row["digest"]),
        pins=pins,
        now=row["verified_at"],
    )
    return f"does not hold: {checked.reason}" if isinstance(checked, Forged) else None


def check_ledger(evidence: Evidence, ledger: Mapping[str, Any], *, drained: bool) -> Findings:
    """The province's ledger and our registrations: exactly one each, the same filings (L-24).

    `ledger` is the mock's `/control/ledger`. `drained`: nothing should be under way any more.
    """
    records = ledger["records"]
    theirs = {record["client_no"]: record for record in records}
    for client_no, times in Counter(record["client_no"] for record in records).items():
        if times > 1:
            yield Finding("L-24", f"registration {client_no}", f"{times} times at the province")
    ours: dict[str, dict[int, Row]] = {}
    for row in evidence.rows(
        """
        SELECT o.client_no, o.seq, o.state, o.kind,
            ARRAY(SELECT a.content_digest FROM attempts a WHERE a.outbox_id = o.id) AS digests,
            (SELECT c.no FROM receipts c WHERE c.outbox_id = o.id AND c.kind = 'receipt') AS receipt_no
        FROM outbox o
        """
    ):
        ours.setdefault(row["client_no"], {})[row["seq"]] = row
    for row in evidence.rows("SELECT client_no FROM registrations"):
        ours.setdefault(row["client_no"], {})
    for client_no in theirs.keys() - ours.keys():
        yield Finding("L-24", f"registration {client_no}", "at the province, and unknown here")
    for client_no, entries in ours.items():
        filed = {filing["version"]: filing for filing in theirs.get(client_no, {}).get("filings", [])}
        yield from _compare(client_no, entries, filed, drained=drained)


def _compare(
    client_no: str, entries: Mapping[int, Row], filed: Mapping[int, Row], *, drained: bool
) -> Findings:
    where = f"registration {client_no}"
    if not entries:
        yield Finding("L-24", where, "was never put into the outbox")
    for version in filed.keys() - entries.keys():
        yield Finding("L-24", where, f"version {version} at the province, and unknown here")
    for version, entry in entries.items():
        there = filed.get(version)
        if there is None:
            if entry["state"] == "settled":
                yield Finding("L-24", where, f"version {version} settled here, and absent there")
            elif drained:
                yield Finding("L-24", where, f"version {version} is {entry['state']} and not at the province")
            continue
        if there["content_digest"] not in entry["digests"]:
            yield Finding("L-24", where, f"version {version} differs from every attempt of ours")
        if entry["state"] == "settled" and there["receipt_no"] != entry["receipt_no"]:
            yield Finding("L-24", where, f"version {version} has another receipt there")
        if drained and entry["state"] != "settled":
            yield Finding("L-24", where, f"version {version} is at the province, and {entry['state']} here")


def read_ledger(raw: bytes) -> dict[str, Any]:
    """Return the ledger document; raises ValueError where it is none."""
    document = json.loads(raw)
    if not isinstance(document, dict) or not isinstance(document.get("records"), list):
        raise ValueError("not the province's ledger")  # noqa: TRY004 - a wrong document, not a wrong type
    return document


def _entry(row: Row) -> str:
    return f"outbox {row['client_no']}/{row['seq']}"
