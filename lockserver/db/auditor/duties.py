"""L-23: tenancies and duties, from the rows alone."""

from __future__ import annotations

from lockserver.db.auditor.finding import Evidence, Finding, Findings


def check_duties(evidence: Evidence) -> Findings:
    """A tenancy exists if and only if each occupant has a duty; an ended one owes departures."""
    for row in evidence.rows(
        "SELECT t.id FROM tenancies t WHERE NOT EXISTS (SELECT 1 FROM occupants o WHERE o.tenancy_id = t.id)"
    ):
        yield Finding("L-23", f"tenancy {row['id']}", "nobody lives there")
    for row in evidence.rows(
        """
        SELECT o.tenancy_id, o.holder_id, count(d.id) AS duties FROM occupants o
        LEFT JOIN duties d ON (d.tenancy_id, d.holder_id, d.kind) = (o.tenancy_id, o.holder_id, 'arrival')
        GROUP BY 1, 2 HAVING count(d.id) <> 1
        """
    ):
        yield Finding(
            "L-23", f"tenancy {row['tenancy_id']}", f"an occupant has {row['duties']} arrival duties"
        )
    for row in evidence.rows(
        """
        SELECT d.id FROM duties d WHERE NOT EXISTS
            (SELECT 1 FROM occupants o WHERE (o.tenancy_id, o.holder_id) = (d.tenancy_id, d.holder_id))
        """
    ):
        yield Finding("L-23", f"duty {row['id']}", "its holder does not live there")
    for row in evidence.rows(
        """
        SELECT t.id, t.state, r.client_no, count(d.id) AS duties
        FROM tenancies t JOIN registrations r ON r.tenancy_id = t.id AND r.state <> 'withdrawn'
        LEFT JOIN duties d ON (d.tenancy_id, d.holder_id, d.kind) = (t.id, r.holder_id, 'departure')
        GROUP BY 1, 2, 3 HAVING count(d.id) <> CASE t.state WHEN 'ended' THEN 1 ELSE 0 END
        """
    ):
        yield Finding(
            "L-23", f"tenancy {row['id']}", f"{row['state']}, with {row['duties']} departure duties"
        )
    for row in evidence.rows(
        "SELECT id FROM duties WHERE (requirement = 'exempt') <> (exempt_code IS NOT NULL)"
    ):
        yield Finding("L-23", f"duty {row['id']}", "an exemption and its code come together")


def check_rooms(evidence: Evidence) -> Findings:
    """One living tenancy a room, no fuller than it may be, each with an epoch of its own."""
    for row in evidence.rows(
        """
        SELECT a.id, b.id AS other FROM tenancies a JOIN tenancies b
            ON a.door_id = b.door_id AND a.id < b.id AND a.state = 'signed' AND b.state = 'signed'
            AND a.lower < b.upper AND b.lower < a.upper
        """
    ):
        yield Finding("L-23", f"tenancy {row['id']}", f"lives in one room at once with {row['other']}")
    for row in evidence.rows(
        """
        SELECT t.id, d.kind, d.capacity, count(o.holder_id) AS people
        FROM tenancies t JOIN doors d ON d.id = t.door_id
        LEFT JOIN occupants o ON o.tenancy_id = t.id
        GROUP BY t.id, d.id HAVING d.kind <> 'room' OR count(o.holder_id) > d.capacity
        """
    ):
        yield Finding("L-23", f"tenancy {row['id']}", f"{row['people']} people behind one {row['kind']}")
    for row in evidence.rows(
        "SELECT t.id FROM tenancies t JOIN doors d ON d.id = t.door_id WHERE t.epoch > d.epoch"
        " UNION SELECT a.id FROM tenancies a JOIN tenancies b"
        " ON a.door_id = b.door_id AND a.epoch = b.epoch AND a.id <> b.id"
    ):
        yield Finding("L-08", f"tenancy {row['id']}", "its turnover epoch is not its own")


def check_ended_grants(evidence: Evidence) -> Findings:
    """No grant outlives its tenancy; no living tenant lost his by anything else (L-45)."""
    for row in evidence.rows(
        """
        SELECT g.id FROM grants g JOIN tenancies t ON t.id = g.tenancy_id
        WHERE t.state = 'ended' AND g.state <> 'revoked'
        """
    ):
        yield Finding("L-45", f"grant {row['id']}", "is alive, and its tenancy has ended")
    for row in evidence.rows(
        """
        SELECT g.id FROM grants g JOIN tenancies t ON t.id = g.tenancy_id
        WHERE t.state = 'signed' AND g.class = 'tenant' AND g.state <> 'active'
            AND NOT (g.state = 'frozen' AND g.frozen_by = g.holder_id)
        """
    ):
        yield Finding("L-45", f"grant {row['id']}", "a living tenant's way in was taken")
