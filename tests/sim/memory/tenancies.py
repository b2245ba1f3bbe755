"""Tenancies with their occupants, duties, grants; registrations and the tenant's ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from lockserver.domain.duties import Duty, DutyKind
from lockserver.domain.grant import Grant
from lockserver.domain.lock import ArrivalFiling
from lockserver.domain.registration import LedgerEntry, Registration
from lockserver.domain.risk import Risk
from lockserver.domain.tenancy import Occupant, Tenancy
from tests.sim.memory.rows import Connection, Rows, by, some, values
from tests.sim.memory.schema import Row
from tests.sim.memory.transaction import Transaction


class Occupants(Rows[Occupant]):
    """Who lives there; its key is the pair of tenancy and holder."""

    table = "occupants"
    record = Occupant


class Tenancies(Rows[Tenancy]):
    """Leases and their occupants."""

    table = "tenancies"
    record = Tenancy

    async def add_occupant(self, occupant: Occupant) -> None:
        """Add somebody who lives there (in the transaction that writes his duty: L-23)."""
        await Occupants(self.connection).add(occupant)

    async def occupants(self, tenancy_id: UUID) -> Sequence[Occupant]:
        """Return who lives there, in the order they were added."""
        rows = Occupants(self.connection)
        return await rows.find(order=by("created_at", "holder_id"), tenancy_id=tenancy_id)

    async def by_invite(self, invite_hash: bytes) -> Occupant | None:
        """Return and hold the occupant whom this invite was made out to."""
        return some(await Occupants(self.connection).holding(invite_hash=invite_hash))

    async def save_occupant(self, occupant: Occupant) -> None:
        """Write the invite's state."""
        await Occupants(self.connection).change(
            "save",
            (occupant.tenancy_id, occupant.holder_id),
            invite_hash=occupant.invite_hash,
            invite_accepted_at=occupant.invite_accepted_at,
        )

    async def of_house(self, house_id: UUID) -> Sequence[Tenancy]:
        """Return the leases of a house, newest first."""
        async with self.statement() as work:
            doors = [door["id"] for door in work.rows("doors", house_id=house_id)]
            rows = [row for door in doors for row in work.rows("tenancies", door_id=door)]
            return [self.read(row) for row in by("id", newest=True)(rows)]

    async def of_holder(self, holder_id: UUID) -> Sequence[Tenancy]:
        """Return the leases in which a holder lives, newest first."""
        async with self.statement() as work:
            lived = {one["tenancy_id"] for one in work.rows("occupants", holder_id=holder_id)}
            rows = [row for one in lived if (row := work.row("tenancies", one)) is not None]
            return [self.read(row) for row in by("id", newest=True)(rows)]

    async def living_in(self, door_id: UUID, at: datetime) -> Tenancy | None:
        """Return the lease of a room that lives at this instant."""
        return await self.first(
            lambda row: row["lower"] <= at < row["upper"], door_id=door_id, state="signed"
        )

    async def over_at(self, at: datetime, limit: int = 100) -> Sequence[Tenancy]:
        """Return signed leases whose window has closed, oldest first."""
        return await self.find(lambda row: row["upper"] <= at, by("upper"), limit, state="signed")


class Duties(Rows[Duty]):
    """What the law asks."""

    table = "duties"
    record = Duty

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Duty]:
        """Return all duties of a tenancy."""
        return await self.find(order=by("id"), tenancy_id=tenancy_id)

    async def of_occupant(self, tenancy_id: UUID, holder_id: UUID, kind: DutyKind) -> Duty | None:
        """Return and hold the one duty of this kind."""
        return some(await self.holding(tenancy_id=tenancy_id, holder_id=holder_id, kind=kind))

    async def open_due_before(self, at: datetime, limit: int = 100) -> Sequence[Duty]:
        """Return unfulfilled required duties that are due before this instant."""
        return await self.find(
            lambda row: row["state"] != "fulfilled" and row["due_at"] < at,
            by("due_at"),
            limit,
            requirement="required",
        )


