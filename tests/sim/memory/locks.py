"""Locks, what they last said, what they should hold; the site's public keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from lockserver.app.settle_slots import REFUSALS
from lockserver.domain.errors import NotFoundError
from lockserver.domain.grant import Capability
from lockserver.domain.lock import (
    BrokerIdentity,
    DocumentKind,
    Lock,
    LockDocument,
    LockStatus,
    SiteKey,
    SiteKeyKind,
)
from tests.sim.memory.rows import Rows, by, read, some
from tests.sim.memory.schema import Row
from tests.sim.memory.transaction import UPDATE, Transaction

_ENTRY = int(Capability.ENTRY)
ADVANCED = ("journal_number", "journal_hash", "boot", "seq", "last_seen_at", "connected")


def useless(work: Transaction, credential: Row, at: datetime) -> bool:
    """Tell whether a credential lives that nobody may use any more, and no list names it."""
    if credential["expires_at"] <= at or credential["revoked_in"] is not None:
        return False
    grant, phone = work.row("grants", credential["grant_id"]), work.row("phones", credential["phone_id"])
    if grant is None or phone is None:
        return False
    said = credential["capabilities"]
    return (
        _gives_less(grant, credential)
        or grant["lower"] > credential["not_before"]
        or said & ~(grant["capabilities"] | _ENTRY) != 0
        or credential["schedule"] != grant["schedule"]
        or _hangs_under_what_ended(work, grant, credential)
        or (said & _ENTRY != 0 and not _entry_lives(work, grant, credential))
        or phone["state"] != "active"
        or credential["revoked_at"] is not None
    )


def _gives_less(grant: Row, credential: Row) -> bool:
    """Tell whether a grant does not live for as long as the credential."""
    ends_before = grant["upper"] is not None and grant["upper"] < credential["expires_at"]
    return bool(grant["state"] != "active" or ends_before)


def _hangs_under_what_ended(work: Transaction, grant: Row, credential: Row) -> bool:
    """Tell whether the grantor's own grant, or the one above, gives less than the credential."""
    parent = work.row("grants", grant["parent_id"])
    above = None if parent is None else work.row("grants", parent["parent_id"])
    return any(one is not None and _gives_less(one, credential) for one in (parent, above))


def _entry_lives(work: Transaction, grant: Row, credential: Row) -> bool:
    """Tell whether somebody lets this holder in for as long as the credential lasts."""
    return any(
        entry["upper"] >= credential["expires_at"]
        and entry["class_"] in (grant["class_"], "both")
        and entry["holder_id"] in (None, grant["holder_id"])
        for entry in work.rows("entries", lock_id=credential["lock_id"], ended_at=None)
    )


