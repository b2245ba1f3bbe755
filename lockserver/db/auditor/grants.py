"""L-05, L-38: what one person gave another, against his signature, his own grant and the phone that was named."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from lockserver.db.auditor.finding import Evidence, Finding, Findings, Row
from lockserver.domain.canonical import loads
from lockserver.domain.errors import DomainError
from lockserver.domain.grant import Reach
from lockserver.domain.terms import read_terms
from lockserver.domain.times import Window
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.wish import OF, digest_of, read_wish


def check_named(evidence: Evidence) -> Findings:
    """A guest's or staff member's grant is what a grantor signed, inside his own, for the phone that he named."""
    for row in evidence.rows(
        """
        SELECT g.*, w.raw AS wish, s.sign_pub AS signer_key, s.holder_id AS signer, t.body, t.salt,
            u.holder_id AS grantor, u.lower AS from_, u.upper AS until_, u.capabilities AS verbs,
            u.schedule AS hours, u.door_id AS grantors_door, EXISTS (
                SELECT 1 FROM wishes e WHERE e.target = g.id AND e.operation = 'edit_grant') AS edited
        FROM grants g LEFT JOIN wishes w ON w.id = g.wish_id LEFT JOIN phones s ON s.id = w.phone_id
        LEFT JOIN wish_terms t ON t.wish_id = g.wish_id LEFT JOIN grants u ON u.id = g.parent_id
        WHERE g.class IN ('guest', 'staff')
        """
    ):
        fault = _fault(row)
        if fault is not None:
            yield Finding("L-38", f"grant {row['id']}", fault)
    for row in evidence.rows(
        """
        SELECT c.id, p.sign_pub, g.guest_key, g.uses, g.parent_id,
            count(*) OVER (PARTITION BY c.grant_id) AS keys
        FROM credentials c JOIN grants g ON g.id = c.grant_id JOIN phones p ON p.id = c.phone_id
        WHERE g.class IN ('guest', 'staff')
        """
    ):
        if hashlib.sha256(row["sign_pub"]).digest() != row["guest_key"]:
            yield Finding("L-38", f"credential {row['id']}", "was cut for a phone that no grantor named")
        if row["uses"] is not None and row["keys"] > 1:
            yield Finding("L-05", f"credential {row['id']}", "is a second one of a grant for one opening")


def _fault(row: Row) -> str | None:
    if row["wish"] is None or row["body"] is None or row["grantor"] is None:
        return "stands on nobody's signature"
    try:
        wish = read_wish(row["wish"], row["signer_key"])
        terms = read_terms(loads(row["body"]))
    except (RemoteError, DomainError):
        return "stands on a wish or terms that nobody signed"
    if wish.args != {OF: digest_of(row["salt"], row["body"]), "key": row["guest_key"]}:
        return "names another phone or says other things than its wish"
    if row["signer"] != row["grantor"] or row["grantors_door"] != row["door_id"]:
        return "hangs under a grant of somebody else's than its signer's"
    said = (terms.class_, terms.key, terms.uses, row["door_id"] in terms.door_ids)
    if said != (row["class"], row["guest_key"], row["uses"], True):
        return "is for another class, phone, number of uses or door than was signed"
    mine = _reach(row["lower"], row["upper"], row["capabilities"], row["schedule"])
    if not row["edited"] and not mine.lies_in(terms.reach):
        return "reaches further than was signed"
    if not mine.lies_in(_reach(row["from_"], row["until_"], row["verbs"], row["hours"])):
        return "reaches outside its grantor's own"
    return None


def _reach(lower: datetime, upper: datetime | None, capabilities: int, schedule: Any) -> Reach:  # noqa: ANN401 - jsonb
    return Reach(Window(lower, upper), capabilities, schedule)
