"""Commands and the wishes they carry; credentials; verdicts; journals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from lockserver.domain.command import GRACE, Command
from lockserver.domain.errors import ConflictError, WishUsedError
from lockserver.domain.grant import Capability, GrantClass
from lockserver.domain.lock import (
    IssuedCredential,
    JournalLine,
    KeyOwner,
    SpentWish,
    Verdict,
    WishTerms,
)
from tests.sim.memory.locks import useless
from tests.sim.memory.rows import Rows, by, read, values
from tests.sim.memory.schema import Row
from tests.sim.memory.transaction import UPDATE, Transaction

REMOTE_ACTS = ("unlock", "lock", "hold_open")
"""Wishes that nobody asks for by their target."""


class Commands(Rows[Command]):
    """Commands and their steps."""

    table = "commands"
    record = Command

    async def open_locks(self) -> Sequence[UUID]:
        """Return the locks that have a queued command."""
        return list({command.lock_id for command in await self.find(state="queued")})

    async def overdue(self, now: datetime, limit: int = 200) -> Sequence[Command]:
        """Return and hold commands of which time alone makes something, oldest first; skip held ones."""

        def due(row: Row) -> bool:
            waited = {"queued": now, "sent": now - GRACE}.get(row["state"])
            return waited is not None and row["not_after"] <= waited

        async with self.statement() as work:
            rows = by("id")(row for row in work.rows(self.table) if due(row))
            free = [row for row in rows if work.tries(self.table, row["id"], UPDATE)]
            return [self.read(row) for row in free[:limit]]

    async def unproven(self, lock_ids: Sequence[UUID]) -> Sequence[Command]:
        """Return and hold these locks' commands that only their own word can settle."""
        wanted = set(lock_ids)
        return await self.holding(
            lambda row: row["lock_id"] in wanted and row["state"] in ("sent", "unknown"),
            by("lock_id", "counter"),
            mode=UPDATE,
        )

    async def attempts(
        self, lock_id: UUID, reader: UUID, also: Sequence[GrantClass], limit: int
    ) -> Sequence[tuple[Command, GrantClass]]:
        """Return the newest commands of the reader and of these classes, with the class of their grant."""
        found: list[tuple[Command, GrantClass]] = []
        async with self.statement() as work:
            for row in by("id", newest=True)(work.rows(self.table, lock_id=lock_id)):
                grant = work.row("grants", row["grant_id"])
                if grant is not None and (row["holder_id"] == reader or grant["class_"] in also):
                    found.append((self.read(row), grant["class_"]))
        return found[:limit]

    async def note_ways(self, notes: Sequence[tuple[UUID, str | None, str | None]]) -> None:
        """Write how commands under way went last and what stands in their way: (id, via, fault)."""
        async with self.statement("note_ways") as work:
            for command_id, via, fault in notes:
                await work.update(
                    self.table,
                    command_id,
                    {"via": via, "fault": fault},
                    lambda row: row["state"] in ("queued", "sent", "unknown"),
                )

    async def carried_out_or_refused(self, lock_ids: Sequence[UUID], since: datetime) -> Sequence[Command]:
        """Return these locks' commands that are `done` or `refused` and could live until `since` or later."""
        wanted = set(lock_ids)
        return await self.find(
            lambda row: (
                row["lock_id"] in wanted and row["state"] in ("done", "refused") and row["not_after"] >= since
            )
        )


