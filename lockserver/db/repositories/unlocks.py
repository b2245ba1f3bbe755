"""The steps of a remote unlock, each a single statement: a person stands at the door meanwhile.

Statements and their round trips were most of an unlock's time. What is decided stays in the use
cases; these fetch all that one decision needs, or write all that one step writes, at once.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.app.ports.locks import Conclusion, Dispatched, Standing
from lockserver.db.connection import driver
from lockserver.domain.command import Command
from lockserver.domain.errors import WishUsedError
from lockserver.domain.lock import LockStatus, SpentWish

_STANDING: Final = """
SELECT l.state, bool_or(true), max(g.capabilities), (array_agg(g.id ORDER BY g.capabilities DESC))[1],
       p.id, p.sign_pub, p.state,
       (SELECT c.id FROM credentials c
         WHERE c.phone_id = p.id AND c.lock_id = l.id AND c.revoked_at IS NULL
           AND c.not_before <= %(now)s AND c.expires_at > %(now)s
         ORDER BY c.id DESC LIMIT 1)
  FROM locks l
  JOIN grants g ON g.door_id = l.door_id AND g.holder_id = %(holder)s AND g.state = 'active'
       AND g.lower <= %(now)s AND (g.upper IS NULL OR g.upper > %(now)s)
  LEFT JOIN phones p ON p.holder_id = %(holder)s
       AND substring(sha256(p.sign_pub) FROM 1 FOR 8) = %(kid)s
 WHERE l.id = %(lock)s AND l.state <> 'retired'
 GROUP BY l.id, p.id
"""

_PLACE: Final = """
WITH wished AS (
       INSERT INTO wishes (id, holder_id, phone_id, operation, target, not_after, raw)
       VALUES (%(wish)s, %(holder)s, %(phone)s, %(operation)s, %(lock)s, %(wish_until)s, %(raw)s)
       RETURNING id),
     counted AS (
       UPDATE locks SET command_counter = command_counter + 1 WHERE id = %(lock)s
       RETURNING command_counter),
     placed AS (
       INSERT INTO commands (id, lock_id, holder_id, grant_id, credential_id, wish_id, kind, counter,
                             state, not_after)
       SELECT %(id)s, %(lock)s, %(holder)s, %(grant)s, %(credential)s, wished.id, 'unlock',
              counted.command_counter, 'queued', %(until)s
         FROM wished, counted
       RETURNING counter),
     told AS (
       INSERT INTO audit_log (actor, verb, object, detail)
       VALUES (%(actor)s, 'unlock_remotely', %(object)s, %(detail)s))
SELECT counter, pg_notify('commands', %(lock_hex)s) FROM placed
"""

_DISPATCH: Final = """
UPDATE commands SET state = 'sent', sent_at = %(now)s
  FROM wishes, credentials
 WHERE commands.lock_id = %(lock)s AND commands.state = 'queued' AND commands.not_after > %(now)s
   AND wishes.id = commands.wish_id AND credentials.id = commands.credential_id
RETURNING commands.id, commands.counter, commands.not_after, wishes.raw, credentials.raw
"""

_CONCLUDE: Final = """
WITH news AS (
       UPDATE lock_status
          SET boot = %(boot)s, seq = %(seq)s, last_seen_at = %(now)s, connected = true,
              bolt = %(bolt)s, counter = GREATEST(counter, %(counter)s)
        WHERE lock_id = %(lock)s AND (boot IS NULL OR (boot, seq) < (%(boot)s, %(seq)s))
       RETURNING lock_id),
     settled AS (
       UPDATE commands SET state = %(state)s, code = %(code)s, settled_at = %(now)s,
                           evidence = %(evidence)s
         FROM news
        WHERE commands.id = %(id)s AND commands.lock_id = news.lock_id
          AND (commands.state = 'sent' OR commands.state = 'unknown' AND %(state)s <> 'unknown')
       RETURNING commands.id),
     told AS (
       INSERT INTO audit_log (actor, verb, object, detail)
       SELECT 'role:bridge', %(verb)s, %(object)s, %(detail)s FROM settled)
SELECT (SELECT count(*) FROM news), (SELECT pg_notify('command_settled', %(id_text)s) FROM settled)
"""


class Unlocks:
    """A remote unlock's steps."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def standing(self, holder_id: UUID, lock_id: UUID, kid: bytes, at: datetime) -> Standing | None:
        """Return how a holder stands to a lock; None where he has nothing to do with it."""
        raw = await driver(self.connection)
        values = {"holder": holder_id, "lock": lock_id, "kid": kid, "now": at}
        row = await (await raw.execute(_STANDING, values)).fetchone()
        if row is None:
            return None
        state, _, capabilities, grant, phone, sign_pub, phone_state, credential = row
        return Standing(state, grant, capabilities, phone, sign_pub, phone_state, credential)

    async def place(self, command: Command, wish: SpentWish) -> int:
        """Spend the wish, take the lock's next counter, write the command; return the counter.

        Raises WishUsedError.
        """
        raw = await driver(self.connection)
        values = {
            "id": command.id,
            "lock": command.lock_id,
            "lock_hex": command.lock_id.hex,
            "holder": command.holder_id,
            "grant": command.grant_id,
            "credential": command.credential_id,
            "until": command.not_after,
            "wish": wish.id,
            "phone": wish.phone_id,
            "operation": wish.operation,
            "wish_until": wish.not_after,
            "raw": wish.raw,
            "actor": f"holder:{command.holder_id}",
            "object": f"lock:{command.lock_id}",
            "detail": json.dumps({"command": str(command.id)}),
        }
        try:
            row = await (await raw.execute(_PLACE, values)).fetchone()
        except UniqueViolation as used:
            raise WishUsedError from used
        return int(row[0]) if row else 0

    async def dispatch(self, lock_id: UUID, at: datetime) -> Sequence[Dispatched]:
        """Mark the lock's queued commands that still live as sent; return what to send."""
        raw = await driver(self.connection)
        rows = await raw.execute(_DISPATCH, {"lock": lock_id, "now": at})
        return sorted((Dispatched(*row) for row in await rows.fetchall()), key=lambda one: one.counter)

    async def conclude(
        self, status: LockStatus, command_id: UUID, conclusion: Conclusion, evidence: bytes
    ) -> bool:
        """Note where the lock's reports stand now, and settle the command by this one.

        False where the report is no news, or the lock was never heard of: nothing was written.
        """
        raw = await driver(self.connection)
        values = {
            "lock": status.lock_id,
            "boot": status.boot,
            "seq": status.seq,
            "now": status.last_seen_at,
            "bolt": status.bolt,
            "counter": status.counter,
            "id": command_id,
            "id_text": str(command_id),
            "state": conclusion.state,
            "code": conclusion.code,
            "evidence": evidence,
            "verb": f"command_{conclusion.state}",
            "object": f"command:{command_id}",
            "detail": json.dumps({"code": conclusion.code}),
        }
        row = await (await raw.execute(_CONCLUDE, values)).fetchone()
        return bool(row and row[0])