class Grants(Rows[Grant]):
    """Rights at doors."""

    table = "grants"
    record = Grant

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Grant]:
        """Return and hold every grant of a tenancy."""
        return await self.holding(order=by("id"), tenancy_id=tenancy_id)

    async def of_holder(self, holder_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return a holder's active grants that have not run out at this instant."""
        return await self.find(
            lambda row: row["upper"] is None or row["upper"] > at,
            by("id"),
            holder_id=holder_id,
            state="active",
        )

    async def living(self, holder_id: UUID, door_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return a holder's grants for one door that live at this instant."""
        mine = await self.of_holder(holder_id, at)
        return [grant for grant in mine if grant.door_id == door_id and grant.lives(at)]

    async def fading(self, at: datetime, before: datetime) -> Sequence[Risk]:
        """Return living tenants whose newest key to their room is past its half and dies before this instant."""
        async with self.statement() as work:
            risks = [
                risk
                for grant in work.rows(self.table, class_="tenant", state="active")
                if grant["lower"] <= at < grant["upper"]
                and (risk := _risk(work, grant, at, before)) is not None
            ]
            return sorted(risks, key=lambda one: (one.until, one.grant_id))

    async def naming(self, key: bytes) -> Sequence[Grant]:
        """Return the active grants that name the phone whose signing key has this SHA-256."""
        return await self.find(order=by("id"), guest_key=key, state="active")

    async def children(self, grant_ids: Sequence[UUID]) -> Sequence[Grant]:
        """Return and hold the grants that hang directly under these and are not revoked, by id."""
        under = set(grant_ids)
        return await self.holding(
            lambda row: row["parent_id"] in under and row["state"] != "revoked", by("id")
        )

    async def shown_to(self, holder_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return his own grants and those given by him or by whom he gave one, newest first."""
        async with self.statement() as work:
            rows = work.rows(self.table)
            mine = {row["id"] for row in rows if row["holder_id"] == holder_id}
            given = {row["id"] for row in rows if row["parent_id"] in mine}
            shown = [
                row
                for row in rows
                if (row["id"] in mine or row["parent_id"] in mine | given)
                and (row["upper"] is None or row["upper"] > at)
            ]
            return [self.read(row) for row in by("id", newest=True)(shown)]


def _risk(work: Transaction, grant: Row, at: datetime, before: datetime) -> Risk | None:
    """Return what a tenant's grant runs towards, where its newest key fades."""
    lease, door = work.row("tenancies", grant["tenancy_id"]), work.row("doors", grant["door_id"])
    if lease is None or door is None or lease["state"] != "signed" or lease["door_id"] != door["id"]:
        return None
    keys = work.rows("credentials", grant_id=grant["id"], revoked_at=None)
    newest = some(by("expires_at", "id", newest=True)(keys))
    if newest is None:
        return None
    until, since = newest["expires_at"], newest["not_before"]
    if until >= before or until >= grant["upper"] or at - since <= (until - since) / 2:
        return None
    return Risk(
        grant["holder_id"], door["house_id"], door["id"], door["name"], grant["id"], newest["id"], until
    )


class Filings(Rows[Registration]):
    """Registrations, without the column that only verify may read."""

    table = "registrations"
    record = Registration

    async def file(self, registration: Registration, number_index: bytes) -> None:
        """Insert a filing with its blind index; raises ConflictError for a duty that has one."""
        async with self.statement("file") as work:
            await work.insert(self.table, {**values(registration), "number_index": number_index})

    async def of_duty(self, duty_id: UUID) -> Registration | None:
        """Return the filing that answers a duty."""
        return await self.first(duty_id=duty_id)

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Registration]:
        """Return the filings of a tenancy."""
        return await self.find(order=by("id"), tenancy_id=tenancy_id)

    async def of_holder(self, holder_id: UUID) -> Sequence[Registration]:
        """Return a tenant's own filings, newest first."""
        return await self.find(order=by("id", newest=True), holder_id=holder_id)

    async def of_owner(self, holder_id: UUID) -> Sequence[Registration]:
        """Return the filings of everybody who lives in a landlord's houses, newest first."""
        async with self.statement() as work:
            doors = {
                door["id"]
                for house in work.rows("houses", owner_holder_id=holder_id)
                for door in work.rows("doors", house_id=house["id"])
            }
            his = {lease["id"] for lease in work.rows("tenancies") if lease["door_id"] in doors}
            rows = [row for row in work.rows(self.table) if row["tenancy_id"] in his]
            return [self.read(row) for row in by("id", newest=True)(rows)]

    async def raise_version(self, registration_id: UUID, version: int) -> None:
        """Note the version of the last filing written for it."""
        await self.change("raise_version", registration_id, version=version)


class Registrations:
    """The little that the issuer asks of registrations."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def arrival(self, tenancy_id: UUID, holder_id: UUID) -> ArrivalFiling | None:
        """Return how far an occupant's arrival has come; None for who does not live there."""
        async with self.connection.statement() as work:
            duty = some(work.rows("duties", tenancy_id=tenancy_id, holder_id=holder_id, kind="arrival"))
            if duty is None:
                return None
            filed = some(work.rows("registrations", duty_id=duty["id"]))
        required = duty["requirement"] == "required"
        if filed is None:
            return ArrivalFiling(required, None, receipted=False)
        return ArrivalFiling(required, filed["submitted_at"], filed["receipt_no"] is not None)


class Ledger(Rows[LedgerEntry]):
    """The tenant's own ledger of what left."""

    table = "ledger"
    record = LedgerEntry

    async def write(self, entry: LedgerEntry) -> None:
        """Add a line; it is never changed."""
        await self.add(entry)

    async def of_holder(self, holder_id: UUID) -> Sequence[LedgerEntry]:
        """Return a tenant's lines, newest first."""
        return await self.find(order=by("id", newest=True), holder_id=holder_id)
