"""Idempotency, audit, the outbox's way in; identity cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from lockserver.app.ports.rows import Answer, Outgoing
from lockserver.app.ports.steps import Known
from lockserver.domain.case import Case, CasePart, ImageKind, OpenCase, Outcome, PartKind
from lockserver.domain.errors import IdempotencyRunningError
from tests.sim.memory.rows import Connection, Rows, by, names_of, values
from tests.sim.memory.schema import Row
from tests.sim.memory.transaction import ADVISORY, UPDATE, Transaction


def known_under(work: Transaction, caller: str, key: str) -> Known | None:
    """Return what is kept under an idempotency key."""
    row = work.row("idempotency", (caller, key))
    return None if row is None else Known(*[row[name] for name in names_of(Known)])


def claims(work: Transaction, caller: str, key: str) -> bool:
    """Take the key's turn, held to the transaction's end; False where somebody else has it."""
    return work.tries(ADVISORY, ("idempotency", caller, key), UPDATE)


class Idempotency:
    """The first answer to a key is the only one (L-36)."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def begin(self, caller: str, key: str, route: str, body_hash: bytes) -> Answer | None:
        """Claim the key, or return the stored answer."""
        async with self.connection.statement("idempotency.begin") as work:
            if not claims(work, caller, key):
                raise IdempotencyRunningError
            known = known_under(work, caller, key)
            if known is None:
                row = {"caller": caller, "key": key, "route": route, "body_hash": body_hash}
                await work.insert("idempotency", row)
                return None
        return known.answer(route, body_hash)

    async def known(self, caller: str, key: str, route: str, body_hash: bytes) -> Answer | None:
        """Return the stored answer without claiming the key."""
        async with self.connection.statement() as work:
            known = known_under(work, caller, key)
        return None if known is None else known.answer(route, body_hash)

    async def finish(self, caller: str, key: str, answer: Answer) -> None:
        """Store the answer with the effect, in one transaction."""
        async with self.connection.statement("idempotency.finish") as work:
            changes = {
                "state": "done",
                "status": answer.status,
                "headers": dict(answer.headers),
                "response": answer.response,
            }
            await work.update("idempotency", (caller, key), changes)


class Audit:
    """The server's own log; it is only ever added to."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def write(self, actor: str, verb: str, object_: str, **detail: Any) -> None:
        """Add a line in the transaction of what it tells."""
        async with self.connection.statement("audit.write") as work:
            await tell(work, actor, verb, object_, {name: _plain(value) for name, value in detail.items()})


async def tell(work: Transaction, actor: str, verb: str, object_: str, detail: dict[str, Any]) -> None:
    """Write a line of the audit log; its number is drawn now, whatever becomes of the transaction."""
    line = {
        "id": work.store.draw(),
        "actor": actor,
        "verb": verb,
        "object_": object_,
        "detail": detail,
        "txid": work.id,
    }
    await work.insert("audit_log", line)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return str(value)


class Outbox(Rows[Outgoing]):
    """The outbox's way in."""

    table = "outbox"
    record = Outgoing

    async def next_seq(self, client_no: str) -> int:
        """Return the next version of this registration (1 for the first), holding its line."""
        async with self.statement() as work:
            await work.hold(ADVISORY, ("line", client_no), UPDATE)
            return 1 + max((row["seq"] for row in work.rows(self.table, client_no=client_no)), default=0)

    async def put(self, entry: Outgoing) -> None:
        """Add the entry and wake the relay."""
        async with self.statement("put") as work:
            await work.insert(self.table, values(entry))
            work.notify("outbox", entry.client_no)


class Parts(Rows[CasePart]):
    """What was brought, sealed bytes and all."""

    table = "case_parts"
    record = CasePart


_OPENED = ("id", "duty_id", "holder_id", "phone_id", "session_id", "route", "state")
_TOUCHED = ("route", "consent_document_at", "consent_face_at", "consent_face_withdrawn_at", "active_at")