class Locks(Rows[Lock]):
    """Locks and their counters."""

    table = "locks"
    record = Lock

    async def by_serial(self, serial: str) -> Lock | None:
        """Return the living (not retired) lock of this serial number, the one in service first."""
        found = await self.find(lambda row: row["state"] != "retired", by("id", newest=True), serial=serial)
        return some(sorted(found, key=lambda lock: lock.state))

    async def at_door(self, door_id: UUID) -> Lock | None:
        """Return the active lock of a door."""
        return await self.first(door_id=door_id, state="active")

    async def of_doors(self, door_ids: Sequence[UUID]) -> Sequence[Lock]:
        """Return the active locks of these doors."""
        wanted = set(door_ids)
        return await self.find(lambda row: row["door_id"] in wanted, by("id"), state="active")

    async def keep_secrets(self, lock_id: UUID, broker_secret_hash: bytes, seed: bytes) -> None:
        """Write what only issuer (and for the hash, bridge) may read; the seed is sealed."""
        await self.change("keep_secrets", lock_id, broker_secret_hash=broker_secret_hash, seed_sealed=seed)

    async def seed(self, lock_id: UUID) -> bytes | None:
        """Return the door seed, sealed; only the issuer may ask."""
        async with self.statement() as work:
            row = work.row(self.table, lock_id)
            return None if row is None else row["seed_sealed"]

    async def for_broker(self, lock_id: UUID) -> BrokerIdentity | None:
        """Return what is needed to judge a connection at the broker."""
        async with self.statement() as work:
            row = work.row(self.table, lock_id)
            return None if row is None else read(BrokerIdentity, row)

    async def enter_service(self, lock_id: UUID, at: datetime) -> bool:
        """Make an enrolling lock active, and other enrolments of it void; tell whether it was enrolling."""
        async with self.statement("enter_service") as work:
            row = await work.update(
                self.table,
                lock_id,
                {"state": "active", "enrolled_at": at},
                lambda row: row["state"] == "enrolling",
            )
        if row is None:
            return False
        async with self.statement("void_others") as work:
            for other in work.rows(self.table, serial=row["serial"], state="enrolling"):
                await work.update(
                    self.table, other["id"], {"state": "retired"}, lambda one: one["state"] == "enrolling"
                )
        return True

    async def retire(self, lock_id: UUID) -> bool:
        """Take a lock out of service for good; tell whether it was in it."""
        async with self.statement("retire") as work:
            retired = await work.update(
                self.table, lock_id, {"state": "retired"}, lambda row: row["state"] != "retired"
            )
            return retired is not None

    async def releasing(self) -> Sequence[Lock]:
        """Return locks whose release is signed and that have not said that they obeyed."""
        return await self.find(state="releasing")

    async def void_keys_of_retired(self, at: datetime) -> None:
        """Note that what was cut for locks that are no more opens nothing."""

        def living(row: Row) -> bool:
            return bool(row["revoked_in"] is None and row["expires_at"] > at)

        def void(row: Row) -> Row:
            return {"revoked_at": row["revoked_at"] or at, "revoked_in": 0}

        for keys in ("credentials", "gateway_credentials"):
            async with self.statement("void_keys") as work:
                for lock in work.rows(self.table, state="retired"):
                    for row in work.rows(keys, lock_id=lock["id"]):
                        if living(row):
                            await work.update(keys, row["id"], void, living)

    async def active(self) -> Sequence[Lock]:
        """Return every lock in service."""
        return await self.find(state="active")

    async def at_turning_doors(self, since: datetime, until: datetime) -> Sequence[UUID]:
        """Return locks at doors where a tenancy began or ended in `(since, until]`."""
        async with self.statement() as work:
            turned = {
                lease["door_id"]
                for lease in work.rows("tenancies")
                for at in (lease["lower"], lease["upper"], lease["ended_at"])
                if at is not None and since < at <= until
            }
            return [row["id"] for row in work.rows(self.table, state="active") if row["door_id"] in turned]

    async def with_stale_access(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks that still hold a living credential which nobody may use any more."""
        async with self.statement() as work:
            stale = [row["lock_id"] for row in work.rows("credentials") if useless(work, row, at)]
            return list(dict.fromkeys(stale))[:limit]


class LockStates(Rows[LockStatus]):
    """What locks last said."""

    table = "lock_status"
    record = LockStatus
    key = "lock_id"

    async def get(self, lock_id: UUID) -> LockStatus:
        """Return what the lock last said; all unknown if it never spoke."""
        return await self.first(lock_id=lock_id) or LockStatus(lock_id)

    async def hold(self, lock_id: UUID) -> LockStatus:
        """Return it and hold it until the transaction ends."""
        return (await self.hold_all([lock_id]))[0]

    async def hold_all(self, lock_ids: Sequence[UUID]) -> Sequence[LockStatus]:
        """Return and hold many, in the order of their ids: two bridges never wait crosswise."""
        wanted = sorted(set(lock_ids))
        held = await self._hold(wanted)
        if len(held) == len(wanted):
            return held
        async with self.statement("hold_all") as work:
            known = {status.lock_id for status in held}
            for lock_id in wanted:
                if lock_id not in known:
                    await work.insert(self.table, {"lock_id": lock_id}, or_nothing=True)
        return await self._hold(wanted)

    async def _hold(self, wanted: Sequence[UUID]) -> Sequence[LockStatus]:
        among = set(wanted)
        return await self.holding(lambda row: row["lock_id"] in among, by("lock_id"), mode=UPDATE)

    async def save(self, status: LockStatus) -> None:
        """Write it, whether or not there was a row."""
        async with self.statement("save") as work:
            await work.upsert(self.table, asdict(status))

    async def due_for_inventory(self, before: datetime, heard_since: datetime) -> Sequence[UUID]:
        """Return locks in service, heard of since then, that told no inventory since `before`."""
        async with self.statement() as work:
            in_service = {lock["id"] for lock in work.rows("locks", state="active")}
            due = [
                row["lock_id"]
                for row in work.rows(self.table)
                if row["lock_id"] in in_service
                and (row["inventory_at"] is None or row["inventory_at"] < before)
                and row["last_seen_at"] is not None
                and row["last_seen_at"] >= heard_since
            ]
            return sorted(due)

    async def connected(self) -> Sequence[UUID]:
        """Return locks that are said to hold a connection."""
        return [status.lock_id for status in await self.find(connected=True)]

    async def disconnected(self, lock_ids: Sequence[UUID]) -> None:
        """Note that these hold none."""
        async with self.statement("disconnected") as work:
            for lock_id in sorted(set(lock_ids)):
                await work.update(self.table, lock_id, {"connected": False}, lambda row: row["connected"])

    async def advance(self, statuses: Sequence[LockStatus]) -> None:
        """Write where the journals and reports of many held rows stand: head, position, last seen."""
        async with self.statement("advance") as work:
            for status in statuses:
                changes = {name: getattr(status, name) for name in ADVANCED}
                await work.update(self.table, status.lock_id, changes)


class LockDocuments(Rows[LockDocument]):
    """What locks should hold."""

    table = "lock_documents"
    record = LockDocument

    async def latest(self, lock_id: UUID, kind: DocumentKind) -> LockDocument | None:
        """Return the highest-numbered document of a kind."""
        return await self.first(order=by("number", newest=True), lock_id=lock_id, kind=kind)

    async def all_latest(self, lock_id: UUID) -> Sequence[LockDocument]:
        """Return the highest-numbered document of each kind."""
        found = await self.find(order=by("kind", "number"), lock_id=lock_id)
        return list({one.kind: one for one in found}.values())

    async def put(self, document: LockDocument) -> None:
        """Add it; raises ConflictError where this number is taken."""
        await self.add(document)

    async def since(self, lock_id: UUID, kind: DocumentKind, number: int) -> Sequence[LockDocument]:
        """Return the documents of a kind from this number on, oldest first."""
        return await self.find(lambda row: row["number"] >= number, by("number"), lock_id=lock_id, kind=kind)

    async def refuse(self, document: LockDocument, denial: str) -> None:
        """Note that the lock would not have it, once more."""
        key = (document.lock_id, document.kind, document.number)
        async with self.statement("refuse") as work:
            await work.update(self.table, key, lambda row: {"refused": row["refused"] + 1, "denial": denial})

    async def allow_again(self, lock_id: UUID, times: int) -> None:
        """Let what the lock refused for good be sent so many times more."""

        def often(row: Row) -> bool:
            return bool(row["refused"] >= REFUSALS)

        async with self.statement("allow_again") as work:
            for row in work.rows(self.table, lock_id=lock_id):
                if often(row):
                    key = (lock_id, row["kind"], row["number"])
                    await work.update(self.table, key, {"refused": REFUSALS - times}, often)

    async def lagging(self) -> Sequence[UUID]:
        """Return locks that should hold a document of a higher number than they reported, and do not refuse it."""
        async with self.statement() as work:
            return [
                lock["id"]
                for lock in work.rows("locks", state="active")
                if (said := work.row("lock_status", lock["id"])) is not None
                and any(
                    one["refused"] < REFUSALS and _is_ahead(one, said)
                    for one in work.rows(self.table, lock_id=lock["id"])
                )
            ]


def _is_ahead(document: Row, said: Row) -> bool:
    reported = said.get(f"{document['kind']}_number")
    ahead: bool = document["number"] > (-1 if reported is None else reported)
    return ahead


class SiteKeys(Rows[SiteKey]):
    """Public halves of the site's keys."""

    table = "site_keys"
    record = SiteKey

    async def current(self, kind: SiteKeyKind) -> SiteKey:
        """Return the current key of this kind; raises NotFoundError."""
        found = await self.first(kind=kind, state="current")
        if found is None:
            raise NotFoundError
        return found
