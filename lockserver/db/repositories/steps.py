"""Single statements, each a transaction of its own: a person stands at the door meanwhile.

Statements and their round trips were most of an unlock's time. What is decided stays in the use
cases; these fetch all that one decision needs, or write all that one step writes, at once.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import psycopg
from psycopg.errors import UniqueViolation

from lockserver.app.ports.rows import Answer
from lockserver.app.ports.steps import Claim, Conclusion, Continued, Dispatched, Knock, Known, Standing
from lockserver.domain.account import Holder, Session
from lockserver.domain.command import Command
from lockserver.domain.errors import IdempotencyRunningError, WishUsedError
from lockserver.domain.grant import Capability
from lockserver.domain.lock import JournalLine, LockStatus, SpentWish
from lockserver.protocol.journal import GENESIS

if TYPE_CHECKING:
    from lockserver.app import ports

_SESSION: Final = tuple(field.name for field in fields(Session))
_HOLDER: Final = tuple(field.name for field in fields(Holder))
_COMMAND: Final = tuple(field.name for field in fields(Command))

_CONTINUED: Final = tuple(field.name for field in fields(Continued))
_LINE: Final = tuple(field.name for field in fields(JournalLine))

_CALLER: Final = f"""
SELECT {", ".join(f"s.{name}" for name in _SESSION)}, {", ".join(f"h.{name}" for name in _HOLDER)}
  FROM sessions s JOIN holders h ON h.account_id = s.account_id
 WHERE s.access_hash = %(hash)s
"""  # noqa: S608 - names of our own records' fields

_COMMAND_OF: Final = f"SELECT {', '.join(_COMMAND)} FROM commands WHERE id = %(id)s"  # noqa: S608

_STANDING: Final = """
SELECT i.route, i.body_hash, i.state, i.status, i.headers, i.response,
       s.lock_state, s.grant_id, s.capabilities, s.phone_id, s.sign_pub, s.phone_state,
       k.id, s.class, s.occupied, COALESCE(k.enters, false)
  FROM (VALUES (1)) AS one
  LEFT JOIN idempotency i ON i.caller = %(caller)s AND i.key = %(key)s
  LEFT JOIN (
       SELECT l.state AS lock_state, g.id AS grant_id, g.capabilities, g.class,
              p.id AS phone_id, p.sign_pub, p.state AS phone_state,
              g.class IN ('owner', 'staff') AND EXISTS (
                  SELECT FROM tenancies t WHERE t.door_id = l.door_id AND t.state = 'signed'
                     AND t.lower <= %(now)s AND t.upper > %(now)s) AS occupied
         FROM locks l
         JOIN grants g ON g.door_id = l.door_id AND g.holder_id = %(holder)s AND g.state = 'active'
              AND g.lower <= %(now)s AND (g.upper IS NULL OR g.upper > %(now)s)
         LEFT JOIN phones p ON p.holder_id = %(holder)s
              AND substring(sha256(p.sign_pub) FROM 1 FOR 8) = %(kid)s
        WHERE l.id = %(lock)s AND l.state <> 'retired'
        ORDER BY g.class = 'tenant' DESC, g.capabilities DESC LIMIT 1) AS s ON true
  LEFT JOIN LATERAL (
       SELECT c.id, c.capabilities & %(entry)s <> 0 AS enters FROM credentials c
        WHERE c.phone_id = s.phone_id AND c.lock_id = %(lock)s AND c.revoked_at IS NULL
          AND c.not_before <= %(now)s AND c.expires_at > %(now)s
        ORDER BY c.id DESC LIMIT 1) AS k ON true
"""

_PLACE: Final = """
WITH tried AS MATERIALIZED (
       SELECT pg_try_advisory_xact_lock(hashtextextended(%(name)s, 36)) AS held),
     stands AS MATERIALIZED (
       SELECT 1 FROM tried, sessions s, grants g, phones p, credentials c
        WHERE tried.held AND s.id = %(session)s AND s.revoked_at IS NULL
          AND g.id = %(grant)s AND g.state = 'active' AND (g.upper IS NULL OR g.upper > %(now)s)
          AND p.id = %(phone)s AND p.state = 'active'
          AND c.id = %(credential)s AND c.revoked_at IS NULL),
     claimed AS (
       INSERT INTO idempotency (caller, key, route, body_hash, state, status, headers, response)
       SELECT %(caller)s, %(key)s, %(route)s, %(body_hash)s, 'done', %(status)s, %(headers)s, %(response)s
         FROM stands
       ON CONFLICT DO NOTHING RETURNING 1),
     wished AS (
       INSERT INTO wishes (id, holder_id, phone_id, operation, target, not_after, raw)
       SELECT %(wish)s, %(holder)s, %(phone)s, %(operation)s, %(lock)s, %(wish_until)s, %(raw)s
         FROM claimed
       RETURNING id),
     counted AS (
       UPDATE locks SET command_counter = command_counter + 1 FROM claimed WHERE id = %(lock)s
       RETURNING command_counter),
     placed AS (
       INSERT INTO commands (id, lock_id, holder_id, grant_id, credential_id, wish_id, kind, counter,
                             state, not_after)
       SELECT %(id)s, %(lock)s, %(holder)s, %(grant)s, %(credential)s, wished.id, %(kind)s,
              counted.command_counter, 'queued', %(until)s
         FROM wished, counted
       RETURNING counter),
     told AS (
       INSERT INTO audit_log (actor, verb, object, detail)
       SELECT %(caller)s, %(kind)s || '_remotely', %(object)s, %(detail)s FROM placed)
