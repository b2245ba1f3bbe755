"""Locks, what they last said, what they should hold."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, insert, not_, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from lockserver.app.settle_slots import REFUSALS
from lockserver.db.connection import driver
from lockserver.db.repositories.rows import Rows, refusals
from lockserver.db.tables import (
    CredentialRow,
    EntryRow,
    GatewayCredentialRow,
    GrantRow,
    LockDocumentRow,
    LockRow,
    LockStatusRow,
    PhoneRow,
    SiteKeyRow,
    TenancyRow,
    table_of,
)
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

_credentials = table_of(CredentialRow)
_grants = table_of(GrantRow)
_phones = table_of(PhoneRow)
_documents = table_of(LockDocumentRow)
_entries = table_of(EntryRow)
_status = table_of(LockStatusRow)
_ENTRY: Final = int(Capability.ENTRY)


_ADVANCED: Final = (
    "lock_id",
    "journal_number",
    "journal_hash",
    "boot",
    "seq",
    "last_seen_at",
    "connected",
)
_ADVANCE: Final = """
UPDATE lock_status AS s
   SET journal_number = n.journal_number, journal_hash = n.journal_hash, boot = n.boot, seq = n.seq,
       last_seen_at = n.last_seen_at, connected = n.connected
  FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::bigint[], %s::bigint[], %s::timestamptz[],
              %s::boolean[])
       AS n (lock_id, journal_number, journal_hash, boot, seq, last_seen_at, connected)
 WHERE s.lock_id = n.lock_id
"""


def useless(at: datetime) -> ColumnElement[bool]:
    """Return the condition for a living credential, joined to grant and phone, that must die."""
    return and_(
        _credentials.c.expires_at > at,
        _credentials.c.revoked_in.is_(None),
        or_(
            _grants.c.state != "active",
            _grants.c.upper < _credentials.c.expires_at,
            _grants.c.lower > _credentials.c.not_before,
            _credentials.c.capabilities.bitwise_and(_grants.c.capabilities.bitwise_or(_ENTRY).bitwise_not())
            != 0,
            _credentials.c.schedule.is_distinct_from(_grants.c.schedule),
            _hangs_under_what_ended(),
            and_(_credentials.c.capabilities.bitwise_and(_ENTRY) != 0, not_(_entry_lives())),
            _phones.c.state != "active",
            _credentials.c.revoked_at.is_not(None),
        ),
    )


def _hangs_under_what_ended() -> ColumnElement[bool]:
    """Return the condition that the grantor's own grant, or the one above, gives less than the credential."""
    parent, above = _grants.alias(), _grants.alias()
    ended = or_(
        *(
            or_(grant.c.state != "active", grant.c.upper < _credentials.c.expires_at)
            for grant in (parent, above)
        )
    )
    return (
        select(1)
        .select_from(parent.outerjoin(above, above.c.id == parent.c.parent_id))
        .where(parent.c.id == _grants.c.parent_id, ended)
        .exists()
    )


def _entry_lives() -> ColumnElement[bool]:
    """Return the condition that somebody lets this holder in for as long as the credential lasts."""
    return (
        select(1)
        .where(
            _entries.c.lock_id == _credentials.c.lock_id,
            _entries.c.ended_at.is_(None),
            _entries.c.upper >= _credentials.c.expires_at,
            _entries.c.class_.in_((_grants.c.class_, "both")),
            or_(_entries.c.holder_id.is_(None), _entries.c.holder_id == _grants.c.holder_id),
        )
        .exists()
    )