class Cases(Rows[OpenCase]):
    """Cases as the role api sees them."""

    table = "cases"
    record = OpenCase

    async def open(self, case: OpenCase) -> None:
        """Insert a fresh case; its first instant is the database's."""
        async with self.statement("open") as work:
            await work.insert(self.table, {name: getattr(case, name) for name in _OPENED})

    async def touch(self, case: OpenCase) -> None:
        """Write route, consents and the instant of the last touch."""
        await self.change("touch", case.id, **{name: getattr(case, name) for name in _TOUCHED})

    async def of_duty(self, duty_id: UUID) -> Sequence[OpenCase]:
        """Return the cases opened for a duty, newest first."""
        return await self.find(order=by("id", newest=True), duty_id=duty_id)

    async def parts(self, case_id: UUID) -> Sequence[CasePart]:
        """Return what was brought, in order, without its sealed bytes."""
        async with self.statement() as work:
            rows = by("id")(work.rows("case_parts", case_id=case_id))
            return [CasePart(**_part({**row, "sealed": None})) for row in rows]

    async def tries(self, duty_id: UUID, kind: ImageKind, since: datetime) -> int:
        """Return how many images of this kind were brought for a duty since then, in all its cases."""
        async with self.statement() as work:
            return sum(
                part["created_at"] >= since
                for case in work.rows(self.table, duty_id=duty_id)
                for part in work.rows("case_parts", case_id=case["id"], kind=kind)
            )

    async def bring(self, part: CasePart) -> None:
        """Keep a part, and wake the role verify."""
        async with self.statement("bring") as work:
            row = values(part)
            del row["created_at"]
            await work.insert("case_parts", row)
            work.notify("requests_verify", str(part.id))


def _part(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in names_of(CasePart)}


class CaseFiles(Rows[Case]):
    """Cases as the role verify has them."""

    table = "cases"
    record = Case

    async def save(self, record: Case) -> None:
        """Write every field, and tell who watches the case."""
        await super().save(record)
        async with self.statement("tell") as work:
            work.notify("case_changed", str(record.id))

    async def parts(self, case_id: UUID) -> Sequence[CasePart]:
        """Return what was brought, in order."""
        return await Parts(self.connection).find(order=by("id"), case_id=case_id)

    async def save_part(self, part: CasePart) -> None:
        """Write a part's sealed bytes, state, code and advice."""
        await Parts(self.connection).change(
            "save", part.id, sealed=part.sealed, state=part.state, code=part.code, advice=part.advice
        )

    async def drop_parts(self, case_id: UUID, kind: PartKind | None = None) -> Sequence[bytes]:
        """Blank the sealed bytes of a case's parts (of one kind); return the digests of those."""
        async with self.statement("drop_parts") as work:
            rows = [
                row
                for row in work.rows("case_parts", case_id=case_id)
                if row["sealed"] is not None and kind in (None, row["kind"])
            ]
            for row in rows:
                await work.update("case_parts", row["id"], {"sealed": None})
            return [row["digest"] for row in rows]

    async def claim_received(self) -> CasePart | None:
        """Return and hold the oldest part nobody has worked on, skipping those held elsewhere."""
        async with self.statement() as work:
            for row in by("id")(work.rows("case_parts", state="received")):
                if work.tries("case_parts", row["id"], UPDATE):
                    return CasePart(**_part(row))
        return None

    async def hold_long(self) -> None:
        """Let this transaction wait for recognition: nothing here ends it for idling."""

    async def withdrawn_with_face(self, limit: int = 100) -> Sequence[UUID]:
        """Return cases whose consent to the face was withdrawn while a selfie is still kept."""
        async with self.statement() as work:
            found = [
                case["id"]
                for case in work.rows(self.table)
                if case["consent_face_withdrawn_at"] is not None
                and any(
                    part["sealed"] is not None
                    for part in work.rows("case_parts", case_id=case["id"], kind="selfie")
                )
            ]
            return found[:limit]

    async def kept_idle_since(self, before: datetime, limit: int = 100) -> Sequence[Case]:
        """Return cases that still keep something and were last touched before this instant."""
        return await self.find(lambda row: row["active_at"] <= before, limit=limit, destroyed_at=None)

    async def kept_and_receipted(self, limit: int = 100) -> Sequence[UUID]:
        """Return cases that still have a key although their registration has its receipt."""
        async with self.statement() as work:
            found = [
                case["id"]
                for case in work.rows(self.table, state="submitted", destroyed_at=None)
                for filed in work.rows("registrations", duty_id=case["duty_id"])
                if filed["receipt_no"] is not None
            ]
            return found[:limit]

    async def add_verdict(self, verdict_id: UUID, case: Case, outcome: Outcome, codes: Sequence[str]) -> None:
        """Write what was concluded about the case's phone, for the issuer to read."""
        async with self.statement("add_verdict") as work:
            verdict = {
                "id": verdict_id,
                "case_id": case.id,
                "holder_id": case.holder_id,
                "phone_id": case.phone_id,
                "outcome": outcome,
                "route": case.route,
                "reasons": list(codes),
                "created_at": work.store.now(),
            }
            await work.insert("verdicts", verdict)
