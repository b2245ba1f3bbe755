"""L-34: the audit log against its signed checkpoints."""

from __future__ import annotations

from itertools import pairwise

from lockserver.db.audit_chain import GENESIS, AuditLine, Checkpoint, fold
from lockserver.db.auditor.finding import Evidence, Finding, Findings
from lockserver.protocol.curve import verify


def check_log(evidence: Evidence) -> Findings:
    """Recompute every head; a row edited, dropped or slipped in below one breaks it."""
    keys = {
        bytes(row["kid"]): bytes(row["public"])
        for row in evidence.rows("SELECT kid, public FROM site_keys WHERE kind = 'checkpoint'")
    }
    heads = [
        Checkpoint(
            number=row["number"],
            below_txid=row["below_txid"],
            count=row["count"],
            root_hash=row["root_hash"],
            prev_hash=row["prev_hash"],
            signature=row["signature"],
            kid=row["kid"],
        )
        for row in evidence.rows("SELECT * FROM audit_checkpoints ORDER BY number")
    ]
    lines = [
        AuditLine(row["id"], row["at"], row["actor"], row["verb"], row["object"], row["detail"], row["tx"])
        for row in evidence.rows("SELECT *, txid::text::bigint AS tx FROM audit_log ORDER BY txid, id")
    ]
    for one, following in pairwise(heads):
        if following.number != one.number + 1:
            yield Finding("L-34", f"checkpoint {following.number}", f"the one after {one.number} is missing")
    if heads and heads[0].number != 1:
        yield Finding("L-34", f"checkpoint {heads[0].number}", "is the first, and should be number 1")
    since, prev = 0, GENESIS
    for head in heads:
        where = f"checkpoint {head.number}"
        public = keys.get(head.kid)
        if public is None or not verify(public, head.signature, head.signed_bytes()):
            yield Finding("L-34", where, "is not signed by this site's checkpoint key")
        if head.prev_hash != prev:
            yield Finding("L-34", where, "does not follow the one before")
        covered = [line for line in lines if since <= line.txid < head.below_txid]
        if len(covered) != head.count:
            yield Finding("L-34", where, f"was signed over {head.count} lines, {len(covered)} are there")
        elif fold(head.prev_hash, covered) != head.root_hash:
            yield Finding("L-34", where, "a line that it covers was changed")
        since, prev = head.below_txid, head.root_hash
