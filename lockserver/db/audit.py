"""Checkpoints over the audit log, written by role jobs."""

from __future__ import annotations

from typing import Final

import structlog
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.app import ports
from lockserver.db.audit_chain import GENESIS, AuditLine, fold, signed_bytes
from lockserver.db.connection import Pool

log = structlog.get_logger(__name__)

_ONE_AT_A_TIME: Final = 0x61756469
_LAST = text("SELECT number, below_txid, root_hash FROM audit_checkpoints ORDER BY number DESC LIMIT 1")
_HORIZON = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
LINES: Final = text(
    """
    SELECT id, at, actor, verb, object, detail, txid::text::bigint AS txid FROM audit_log
    WHERE txid >= CAST(CAST(:since AS text) AS xid8) AND txid < CAST(CAST(:below AS text) AS xid8)
    ORDER BY txid, id
    """
)


def read_line(row: Row[tuple[object, ...]]) -> AuditLine:
    """Return a row of the log as the chain sees it."""
    return AuditLine(row.id, row.at, row.actor, row.verb, row.object, row.detail, row.txid)


async def checkpoint(pool: Pool, signer: ports.Signer) -> int:
    """Sign a head over everything that is settled since the last one; returns how many rows."""
    async with pool.transaction() as connection:
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
        last = (await connection.execute(_LAST)).first()
        number, since, prev = (last.number + 1, last.below_txid, last.root_hash) if last else (1, 0, GENESIS)
        below = int((await connection.execute(_HORIZON)).scalar_one())
        lines = await _lines(connection, since, below)
        if not lines:
            return 0
        root = fold(prev, lines)
        await connection.execute(
            text(
                """
                INSERT INTO audit_checkpoints
                    (number, below_txid, count, root_hash, prev_hash, signature, kid)
                VALUES (:number, :below, :count, :root, :prev, :signature, :kid)
                """
            ),
            {
                "number": number,
                "below": below,
                "count": len(lines),
                "root": root,
                "prev": prev,
                "signature": signer.sign(signed_bytes(number, below, len(lines), root, prev)),
                "kid": signer.kid,
            },
        )
    log.info("audit.checkpoint", number=number, count=len(lines))
    return len(lines)


async def _lines(connection: AsyncConnection, since: int, below: int) -> list[AuditLine]:
    rows = await connection.execute(LINES, {"since": str(since), "below": str(below)})
    return [read_line(row) for row in rows]
