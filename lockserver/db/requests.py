"""Roles ask each other over rows of `requests`; NOTIFY only wakes them.

The worker holds the row's lock while it answers: should it die, the lock goes with it, and the next
worker takes the row. So a handler may run twice for one request, and its own writes must bear that
(they are unique by the request's facts). A request past its `expires_at` is not begun: its asker
has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from lockserver.app.ports.asking import Handler, RoleName
from lockserver.db.tables import RequestRow, table_of
from lockserver.domain.canonical import dumps, loads
from lockserver.domain.errors import DomainError, RoleFailedError, RoleSilentError, refusal

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from lockserver.app import ports
    from lockserver.db.connection import Pool

log = structlog.get_logger(__name__)

_requests = table_of(RequestRow)

POLL_S: Final = 1.0
"""How long a lost notification can cost, at most."""
HANDLER_LIMIT_S: Final = 120
"""A handler that sits longer in its transaction is cut off by the server."""
FAULT_PAUSE_S: Final = 0.5


class PostgresRequests:
    """Asks."""

    def __init__(self, pool: Pool, changes: ports.Changes, new_id: Callable[[], UUID]) -> None:
        self._pool = pool
        self._changes = changes
        self._new_id = new_id

    async def ask(self, role: RoleName, kind: str, body: Mapping[str, Any], within: float) -> dict[str, Any]:
        """Write the request, wait at most `within` seconds, return the answer.

        Raises the answering role's DomainError, RoleSilentError, RoleFailedError.
        """
        request_id = self._new_id()
        deadline = asyncio.get_running_loop().time() + within
        async with self._changes.watch("answers", str(request_id)) as answers:
            await self._write(request_id, role, kind, dumps(body), within)
            while True:
                left = deadline - asyncio.get_running_loop().time()
                await answers.next(max(0.0, min(left, POLL_S)))
                taken = await self._take(request_id)
                if taken is not None:
                    return _answer(taken)
                if left <= 0:
                    raise RoleSilentError(role=role, kind=kind)

    async def _write(self, request_id: UUID, role: str, kind: str, body: bytes, within: float) -> None:
        async with self._pool.transaction() as connection:
            await connection.execute(
                insert(_requests).values(
                    id=request_id,
                    to_role=role,
                    kind=kind,
                    body=body,
                    expires_at=func.now() + text(f"interval '{within:.3f} seconds'"),
                )
            )
            await notify(connection, f"requests_{role}", str(request_id))

    async def _take(self, request_id: UUID) -> Row[Any, Any, Any, Any] | None:
        """Return the answer, if there is one, and leave the row without body and response."""
        async with self._pool.transaction() as connection:
            found = await connection.execute(
                select(_requests.c.state, _requests.c.response, _requests.c.error_code, _requests.c.error_detail)
                .where(_requests.c.id == request_id, _requests.c.state != "new")
            )  # fmt: skip
            row = found.first()
            if row is not None:
                await connection.execute(
                    update(_requests).where(_requests.c.id == request_id).values(body=None, response=None)
                )
        return row


def _answer(row: Row[Any, Any, Any, Any]) -> dict[str, Any]:
    if row.state == "failed":
        raise refusal(row.error_code, **(row.error_detail or {}))
    return loads(row.response or b"{}")


async def notify(connection: AsyncConnection, channel: str, payload: str) -> None:
    """Tell listeners at the commit of this transaction."""
    await connection.execute(select(func.pg_notify(channel, payload)))


async def serve_requests(
    role: RoleName,
    handlers: Mapping[str, Handler],
    stop: asyncio.Event,
    *,
    pool: Pool,
    changes: ports.Changes,
    workers: int = 4,
) -> None:
    """Answer this role's requests with `workers` at a time, until `stop` is set.

    `handlers` maps a request's kind to its coroutine function. A DomainError becomes the answer's
    `error_code` and `error_detail`; any other exception becomes `role_failed`, and is logged.
    """
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(_work(role, handlers, stop, pool, changes))


async def _work(
    role: RoleName,
    handlers: Mapping[str, Handler],
    stop: asyncio.Event,
    pool: Pool,
    changes: ports.Changes,
) -> None:
    async with changes.watch(f"requests_{role}") as woken:  # type: ignore[arg-type]  # a Channel by its role
        stopped: asyncio.Task[object] = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                try:
                    while not stop.is_set() and await answer_one(role, handlers, pool):
                        pass
                except DBAPIError as fault:
                    log.warning("requests.database", role=role, error=type(fault.orig).__name__)
                    await asyncio.sleep(FAULT_PAUSE_S)
                waiting: asyncio.Task[object] = asyncio.create_task(woken.next(POLL_S))
                await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting
        finally:
            stopped.cancel()


async def answer_one(role: RoleName, handlers: Mapping[str, Handler], pool: Pool) -> bool:
    """Claim and answer the oldest waiting request; False where there is none."""
    async with pool.transaction() as connection:
        claimed = (
            await connection.execute(
                select(_requests.c.id, _requests.c.kind, _requests.c.body)
                .where(
                    _requests.c.to_role == role,
                    _requests.c.state == "new",
                    _requests.c.expires_at > func.now(),
                )
                .order_by(_requests.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
        ).first()
        if claimed is None:
            return False
        await connection.execute(
            text(f"SET LOCAL idle_in_transaction_session_timeout = '{HANDLER_LIMIT_S}s'")
        )
        values = await _answered(role, handlers.get(claimed.kind), claimed.kind, claimed.body or b"{}")
        await connection.execute(
            update(_requests)
            .where(_requests.c.id == claimed.id)
            .values(body=None, done_at=func.clock_timestamp(), **values)
        )
        await notify(connection, "answers", str(claimed.id))
    return True


async def _answered(role: str, handler: Handler | None, kind: str, body: bytes) -> dict[str, Any]:
    if handler is None:
        log.error("request.unheard_of", role=role, kind=kind)
        return {"state": "failed", "error_code": RoleFailedError.code, "error_detail": {"kind": kind}}
    try:
        return {"state": "done", "response": dumps(await handler(loads(body)) or {})}
    except DomainError as refused:
        log.info("request.refused", role=role, kind=kind, error_code=refused.code)
        return {"state": "failed", "error_code": refused.code, "error_detail": _plain(refused.detail)}
    except Exception:
        log.exception("request.failed", role=role, kind=kind)
        return {"state": "failed", "error_code": RoleFailedError.code, "error_detail": {"kind": kind}}


def _plain(detail: Mapping[str, object]) -> dict[str, Any]:
    """Return the detail as JSON can hold it."""
    return loads(dumps(detail))


if TYPE_CHECKING:

    def _holds(requests: PostgresRequests) -> ports.Requests:
        return requests