class Wishes(Rows[SpentWish]):
    """Wishes that were used."""

    table = "wishes"
    record = SpentWish

    async def spend(self, wish: SpentWish) -> None:
        """Use it; raises WishUsedError where it was."""
        try:
            await self.add(wish)
        except ConflictError as used:
            raise WishUsedError from used

    async def wishers(self, operation: str, target: UUID, since: datetime) -> Sequence[UUID]:
        """Return the holders who wished this for this target, by wishes that were good until after `since`."""
        found = await self.find(
            lambda row: row["not_after"] > since and row["operation"] not in REMOTE_ACTS,
            operation=operation,
            target=target,
        )
        return list({wish.holder_id for wish in found})

    async def spent_at(
        self, holder_id: UUID, operation: str, target: UUID, since: datetime
    ) -> Sequence[datetime]:
        """Return until when the wishes of this holder for this were good, of those that were after `since`."""
        found = await self.find(
            lambda row: row["not_after"] > since,
            holder_id=holder_id,
            operation=operation,
            target=target,
        )
        return [wish.not_after for wish in found]

    async def about(self, target: UUID) -> Sequence[SpentWish]:
        """Return the wishes about this target in the order in which they were kept; no remote acts."""
        return await self.find(
            lambda row: row["operation"] not in REMOTE_ACTS, by("created_at", "id"), target=target
        )

    async def keep_terms(self, terms: WishTerms) -> None:
        """Keep what a wish that was spent covers."""
        async with self.statement("keep_terms") as work:
            await work.insert("wish_terms", values(terms))

    async def terms(self, wish_id: UUID) -> WishTerms | None:
        """Return what a wish covers, where that was kept."""
        async with self.statement() as work:
            rows = work.rows("wish_terms", wish_id=wish_id)
            return read(WishTerms, rows[0]) if rows else None