SELECT tried.held, placed.counter IS NOT NULL,
       CASE WHEN placed.counter IS NOT NULL THEN pg_notify('commands', %(lock_hex)s) END
  FROM tried LEFT JOIN placed ON true
"""

_DISPATCH: Final = """
UPDATE commands SET state = 'sent', sent_at = %(now)s, via = %(via)s, fault = NULL
  FROM wishes, credentials
 WHERE commands.id IN (SELECT id FROM commands WHERE lock_id = %(lock)s AND state = 'queued'
                           AND not_after > %(now)s ORDER BY counter LIMIT %(most)s)
   AND commands.state = 'queued' AND wishes.id = commands.wish_id AND credentials.id = commands.credential_id
RETURNING commands.id, commands.counter, commands.not_after, wishes.raw, credentials.raw, commands.kind
"""

_HOLD_UP: Final = """
UPDATE commands SET fault = %(fault)s
 WHERE lock_id = %(lock)s AND state = 'queued' AND fault IS DISTINCT FROM %(fault)s
"""

_CONCLUDE: Final = """
WITH news AS (
       UPDATE lock_status
          SET boot = %(boot)s, seq = %(seq)s, last_seen_at = %(now)s,
              connected = connected OR %(connected)s,
              carried_by = %(carried_by)s, carried_at = COALESCE(%(carried_at)s, carried_at),
              bolt = %(bolt)s, bolt_at = %(now)s, counter = GREATEST(counter, %(counter)s)
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

_KEEP: Final = """
WITH moved AS (
       UPDATE lock_status AS s
          SET journal_number = n.number, journal_hash = n.hash, last_seen_at =
                CASE WHEN n.news THEN %(now)s ELSE s.last_seen_at END,
              boot = CASE WHEN n.news THEN n.boot ELSE s.boot END,
              seq = CASE WHEN n.news THEN n.seq ELSE s.seq END
         FROM (SELECT n.*, k.boot IS NULL OR k.seq IS NULL OR (k.boot, k.seq) < (n.boot, n.seq) AS news
                 FROM unnest(%(lock_id)s::uuid[], %(after_number)s::bigint[], %(after_hash)s::bytea[],
                             %(number)s::bigint[], %(hash)s::bytea[], %(boot)s::bigint[],
                             %(seq)s::bigint[], %(acts)s::boolean[])
                      AS n (lock_id, after_number, after_hash, number, hash, boot, seq, acts)
                 JOIN lock_status k USING (lock_id)) AS n
        WHERE s.lock_id = n.lock_id
          AND COALESCE(s.journal_number, 0) = n.after_number
          AND COALESCE(s.journal_hash, %(genesis)s) = n.after_hash
          AND NOT (n.acts AND EXISTS (SELECT FROM commands c WHERE c.lock_id = n.lock_id
                                         AND c.state IN ('sent', 'unknown')))
       RETURNING s.lock_id),
     kept AS (
       INSERT INTO journal (lock_id, number, what, how, subject, denial, at, uncertainty, count,
                            prev_hash, hash, via, received_at)
       SELECT l.* FROM moved JOIN
              unnest(%(l_lock_id)s::uuid[], %(l_number)s::bigint[], %(l_what)s::int[], %(l_how)s::int[],
                     %(l_subject)s::bytea[], %(l_denial)s::int[], %(l_at)s::timestamptz[],
                     %(l_uncertainty)s::bigint[], %(l_count)s::int[], %(l_prev_hash)s::bytea[],
                     %(l_hash)s::bytea[], %(l_via)s::text[], %(l_received_at)s::timestamptz[])
              AS l (lock_id, number, what, how, subject, denial, at, uncertainty, count, prev_hash, hash,
                    via, received_at) ON l.lock_id = moved.lock_id
       ON CONFLICT (lock_id, number) DO NOTHING)
SELECT lock_id FROM moved
"""


class Steps:
    """Single statements on a connection without an open transaction."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection

    async def caller(self, access_hash: bytes) -> tuple[Session, Holder] | None:
        """Return the session of this access token's hash, living or not, and who is behind it."""
        row = await (await self.connection.execute(_CALLER, {"hash": access_hash})).fetchone()
        if row is None:
            return None
        count = len(_SESSION)
        return Session(*row[:count]), Holder(*row[count:])

    async def standing(self, knock: Knock, claim: Claim) -> tuple[Known | None, Standing | None]:
        """Return what is known under the key, and how the holder stands to the lock."""
        values = {
            "caller": claim.caller,
            "key": claim.key,
            "holder": knock.holder_id,
            "lock": knock.lock_id,
            "kid": knock.kid,
            "now": knock.at,
            "entry": int(Capability.ENTRY),
        }
        row = await (await self.connection.execute(_STANDING, values)).fetchone()
        if row is None:  # pragma: no cover - the statement always has one row
            return None, None
        known, standing = row[:6], row[6:]
        return (
            None if known[0] is None else Known(*known),
            None if standing[0] is None else Standing(*standing),
        )

    async def place(
        self, knock: Knock, command: Command, wish: SpentWish, claim: Claim, kept: Answer
    ) -> bool:
        """Spend the wish, write the command under the lock's next counter, keep the answer.

        False, and nothing is written, where somebody else was quicker. Raises WishUsedError,
        IdempotencyRunningError.
        """
        values = {
            # One lock per (caller, key), as `Idempotency.begin` takes it.
            "name": f"{claim.caller}\x1f{claim.key}",
            "caller": claim.caller,
            "key": claim.key,
            "route": claim.route,
            "body_hash": claim.body_hash,
            "status": kept.status,
            "headers": json.dumps(dict(kept.headers)),
            "response": kept.response,
            "session": knock.session_id,
            "now": knock.at,
            "id": command.id,
            "kind": command.kind,
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
            "object": f"lock:{command.lock_id}",
            "detail": json.dumps({"command": str(command.id)}),
        }
        try:
            row = await (await self.connection.execute(_PLACE, values)).fetchone()
        except UniqueViolation as taken:
            if taken.diag.constraint_name != "wishes_pkey":
                raise
            raise WishUsedError from taken
        held, placed, _ = row or (False, False, None)
        if not held:
            raise IdempotencyRunningError
        return bool(placed)

    async def command(self, command_id: UUID) -> Command | None:
        """Return a command."""
        row = await (await self.connection.execute(_COMMAND_OF, {"id": command_id})).fetchone()
        return None if row is None else Command(*row)

    async def dispatch(self, lock_id: UUID, at: datetime, via: str | None, most: int) -> Sequence[Dispatched]:
        """Mark the lock's oldest queued commands that still live as sent; return what to send."""
        values = {"lock": lock_id, "now": at, "via": via, "most": most}
        rows = await self.connection.execute(_DISPATCH, values)
        return sorted((Dispatched(*row) for row in await rows.fetchall()), key=lambda one: one.counter)

    async def hold_up(self, lock_id: UUID, fault: str) -> None:
        """Write down what keeps the lock's queued commands waiting."""
        await self.connection.execute(_HOLD_UP, {"lock": lock_id, "fault": fault})

    async def conclude(
        self, status: LockStatus, command_id: UUID, conclusion: Conclusion, evidence: bytes
    ) -> bool:
        """Note where the lock's reports stand now, and settle the command by this one.

        False where the report is no news, or the lock was never heard of: nothing was written.
        """
        values = {
            "lock": status.lock_id,
            "boot": status.boot,
            "seq": status.seq,
            "now": status.last_seen_at,
            "bolt": status.bolt,
            "counter": status.counter,
            "connected": status.connected,
            "carried_by": status.carried_by,
            "carried_at": status.carried_at,
            "id": command_id,
            "id_text": str(command_id),
            "state": conclusion.state,
            "code": conclusion.code,
            "evidence": evidence,
            "verb": f"command_{conclusion.state}",
            "object": f"command:{command_id}",
            "detail": json.dumps({"code": conclusion.code}),
        }
        row = await (await self.connection.execute(_CONCLUDE, values)).fetchone()
        return bool(row and row[0])

    async def keep(
        self, batches: Sequence[Continued], lines: Sequence[JournalLine], at: datetime
    ) -> frozenset[UUID]:
        """Keep the lines of those batches that continue exactly what is kept; return their locks."""
        values: dict[str, Any] = {"now": at, "genesis": GENESIS}
        values |= {name: [getattr(one, name) for one in batches] for name in _CONTINUED}
        values |= {f"l_{name}": [getattr(line, name) for line in lines] for name in _LINE}
        rows = await self.connection.execute(_KEEP, values)
        return frozenset(row[0] for row in await rows.fetchall())


if TYPE_CHECKING:

    def _holds(steps: Steps) -> ports.Steps:
        return steps
