"""Identity cases twice: as the role api may see them, and as the role verify has them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lockserver.db.repositories.rows import Rows
from lockserver.db.tables import CasePartRow, CaseRow, RegistrationRow, VerdictRow, table_of
from lockserver.domain.case import Case, CasePart, ImageKind, OpenCase, Outcome, PartKind

_cases = table_of(CaseRow)
_parts = table_of(CasePartRow)
_verdicts = table_of(VerdictRow)
_registrations = table_of(RegistrationRow)

HELD_S = 180
"""Longer than recognition may take with everybody before it in the queue."""

_TOUCHED = (
    "route",
    "consent_document_at",
    "consent_face_at",
    "consent_face_withdrawn_at",
    "active_at",
)
"""What the role api may write of a case after it was opened."""
_OPENED = ("id", "duty_id", "holder_id", "phone_id", "session_id", "route", "state")
_PART_OPEN = ("id", "case_id", "kind", "digest", "state", "code", "advice", "created_at")


class Parts(Rows[CasePart]):
    """What was brought, sealed bytes and all."""

    table = _parts
    record = CasePart


async def _tell(connection: AsyncConnection, case_id: UUID) -> None:
    await connection.execute(text("SELECT pg_notify('case_changed', :case)"), {"case": str(case_id)})


class Cases(Rows[OpenCase]):
    """Cases as the role api sees them."""

    table = _cases
    record = OpenCase

    async def open(self, case: OpenCase) -> None:
        """Insert a fresh case; its first instant is the database's."""
        await self.run(insert(self.table).values({name: getattr(case, name) for name in _OPENED}))

    async def touch(self, case: OpenCase) -> None:
        """Write route, consents and the instant of the last touch."""
        values = {name: getattr(case, name) for name in _TOUCHED}
        await self.run(update(self.table).where(self.table.c.id == case.id).values(values))

    async def of_duty(self, duty_id: UUID) -> Sequence[OpenCase]:
        """Return the cases opened for a duty, newest first."""
        statement = self.select().where(self.table.c.duty_id == duty_id)
        return await self.all(statement.order_by(self.table.c.id.desc()))

    async def parts(self, case_id: UUID) -> Sequence[CasePart]:
        """Return what was brought, in order, without its sealed bytes."""
        columns = [_parts.c[name] for name in _PART_OPEN]
        statement = select(*columns).where(_parts.c.case_id == case_id).order_by(_parts.c.id)
        found = await self.connection.execute(statement)
        return [CasePart(sealed=None, **row) for row in found.mappings()]

    async def tries(self, duty_id: UUID, kind: ImageKind, since: datetime) -> int:
        """Return how many images of this kind were brought for a duty since then, in all its cases."""
        statement = (
            select(func.count())
            .select_from(_parts.join(_cases, _cases.c.id == _parts.c.case_id))
            .where(_cases.c.duty_id == duty_id, _parts.c.kind == kind, _parts.c.created_at >= since)
        )
        return int(await self.scalar(statement))

    async def bring(self, part: CasePart) -> None:
        """Keep a part, and wake the role verify."""
        values = Parts.values(part)
        del values["created_at"]
        await self.run(insert(_parts).values(values))
        await self.connection.execute(
            text("SELECT pg_notify('requests_verify', :part)"), {"part": str(part.id)}
        )


class CaseFiles(Rows[Case]):
    """Cases as the role verify has them."""

    table = _cases
    record = Case

    async def save(self, record: Case) -> None:
        """Write every field, and tell who watches the case."""
        await super().save(record)
        await _tell(self.connection, record.id)

    async def parts(self, case_id: UUID) -> Sequence[CasePart]:
        """Return what was brought, in order."""
        rows = Parts(self.connection)
        return await rows.all(rows.select().where(_parts.c.case_id == case_id).order_by(_parts.c.id))

    async def save_part(self, part: CasePart) -> None:
        """Write a part's sealed bytes, state, code and advice."""
        await self.run(
            update(_parts)
            .where(_parts.c.id == part.id)
            .values(sealed=part.sealed, state=part.state, code=part.code, advice=part.advice)
        )

    async def drop_parts(self, case_id: UUID, kind: PartKind | None = None) -> Sequence[bytes]:
        """Blank the sealed bytes of a case's parts (of one kind); return the digests of those."""
        statement = update(_parts).where(_parts.c.case_id == case_id, _parts.c.sealed.is_not(None))
        if kind is not None:
            statement = statement.where(_parts.c.kind == kind)
        blanked = await self.connection.execute(statement.values(sealed=None).returning(_parts.c.digest))
        return [bytes(digest) for digest in blanked.scalars()]

    async def claim_received(self) -> CasePart | None:
        """Return and hold the oldest part nobody has worked on, skipping those held elsewhere."""
        rows = Parts(self.connection)
        return await rows.first(
            rows.select()
            .where(_parts.c.state == "received")
            .order_by(_parts.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )

    async def hold_long(self) -> None:
        """Let this transaction wait for recognition: a pool's queue may outlast the idle limit."""
        await self.connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{HELD_S}s'"))

    async def withdrawn_with_face(self, limit: int = 100) -> Sequence[UUID]:
        """Return cases whose consent to the face was withdrawn while a selfie is still kept."""
        statement = (
            select(_cases.c.id)
            .join(_parts, _parts.c.case_id == _cases.c.id)
            .where(
                _cases.c.consent_face_withdrawn_at.is_not(None),
                _parts.c.kind == "selfie",
                _parts.c.sealed.is_not(None),
            )
            .distinct()
            .limit(limit)
        )
        return await self._ids(statement)

    async def kept_idle_since(self, before: datetime, limit: int = 100) -> Sequence[Case]:
        """Return cases that still keep something and were last touched before this instant."""
        statement = self.select().where(self.table.c.destroyed_at.is_(None))
        return await self.all(statement.where(self.table.c.active_at <= before).limit(limit))

    async def kept_and_receipted(self, limit: int = 100) -> Sequence[UUID]:
        """Return cases that still have a key although their registration has its receipt."""
        statement = (
            select(_cases.c.id)
            .join(_registrations, _registrations.c.duty_id == _cases.c.duty_id)
            .where(
                _cases.c.destroyed_at.is_(None),
                _cases.c.state == "submitted",
                _registrations.c.receipt_no.is_not(None),
            )
            .limit(limit)
        )
        return await self._ids(statement)

    async def _ids(self, statement: Select[Any]) -> Sequence[UUID]:
        return list((await self.connection.execute(statement)).scalars())

    async def add_verdict(self, verdict_id: UUID, case: Case, outcome: Outcome, codes: Sequence[str]) -> None:
        """Write what was concluded about the case's phone, for the issuer to read."""
        await self.run(
            insert(_verdicts).values(
                id=verdict_id,
                case_id=case.id,
                holder_id=case.holder_id,
                phone_id=case.phone_id,
                outcome=outcome,
                route=case.route,
                reasons=list(codes),
                created_at=func.clock_timestamp(),
            )
        )