class Credentials(Rows[IssuedCredential]):
    """E-keys as they were signed."""

    table = "credentials"
    record = IssuedCredential

    async def of_grant(
        self, grant_id: UUID, phone_id: UUID, lock_id: UUID, at: datetime
    ) -> IssuedCredential | None:
        """Return the newest credential cut from this grant for this phone that lives then."""
        return await self.first(
            lambda row: row["revoked_at"] is None and row["expires_at"] > at,
            by("id", newest=True),
            grant_id=grant_id,
            phone_id=phone_id,
            lock_id=lock_id,
        )

    async def stale(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return and hold living credentials that nobody may use any more and no list names."""
        async with self.statement() as work:
            rows = by("id")(row for row in work.rows(self.table, lock_id=lock_id) if useless(work, row, at))
            held = await work.held_rows(self.table, rows, lambda row: useless(work, row, at), UPDATE)
            return [self.read(row) for row in held]

    async def void(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return living credentials that nobody may use any more, whether or not a list names them."""

        def is_void(work: Transaction, row: Row) -> bool:
            withdrawn = row["revoked_at"] is not None and row["expires_at"] > at
            return withdrawn or useless(work, row, at)

        async with self.statement() as work:
            rows = [row for row in work.rows(self.table, lock_id=lock_id) if is_void(work, row)]
            return [self.read(row) for row in by("id")(rows)]

    async def without_entry(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return living, good credentials of owner and staff that do not convey `entry`."""
        async with self.statement() as work:
            rows = [
                row
                for row in work.rows(self.table, lock_id=lock_id, revoked_at=None)
                if row["expires_at"] > at
                and not row["capabilities"] & Capability.ENTRY
                and (grant := work.row("grants", row["grant_id"])) is not None
                and grant["class_"] in ("owner", "staff")
            ]
            return [self.read(row) for row in by("id")(rows)]

    async def revoked(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return revoked credentials that would live otherwise: what the list must name."""
        return await self.find(
            lambda row: row["revoked_at"] is not None and row["expires_at"] > at,
            by("id"),
            lock_id=lock_id,
        )

    async def owners(self, ids: Sequence[UUID]) -> dict[UUID, KeyOwner]:
        """Return whose credentials these are, by credential id."""
        async with self.statement() as work:
            found = {}
            for cti in ids:
                credential = work.row(self.table, cti)
                grant = work.row("grants", credential["grant_id"]) if credential else None
                if grant is not None:
                    parent = work.row("grants", grant["parent_id"])
                    named_by = None if parent is None else parent["holder_id"]
                    found[cti] = KeyOwner(grant["holder_id"], grant["class_"], grant["tenancy_id"], named_by)
            return found

    async def ever(self, grant_id: UUID) -> IssuedCredential | None:
        """Return the newest credential that was ever cut from this grant, living or not."""
        return await self.first(order=by("id", newest=True), grant_id=grant_id)

    async def withdraw(self, grant_ids: Sequence[UUID], at: datetime) -> None:
        """Mark the living credentials of these grants as revoked; the next list will name them."""
        wanted = set(grant_ids)
        await self._withdraw(lambda row: row["grant_id"] in wanted, at)

    async def withdraw_entry(self, lock_id: UUID, at: datetime) -> None:
        """Mark the living credentials of this lock that convey `entry` as revoked."""
        await self._withdraw(
            lambda row: row["lock_id"] == lock_id and row["capabilities"] & Capability.ENTRY != 0, at
        )

    async def _withdraw(self, which: Callable[[Row], bool], at: datetime) -> None:
        def living(row: Row) -> bool:
            return which(row) and row["revoked_at"] is None and row["expires_at"] > at

        async with self.statement("withdraw") as work:
            for row in work.rows(self.table):
                if living(row):
                    await work.update(self.table, row["id"], {"revoked_at": at}, living)

    async def oldest_usable(self, lock_id: UUID, at: datetime) -> datetime | None:
        """Return when the oldest credential was issued that lives and is not revoked."""
        usable = await self.find(
            lambda row: row["revoked_at"] is None and row["expires_at"] > at, lock_id=lock_id
        )
        return min((one.issued_at for one in usable), default=None)

    async def revoke(self, ids: Sequence[UUID], at: datetime, number: int) -> None:
        """Note that the list of this number names them."""
        async with self.statement("revoke") as work:
            for cti in ids:
                await work.update(
                    self.table, cti, lambda row: {"revoked_at": row["revoked_at"] or at, "revoked_in": number}
                )


class Verdicts(Rows[Verdict]):
    """What role verify concluded; read only."""

    table = "verdicts"
    record = Verdict

    async def newest(self, tenancy_id: UUID, holder_id: UUID, phone_id: UUID) -> Verdict | None:
        """Return the last verdict about this very phone in this holder's hands, for this very lease."""
        async with self.statement() as work:
            rows = []
            for row in work.rows(self.table, holder_id=holder_id, phone_id=phone_id):
                case = work.row("cases", row["case_id"])
                duty = work.row("duties", case["duty_id"]) if case else None
                if duty is not None and duty["tenancy_id"] == tenancy_id:
                    rows.append(row)
            newest = by("created_at", "id", newest=True)(rows)[:1]
            return self.read(newest[0]) if newest else None


class Journals(Rows[JournalLine]):
    """Locks' journals."""

    table = "journal"
    record = JournalLine

    async def append(self, lines: Sequence[JournalLine]) -> int:
        """Add entries in one statement; those already there stay. Returns how many were new."""
        if not lines:
            return 0
        async with self.statement("append") as work:
            return sum([await work.insert(self.table, values(one), or_nothing=True) for one in lines])

    async def hashes(self, lock_id: UUID, numbers: Sequence[int]) -> dict[int, bytes]:
        """Return the kept hashes of these entries."""
        async with self.statement() as work:
            rows = [work.row(self.table, (lock_id, number)) for number in numbers]
            return {row["number"]: row["hash"] for row in rows if row is not None}

    async def newest(self, lock_id: UUID, limit: int) -> Sequence[JournalLine]:
        """Return the last entries, newest first."""
        return await self.find(order=by("number", newest=True), limit=limit, lock_id=lock_id)

    async def newest_among(self, lock_id: UUID, whats: Sequence[int]) -> JournalLine | None:
        """Return the last entry that says one of these."""
        return await self.first(lambda row: row["what"] in whats, by("number", newest=True), lock_id=lock_id)

    async def count_since(self, lock_id: UUID, whats: Sequence[int], since: datetime, most: int) -> int:
        """Return how many entries that say one of these reached us since then, counting to `most`."""
        found = await self.find(
            lambda row: row["what"] in whats and row["received_at"] >= since, lock_id=lock_id
        )
        return min(len(found), most)

    async def is_complete(self, lock_id: UUID) -> bool:
        """Tell whether every number from 1 to the last is kept."""
        async with self.statement() as work:
            numbers = [row["number"] for row in work.rows(self.table, lock_id=lock_id)]
            return len(numbers) == max(numbers, default=0)
