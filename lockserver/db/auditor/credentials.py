"""L-05, L-38, L-52: credentials against the grants, phones and verdicts that they were cut from."""

from __future__ import annotations

from typing import Final

from lockserver.db.auditor.finding import Evidence, Finding, Findings, Row
from lockserver.domain.times import whole_seconds
from lockserver.protocol.claims import Capability
from lockserver.protocol.credential import read_credential
from lockserver.protocol.curve import keys_by_id
from lockserver.protocol.errors import RemoteError

_UNLET: Final = "enters an occupied room, and no consent or emergency says so"


def check_credentials(evidence: Evidence) -> Findings:
    """Each was signed by an issuer key of ours, and reaches nowhere outside its grant."""
    issuers = evidence.rows("SELECT public FROM site_keys WHERE kind = 'issuer'")
    keys = keys_by_id(tuple(row["public"] for row in issuers))
    for row in evidence.rows(
        """
        SELECT c.id, c.lock_id, c.raw, c.not_before, c.expires_at, c.epoch, c.revoked_at, g.class, g.capabilities,
            g.lower, g.upper, g.epoch AS grant_epoch, g.holder_id, g.door_id, l.door_id AS lock_door,
            p.sign_pub, p.holder_id AS phone_of, h.subject, EXISTS (
                SELECT 1 FROM entries e WHERE e.lock_id = c.lock_id AND e.class IN (g.class, 'both')
                    AND COALESCE(e.holder_id, g.holder_id) = g.holder_id AND c.expires_at <= e.upper
                    AND date_trunc('second', e.lower) <= c.issued_at
                    AND c.issued_at <= COALESCE(e.ended_at, e.upper)) AS let_in
        FROM credentials c JOIN grants g ON g.id = c.grant_id JOIN phones p ON p.id = c.phone_id
        JOIN locks l ON l.id = c.lock_id JOIN holders h ON h.id = g.holder_id
        """
    ):
        law, fault = "L-05", _fault(row, keys)
        if fault == _UNLET:
            law = "L-52"
        if fault is not None:
            yield Finding(law, f"credential {row['id']}", fault)


def _fault(row: Row, keys: dict[bytes, bytes]) -> str | None:
    try:
        claims = read_credential(row["raw"], keys).claims
    except RemoteError:
        return "is not signed by an issuer of this site"
    if claims.cti != row["id"].bytes or claims.lock_id != row["lock_id"].bytes:
        return "is another one than its row says"
    if (claims.nbf, claims.exp) != (whole_seconds(row["not_before"]), whole_seconds(row["expires_at"])):
        return "has another window than its row says"
    if claims.holder_public != row["sign_pub"] or row["holder_id"] != row["phone_of"]:
        return "is bound to a phone that is not the grantee's"
    if row["door_id"] != row["lock_door"] or claims.subject != row["subject"]:
        return "is for another door or person than its grant"
    if row["revoked_at"] is not None:  # its grant may have been cut since, which is why
        return None
    upper = row["upper"]
    if claims.nbf < whole_seconds(row["lower"]) or (upper is not None and claims.exp > whole_seconds(upper)):
        return "reaches outside its grant's window"
    conveyed = claims.capabilities
    if Capability.ENTRY in conveyed:  # no grant conveys it: only who lives there, or an emergency
        if not row["let_in"]:
            return _UNLET
        conveyed &= ~Capability.ENTRY
    if int(conveyed) & ~row["capabilities"] or claims.holder_class.name.lower() != row["class"]:
        return "conveys more than its grant"
    if claims.epoch != row["grant_epoch"]:
        return "has another epoch than its grant"
    return None


def check_verdicts(evidence: Evidence) -> Findings:
    """A tenant's key belongs to a phone that passed identity or a staff check, or is under review."""
    for row in evidence.rows(
        """
        SELECT c.id FROM credentials c JOIN grants g ON g.id = c.grant_id AND g.class = 'tenant'
        WHERE NOT EXISTS (
            SELECT 1 FROM verdicts v JOIN cases k ON k.id = v.case_id JOIN duties d ON d.id = k.duty_id
            WHERE v.phone_id = c.phone_id AND v.holder_id = g.holder_id AND d.tenancy_id = g.tenancy_id
                AND v.outcome IN ('approved', 'review'))
        """
    ):
        yield Finding("L-38", f"credential {row['id']}", "was issued to a phone without a verdict")
    for row in evidence.rows(
        """
        SELECT p.id FROM phones p WHERE p.proved_by IN ('face', 'staff') AND p.state = 'active'
            AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.phone_id = p.id)
        """
    ):
        yield Finding("L-38", f"phone {row['id']}", "is active by a proof that nobody recorded")
