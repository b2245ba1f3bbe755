"""Tenants whose newest key to their room is past its half and dies soon, in one statement.

Asked by role jobs through the repository, and by `lockserver doctor` as the auditor.
"""

from datetime import datetime
from typing import Final

import psycopg

from lockserver.db.connection import driver_url
from lockserver.db.examine import DatabaseAwayError

FADING: Final = """
WITH newest AS (
    SELECT DISTINCT ON (g.id) g.holder_id, d.house_id, d.id AS door_id, d.name, g.id AS grant_id, c.id AS credential_id,
           c.expires_at, c.not_before, g.upper
      FROM grants g
      JOIN tenancies t ON t.id = g.tenancy_id AND t.door_id = g.door_id AND t.state = 'signed'
      JOIN doors d ON d.id = g.door_id
      JOIN credentials c ON c.grant_id = g.id AND c.revoked_at IS NULL
     WHERE g.class = 'tenant' AND g.state = 'active' AND g.lower <= %(now)s AND g.upper > %(now)s
     ORDER BY g.id, c.expires_at DESC, c.id DESC)
SELECT holder_id, house_id, door_id, name, grant_id, credential_id, expires_at
  FROM newest
 WHERE expires_at < %(before)s AND expires_at < upper AND %(now)s - not_before > (expires_at - not_before) / 2
 ORDER BY expires_at, grant_id
"""
"""A key that ends with the lease is no risk. One that a review bounds to a day is young until half a day is over."""

_WITHOUT: Final = f"""
SELECT count(*), min(f.expires_at) FROM ({FADING}) f
 WHERE NOT EXISTS (SELECT 1 FROM slots s WHERE s.grant_id = f.grant_id AND s.purpose = 'own'
    AND (s.state = 'set' OR (s.state = 'removing' AND s.why = 'replaced' AND s.settled_at IS NOT NULL)))
"""  # noqa: S608 - both halves are ours
_NOW: Final = _WITHOUT.replace("%(now)s", "now()").replace("%(before)s", "(now() + interval '36 hours')")


def count_at_risk(url: str) -> tuple[int, datetime | None]:
    """Return how many tenants are at risk, and when the first key dies. Raises DatabaseAwayError."""
    try:
        with psycopg.connect(driver_url(url)) as connection:
            found = connection.execute(_NOW).fetchone()
    except psycopg.Error as error:
        raise DatabaseAwayError(type(error).__name__) from error
    return (0, None) if found is None else (int(found[0]), found[1])
