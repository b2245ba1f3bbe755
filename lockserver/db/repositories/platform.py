"""Idempotency, audit, and the outbox's way in."""

from dataclasses import fields
from typing import Any, Final

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.app.ports.rows import Answer, Outgoing
from lockserver.app.ports.steps import Known
from lockserver.db.connection import driver
from lockserver.db.repositories.rows import Rows, refusals
from lockserver.db.tables import AuditRow, IdempotencyRow, OutboxRow, table_of
from lockserver.domain.errors import IdempotencyRunningError

_idempotency = table_of(IdempotencyRow)
_audit = table_of(AuditRow)


_BEGIN: Final = """
WITH tried AS MATERIALIZED (
       SELECT pg_try_advisory_xact_lock(hashtextextended(%(name)s, 36)) AS held),
     known AS MATERIALIZED (
       SELECT i.route, i.body_hash, i.state, i.status, i.headers, i.response
         FROM idempotency i, tried
        WHERE tried.held AND i.caller = %(caller)s AND i.key = %(key)s),
     made AS (
       INSERT INTO idempotency (caller, key, route, body_hash)
       SELECT %(caller)s, %(key)s, %(route)s, %(body_hash)s FROM tried
        WHERE tried.held AND NOT EXISTS (SELECT FROM known)
       ON CONFLICT DO NOTHING RETURNING 1)
SELECT tried.held, EXISTS (SELECT FROM made), known.* FROM tried LEFT JOIN known ON true
"""


class Idempotency:
    """The first answer to a key is the only one (L-36).

    The row is inserted in the transaction of the request's effect. While that transaction runs, a
    second request cannot see the row, and its INSERT would wait for the first to end: an advisory
    lock, held to the end of the transaction and only ever *tried*, says "running" at once instead.
    A crash ends the transaction: no row, no effect, no lock.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def begin(self, caller: str, key: str, route: str, body_hash: bytes) -> Answer | None:
        """Claim the key, or return the stored answer: one statement, since a person waits."""
        raw = await driver(self.connection)
        # One lock per (caller, key); 64 bits of a hash: a chance meeting says "running", no worse.
        values = {
            "name": f"{caller}\x1f{key}",
            "caller": caller,
            "key": key,
            "route": route,
            "body_hash": body_hash,
        }
        while True:
            row = await (await raw.execute(_BEGIN, values)).fetchone()
            held, made, *known = row or (False, False)
            if not held:
                raise IdempotencyRunningError
            if made:
                return None
            if known[0] is not None:
                break
            # The first ended between this statement's snapshot and its lock: look once more.
        return Known(*known).answer(route, body_hash)

    async def known(self, caller: str, key: str, route: str, body_hash: bytes) -> Answer | None:
        """Return the stored answer without claiming the key."""
        columns = [_idempotency.c[field.name] for field in fields(Known)]
        statement = select(*columns).where(_idempotency.c.caller == caller, _idempotency.c.key == key)
        with refusals():
            row = (await self.connection.execute(statement)).first()
        return None if row is None else Known(*row).answer(route, body_hash)

    async def finish(self, caller: str, key: str, answer: Answer) -> None:
        """Store the answer with the effect, in one transaction."""
        await self.connection.execute(
            update(_idempotency)
            .where(_idempotency.c.caller == caller, _idempotency.c.key == key)
            .values(
                state="done",
                status=answer.status,
                headers=dict(answer.headers),
                response=answer.response,
            )
        )


class Audit:
    """The server's own log; it is only ever added to."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def write(self, actor: str, verb: str, object_: str, **detail: Any) -> None:  # noqa: ANN401
        """Add a line in the transaction of what it tells."""
        plain = {name: _plain(value) for name, value in detail.items()}
        values = {"actor": actor, "verb": verb, "object_": object_, "detail": plain}
        with refusals():
            # inline: no RETURNING of the id, which nobody who writes may read
            await self.connection.execute(insert(_audit).values(values).inline())


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON's own types pass
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return str(value)


class Outbox(Rows[Outgoing]):
    """The outbox's way in; the way out is the relay's (`lockserver.db.outbox`)."""

    table = table_of(OutboxRow)
    record = Outgoing

    async def next_seq(self, client_no: str) -> int:
        """Return the next version of this registration (1 for the first), holding its line."""
        await self.connection.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(client_no, 27)))
        )
        last = await self.scalar(
            select(func.max(self.table.c.seq)).where(self.table.c.client_no == client_no)
        )
        return 1 if last is None else int(last) + 1

    async def put(self, entry: Outgoing) -> None:
        """Add the entry and wake the relay."""
        await self.run(insert(self.table).values(self.values(entry)))
        await self.connection.execute(
            text("SELECT pg_notify('outbox', :client_no)"), {"client_no": entry.client_no}
        )