class Locks(Rows[Lock]):
    """Locks and their counters."""

    table = table_of(LockRow)
    record = Lock

    async def by_serial(self, serial: str) -> Lock | None:
        """Return the living (not retired) lock of this serial number, the one in service first."""
        table = self.table
        living = self.select().where(table.c.serial == serial, table.c.state != "retired")
        return await self.first(living.order_by(table.c.state, table.c.id.desc()).limit(1))

    async def at_door(self, door_id: UUID) -> Lock | None:
        """Return the active lock of a door."""
        table = self.table
        return await self.first(self.select().where(table.c.door_id == door_id, table.c.state == "active"))

    async def of_doors(self, door_ids: Sequence[UUID]) -> Sequence[Lock]:
        """Return the locks in service of these doors; one that is being released, where there is no other."""
        table = self.table
        serving = table.c.state.in_(("active", "releasing"))
        return await self.all(
            self.select()
            .where(table.c.door_id.in_(door_ids), serving)
            .order_by(table.c.door_id, table.c.state, table.c.id.desc())
            .ext(distinct_on(table.c.door_id))
        )

    async def keep_secrets(self, lock_id: UUID, broker_secret_hash: bytes, seed: bytes) -> None:
        """Write what only issuer (and for the hash, bridge) may read; the seed is sealed."""
        await self.run(
            update(self.table)
            .where(self.table.c.id == lock_id)
            .values(broker_secret_hash=broker_secret_hash, seed_sealed=seed)
        )

    async def seed(self, lock_id: UUID) -> bytes | None:
        """Return the door seed, sealed; only the issuer may ask."""
        found: bytes | None = await self.scalar(
            select(self.table.c.seed_sealed).where(self.table.c.id == lock_id)
        )
        return found

    async def for_broker(self, lock_id: UUID) -> BrokerIdentity | None:
        """Return what is needed to judge a connection at the broker."""
        names = [field.name for field in fields(BrokerIdentity)]
        statement = select(*(self.table.c[name] for name in names)).where(self.table.c.id == lock_id)
        with refusals():
            row = (await self.connection.execute(statement)).first()
        return None if row is None else BrokerIdentity(*row)

    async def enter_service(self, lock_id: UUID, at: datetime) -> bool:
        """Make an enrolling lock active, and other enrolments of it void; tell whether it was enrolling."""
        table = self.table
        statement = (
            update(table)
            .where(table.c.id == lock_id, table.c.state == "enrolling")
            .values(state="active", enrolled_at=at)
        )
        if await self.run(statement) != 1:
            return False
        chosen = select(table.c.serial).where(table.c.id == lock_id).scalar_subquery()
        # It takes nobody's identity while it has one: its word as another lock is the end of what it was.
        others = update(table).where(
            table.c.serial == chosen, table.c.id != lock_id, table.c.state.in_(("enrolling", "releasing"))
        )
        await self.run(others.values(state="retired"))
        return True

    async def retire(self, lock_id: UUID) -> bool:
        """Take a lock out of service for good; tell whether it was in it."""
        table = self.table
        statement = update(table).where(table.c.id == lock_id, table.c.state != "retired")
        return await self.run(statement.values(state="retired")) == 1

    async def releasing(self) -> Sequence[Lock]:
        """Return locks whose release is signed and that have not said that they obeyed."""
        return await self.all(self.select().where(self.table.c.state == "releasing"))

    async def void_keys_of_retired(self, at: datetime) -> None:
        """Note that what was cut for locks that are no more opens nothing."""
        retired = select(self.table.c.id).where(self.table.c.state == "retired")
        for keys in (_credentials, table_of(GatewayCredentialRow)):
            living = (keys.c.revoked_in.is_(None), keys.c.expires_at > at)
            since = func.coalesce(
                keys.c.revoked_at, at
            )  # what was withdrawn before stays withdrawn since then
            await self.run(
                update(keys)
                .where(keys.c.lock_id.in_(retired), *living)
                .values(revoked_at=since, revoked_in=0)
            )

    async def active(self) -> Sequence[Lock]:
        """Return every lock in service."""
        return await self.all(self.select().where(self.table.c.state == "active"))

    async def at_turning_doors(self, since: datetime, until: datetime) -> Sequence[UUID]:
        """Return locks at doors where a tenancy began or ended in `(since, until]`."""
        tenancies = table_of(TenancyRow)
        turned = or_(
            *(
                and_(moment > since, moment <= until)
                for moment in (tenancies.c.lower, tenancies.c.upper, tenancies.c.ended_at)
            )
        )
        statement = (
            select(self.table.c.id)
            .distinct()
            .join(tenancies, tenancies.c.door_id == self.table.c.door_id)
            .where(self.table.c.state == "active", turned)
        )
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]

    async def with_stale_access(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks that still hold a living credential which nobody may use any more."""
        statement = (
            select(_credentials.c.lock_id)
            .distinct()
            .join(_grants, _grants.c.id == _credentials.c.grant_id)
            .join(_phones, _phones.c.id == _credentials.c.phone_id)
            .where(useless(at))
            .limit(limit)
        )
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]


class LockStates(Rows[LockStatus]):
    """What locks last said."""

    table = _status
    record = LockStatus
    key = "lock_id"

    async def get(self, lock_id: UUID) -> LockStatus:
        """Return what the lock last said; all unknown if it never spoke."""
        found = await self.first(self.select().where(self.table.c.lock_id == lock_id))
        return found or LockStatus(lock_id)

    async def hold(self, lock_id: UUID) -> LockStatus:
        """Return it and hold it until the transaction ends."""
        return (await self.hold_all([lock_id]))[0]

    async def hold_all(self, lock_ids: Sequence[UUID]) -> Sequence[LockStatus]:
        """Return and hold many, in the order of their ids: two bridges never wait crosswise."""
        wanted = sorted(set(lock_ids))
        statement = self.select().where(self.table.c.lock_id.in_(wanted))
        held = await self.all(statement.order_by(self.table.c.lock_id).with_for_update())
        missing = set(wanted) - {status.lock_id for status in held}
        if not missing:
            return held
        rows = [{"lock_id": lock_id} for lock_id in sorted(missing)]
        await self.run(upsert(self.table).values(rows).on_conflict_do_nothing())
        return await self.all(statement.order_by(self.table.c.lock_id).with_for_update())

    async def save(self, status: LockStatus) -> None:
        """Write it, whether or not there was a row."""
        values = asdict(status)
        changed = {name: value for name, value in values.items() if name != "lock_id"}
        statement = upsert(self.table).values(values)
        await self.run(statement.on_conflict_do_update(index_elements=[self.table.c.lock_id], set_=changed))

    async def connected(self) -> Sequence[UUID]:
        """Return locks that are said to hold a connection."""
        statement = select(self.table.c.lock_id).where(self.table.c.connected)
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]

    async def disconnected(self, lock_ids: Sequence[UUID]) -> None:
        """Note that these hold none."""
        table = self.table
        statement = update(table).where(table.c.lock_id.in_(sorted(lock_ids)), table.c.connected)
        await self.run(statement.values(connected=False))

    async def due_for_inventory(self, before: datetime, heard_since: datetime) -> Sequence[UUID]:
        """Return locks in service, heard of since then, that told no inventory since `before`."""
        table, locks = self.table, Locks.table
        due = or_(table.c.inventory_at.is_(None), table.c.inventory_at < before)
        statement = (
            select(table.c.lock_id)
            .join(locks, and_(locks.c.id == table.c.lock_id, locks.c.state == "active"))
            .where(due, table.c.last_seen_at >= heard_since)
            .order_by(table.c.lock_id)
        )
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]

    async def advance(self, statuses: Sequence[LockStatus]) -> None:
        """Write where the journals and reports of many held rows stand: head, position, last seen."""
        raw = await driver(self.connection)
        columns = [[getattr(status, name) for status in statuses] for name in _ADVANCED]
        await raw.execute(_ADVANCE, columns)


class LockDocuments(Rows[LockDocument]):
    """What locks should hold."""

    table = _documents
    record = LockDocument

    async def latest(self, lock_id: UUID, kind: DocumentKind) -> LockDocument | None:
        """Return the highest-numbered document of a kind."""
        table = self.table
        return await self.first(
            self.select()
            .where(table.c.lock_id == lock_id, table.c.kind == kind)
            .order_by(table.c.number.desc())
            .limit(1)
        )

    async def all_latest(self, lock_id: UUID) -> Sequence[LockDocument]:
        """Return the highest-numbered document of each kind."""
        table = self.table
        return await self.all(
            self.select()
            .where(table.c.lock_id == lock_id)
            .order_by(table.c.kind, table.c.number.desc())
            .ext(distinct_on(table.c.kind))
        )

    async def put(self, document: LockDocument) -> None:
        """Add it; raises ConflictError where this number is taken."""
        await self.run(insert(self.table).values(self.values(document)))

    async def since(self, lock_id: UUID, kind: DocumentKind, number: int) -> Sequence[LockDocument]:
        """Return the documents of a kind from this number on, oldest first."""
        table = self.table
        chosen = and_(table.c.lock_id == lock_id, table.c.kind == kind, table.c.number >= number)
        return await self.all(self.select().where(chosen).order_by(table.c.number))

    async def refuse(self, document: LockDocument, denial: str) -> None:
        """Note that the lock would not have it, once more."""
        table = self.table
        this = and_(
            table.c.lock_id == document.lock_id,
            table.c.kind == document.kind,
            table.c.number == document.number,
        )
        await self.run(update(table).where(this).values(refused=table.c.refused + 1, denial=denial))

    async def allow_again(self, lock_id: UUID, times: int) -> None:
        """Let what the lock refused for good be sent so many times more."""
        table = self.table
        often = and_(table.c.lock_id == lock_id, table.c.refused >= REFUSALS)
        await self.run(update(table).where(often).values(refused=REFUSALS - times))

    async def lagging(self) -> Sequence[UUID]:
        """Return locks that should hold a document of a higher number than they reported, and do not refuse it."""
        reported = {
            "revocation": _status.c.revocation_number,
            "state": _status.c.state_number,
            "keys": _status.c.keys_number,
        }
        behind = or_(
            *(
                and_(_documents.c.kind == kind, _documents.c.number > func.coalesce(said, -1))
                for kind, said in reported.items()
            )
        )
        newer, locks = _documents.alias(), Locks.table
        refused = (
            select(1)
            .where(
                newer.c.lock_id == _documents.c.lock_id,
                newer.c.kind == _documents.c.kind,
                newer.c.number >= _documents.c.number,
                newer.c.refused >= REFUSALS,
            )
            .exists()
        )
        statement = (
            select(_documents.c.lock_id)
            .distinct()
            .join(locks, and_(locks.c.id == _documents.c.lock_id, locks.c.state.in_(("active", "releasing"))))
            .join(_status, _status.c.lock_id == _documents.c.lock_id)
            .where(or_(behind, _documents.c.kind == "release"), not_(refused))
        )
        with refusals():
            return [row[0] for row in await self.connection.execute(statement)]


class SiteKeys(Rows[SiteKey]):
    """Public halves of the site's keys."""

    table = table_of(SiteKeyRow)
    record = SiteKey

    async def current(self, kind: SiteKeyKind) -> SiteKey:
        """Return the current key of this kind; raises NotFoundError."""
        table = self.table
        found = await self.first(self.select().where(table.c.kind == kind, table.c.state == "current"))
        if found is None:
            raise NotFoundError
        return found
