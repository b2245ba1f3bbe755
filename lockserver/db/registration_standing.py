"""Where a registration stands at the province, moved by what the province signed.

    receipt of a register or change   → receipted        the arrival duty is fulfilled
    receipt of a departure            → departed         the departure duty is fulfilled
    receipt of a withdrawal           → withdrawn
    verdict ACCEPTED, ACCEPTED_LATE   → accepted, accepted_late, with its voucher
    verdict RETURNED, DUPLICATE_OF    → returned, naming the field; the arrival duty is open again
    verdict MANUAL_REVIEW             → manual_review

A verdict carries the receipts that it rests on: they are kept with it, so that a registration is never
accepted without one, even when the reply that brought the receipt was lost and the verdict came first.
A departed or withdrawn registration stays so, whatever verdict on an earlier version comes late.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from police_sync.relay.filing import Kind
from police_sync.relay.outcomes import FieldReturn, ProvinceState, Receipt, Verdict

_OVER = "('departed', 'withdrawn')"

_BY_VERDICT = {
    ProvinceState.ACCEPTED: "accepted",
    ProvinceState.ACCEPTED_LATE: "accepted_late",
    ProvinceState.RETURNED: "returned",
    ProvinceState.DUPLICATE_OF: "returned",
    ProvinceState.MANUAL_REVIEW: "manual_review",
    ProvinceState.DEPARTED: "departed",
    ProvinceState.WITHDRAWN: "withdrawn",
}
"""RECEIVED and CHECKING say nothing that the receipt did not; SUPERSEDED waits for its successor."""


async def keep_receipt(
    connection: AsyncConnection, row_id: UUID, entry: Row[Any], receipt: Receipt, at: datetime
) -> None:
    """Store a verified receipt or voucher verbatim; one that is here already is left alone."""
    await connection.execute(
        text(
            """
            INSERT INTO receipts
                (id, registration_id, outbox_id, version, kind, no, raw, key_id, verified_at)
            VALUES (:id, :registration_id, :outbox_id, :version, :kind, :no, :raw, :key_id, :at)
            ON CONFLICT (kind, no) DO NOTHING
            """
        ),
        {
            "id": row_id,
            "registration_id": entry.registration_id,
            "outbox_id": entry.id,
            "version": receipt.version,
            "kind": receipt.type,
            "no": receipt.no,
            "raw": receipt.raw,
            "key_id": receipt.key_id,
            "at": at,
        },
    )


async def receipted(connection: AsyncConnection, entry: Row[Any], receipt: Receipt, at: datetime) -> None:
    """Move the registration by the receipt of one filing, and fulfil the duty that it answers."""
    kind = Kind(entry.kind)
    if kind in {Kind.REGISTER, Kind.CHANGE}:
        await _take_receipt(connection, entry.registration_id, receipt, at)
        # A callback may have brought the verdict before the lost reply's receipt was asked for.
        moved = await connection.execute(
            text(
                f"""
                UPDATE registrations SET state = 'receipted', return_field = NULL, return_code = NULL
                WHERE id = :id AND state NOT IN {_OVER}
                  AND NOT (verdict_settled AND coalesce(verdict_version, 0) >= :version)
                """  # noqa: S608 - a constant of this module
            ),
            {"id": entry.registration_id, "version": entry.seq},
        )
        if moved.rowcount:
            await _fulfil(connection, entry.registration_id, "arrival", at)
    else:
        state = "departed" if kind is Kind.DEPARTURE else "withdrawn"
        await connection.execute(
            text(
                """
                UPDATE registrations SET state = :state, poll_version = NULL, poll_at = NULL,
                    departed_at = CASE WHEN :departed THEN :at ELSE departed_at END
                WHERE id = :id
                """
            ),
            {
                "id": entry.registration_id,
                "state": state,
                "departed": state == "departed",
                "at": at,
            },
        )
        if kind is Kind.DEPARTURE:
            await _fulfil(connection, entry.registration_id, "departure", at)
    await _tell(connection, entry.registration_id)


async def returned(connection: AsyncConnection, entry: Row[Any], first: FieldReturn) -> None:
    """Mark the registration returned for one field, which its owner repairs."""
    await connection.execute(
        text(
            f"""
            UPDATE registrations SET state = 'returned', return_field = :field, return_code = :code
            WHERE id = :id AND state NOT IN {_OVER}
            """  # noqa: S608 - a constant of this module
        ),
        {"id": entry.registration_id, "field": first.field, "code": first.code},
    )
    await _reopen(connection, entry.registration_id)
    await _tell(connection, entry.registration_id)


async def keep_verdict(
    connection: AsyncConnection, new_id: Callable[[], UUID], verdict: Verdict, at: datetime
) -> bool:
    """Keep a verified verdict if it is newer than what is held; False, changing nothing, if not."""
    registration = (
        await connection.execute(
            text(
                "SELECT id, state, verdict_seq, poll_version FROM registrations"
                " WHERE client_no = :client_no FOR NO KEY UPDATE"
            ),
            {"client_no": verdict.client_no},
        )
    ).first()
    if registration is None or verdict.seq <= registration.verdict_seq:
        return False
    polled = registration.poll_version
    ends_polling = verdict.settled and polled is not None and polled <= verdict.version
    await connection.execute(
        text(
            """
            UPDATE registrations SET verdict_seq = :seq, verdict_version = :version,
                verdict_settled = :settled,
                poll_version = CASE WHEN :ends THEN NULL ELSE poll_version END,
                poll_at = CASE WHEN :ends THEN NULL ELSE poll_at END
            WHERE id = :id
            """
        ),
        {
            "id": registration.id,
            "seq": verdict.seq,
            "version": verdict.version,
            "settled": verdict.settled,
            "ends": ends_polling,
        },
    )
    for receipt in verdict.receipts:
        if await _keep_by_version(connection, new_id(), registration.id, receipt, at):
            await _take_receipt(connection, registration.id, receipt, at)
    if verdict.voucher is not None:
        await _keep_by_version(connection, new_id(), registration.id, verdict.voucher, at)
    await _move(connection, registration.id, verdict, at)
    await _tell(connection, registration.id)
    return True


async def _take_receipt(
    connection: AsyncConnection, registration_id: UUID, receipt: Receipt, at: datetime
) -> None:
    """Show the first receipt's number; it is never replaced."""
    await connection.execute(
        text(
            """
            UPDATE registrations SET receipt_no = :no, receipted_at = :at
            WHERE id = :id AND receipt_no IS NULL
            """
        ),
        {"id": registration_id, "no": receipt.no, "at": at},
    )


async def _keep_by_version(
    connection: AsyncConnection, row_id: UUID, registration_id: UUID, receipt: Receipt, at: datetime
) -> bool:
    """Keep a receipt or voucher that came within a verdict; False where we never filed that version."""
    entry = (
        await connection.execute(
            text("SELECT id, registration_id FROM outbox WHERE registration_id = :id AND seq = :seq"),
            {"id": registration_id, "seq": receipt.version},
        )
    ).first()
    if entry is None:
        return False
    await keep_receipt(connection, row_id, entry, receipt, at)
    return True


async def _move(connection: AsyncConnection, registration_id: UUID, verdict: Verdict, at: datetime) -> None:
    state = _BY_VERDICT.get(verdict.state)
    if state is None:
        return
    first = verdict.returns[0] if verdict.returns else None
    if verdict.state is ProvinceState.DUPLICATE_OF:
        first = FieldReturn("client_no", "duplicate")
    accepted = state in {"accepted", "accepted_late"}
    await connection.execute(
        text(
            f"""
            UPDATE registrations SET state = :state,
                return_field = :field, return_code = :code,
                voucher_no = coalesce(:voucher_no, voucher_no),
                accepted_at = CASE WHEN :accepted THEN :at ELSE accepted_at END,
                departed_at = CASE WHEN :departed THEN coalesce(departed_at, :at)
                              ELSE departed_at END
            WHERE id = :id AND state NOT IN {_OVER}
            """  # noqa: S608 - a constant of this module
        ),
        {
            "id": registration_id,
            "state": state,
            "field": first.field if first and state == "returned" else None,
            "code": first.code if first and state == "returned" else None,
            "voucher_no": verdict.voucher.no if verdict.voucher else None,
            "accepted": accepted,
            "departed": state == "departed",
            "at": at,
        },
    )
    if state == "returned":
        await _reopen(connection, registration_id)
    elif accepted:
        await _fulfil(connection, registration_id, "arrival", at)


async def _fulfil(connection: AsyncConnection, registration_id: UUID, kind: str, at: datetime) -> None:
    await connection.execute(
        text(
            """
            UPDATE duties d SET state = 'fulfilled', fulfilled_at = :at
            FROM registrations r
            WHERE r.id = :id AND d.tenancy_id = r.tenancy_id AND d.holder_id = r.holder_id
              AND d.kind = :kind AND d.state <> 'fulfilled'
            """
        ),
        {"id": registration_id, "kind": kind, "at": at},
    )


async def _reopen(connection: AsyncConnection, registration_id: UUID) -> None:
    """A returned filing has fulfilled nothing yet."""
    await connection.execute(
        text(
            """
            UPDATE duties d SET state = 'filed', fulfilled_at = NULL
            FROM registrations r
            WHERE r.id = :id AND d.id = r.duty_id AND d.state = 'fulfilled'
            """
        ),
        {"id": registration_id},
    )


async def _tell(connection: AsyncConnection, registration_id: UUID) -> None:
    await connection.execute(
        text("SELECT pg_notify('registration_changed', :id)"), {"id": str(registration_id)}
    )
