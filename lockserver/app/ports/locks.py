"""Repositories about locks as a use case sees them: what they are, hold, were told and said."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from lockserver.app.ports.rows import Rows
from lockserver.domain.command import Command
from lockserver.domain.entry import Entry, Notice
from lockserver.domain.grant import GrantClass
from lockserver.domain.lock import (
    ArrivalFiling,
    BrokerIdentity,
    DocumentKind,
    IssuedCredential,
    JournalLine,
    KeyOwner,
    Lock,
    LockDocument,
    LockStatus,
    SiteKey,
    SiteKeyKind,
    SpentWish,
    Verdict,
    WishTerms,
)


class Locks(Rows[Lock], Protocol):
    """Locks and their counters."""

    async def by_serial(self, serial: str) -> Lock | None:
        """Return the living (not retired) lock of this serial number."""
        ...

    async def at_door(self, door_id: UUID) -> Lock | None:
        """Return the active lock of a door."""
        ...

    async def of_doors(self, door_ids: Sequence[UUID]) -> Sequence[Lock]:
        """Return the locks in service of these doors; one that is being released, where there is no other."""
        ...

    async def keep_secrets(self, lock_id: UUID, broker_secret_hash: bytes, seed: bytes) -> None:
        """Write what only issuer (and for the hash, bridge) may read; the seed is sealed."""
        ...

    async def seed(self, lock_id: UUID) -> bytes | None:
        """Return the door seed, sealed; only the issuer may ask."""
        ...

    async def for_broker(self, lock_id: UUID) -> BrokerIdentity | None:
        """Return what is needed to judge a connection at the broker."""
        ...

    async def enter_service(self, lock_id: UUID, at: datetime) -> bool:
        """Make an enrolling lock active; tell whether it was enrolling."""
        ...

    async def retire(self, lock_id: UUID) -> bool:
        """Take a lock out of service for good; tell whether it was in it."""
        ...

    async def releasing(self) -> Sequence[Lock]:
        """Return locks whose release is signed and that have not said that they obeyed."""
        ...

    async def void_keys_of_retired(self, at: datetime) -> None:
        """Note that what was cut for locks that are no more opens nothing."""
        ...

    async def active(self) -> Sequence[Lock]:
        """Return every lock in service."""
        ...

    async def at_turning_doors(self, since: datetime, until: datetime) -> Sequence[UUID]:
        """Return locks at doors where a tenancy began or ended in `(since, until]`."""
        ...

    async def with_stale_access(self, at: datetime, limit: int = 100) -> Sequence[UUID]:
        """Return locks that still hold a living credential which nobody may use any more.

        Its grant, or one that it hangs under, is frozen, revoked or cut shorter; it says more than its
        grant does; it has `entry` and no entry lives that lasts as long; its phone was revoked; or it was
        withdrawn; and no revocation list says so yet.
        """
        ...


class LockStates(Protocol):
    """What locks last said."""

    async def get(self, lock_id: UUID) -> LockStatus:
        """Return what the lock last said; all unknown if it never spoke."""
        ...

    async def hold(self, lock_id: UUID) -> LockStatus:
        """Return it and hold it until the transaction ends."""
        ...

    async def hold_all(self, lock_ids: Sequence[UUID]) -> Sequence[LockStatus]:
        """Return and hold many, in one order for everybody."""
        ...

    async def save(self, status: LockStatus) -> None:
        """Write it, whether or not there was a row."""
        ...

    async def due_for_inventory(self, before: datetime, heard_since: datetime) -> Sequence[UUID]:
        """Return locks in service, heard of since then, that told no inventory since `before`."""
        ...

    async def connected(self) -> Sequence[UUID]:
        """Return locks that are said to hold a connection."""
        ...

    async def disconnected(self, lock_ids: Sequence[UUID]) -> None:
        """Note that these hold none."""
        ...

    async def advance(self, statuses: Sequence[LockStatus]) -> None:
        """Write where the journals and reports of many held rows stand: head, position, last seen."""
        ...


class Commands(Rows[Command], Protocol):
    """Commands and their steps."""

    async def open_locks(self) -> Sequence[UUID]:
        """Return the locks that have a queued command."""
        ...

    async def overdue(self, now: datetime, limit: int = 200) -> Sequence[Command]:
        """Return and hold commands of which time alone makes something, oldest first."""
        ...

    async def unproven(self, lock_ids: Sequence[UUID]) -> Sequence[Command]:
        """Return and hold these locks' commands that only their own word can settle."""
        ...

    async def attempts(
        self, lock_id: UUID, reader: UUID, also: Sequence[GrantClass], limit: int
    ) -> Sequence[tuple[Command, GrantClass]]:
        """Return the newest commands of the reader and of these classes, with the class of their grant."""
        ...

    async def note_ways(self, notes: Sequence[tuple[UUID, str | None, str | None]]) -> None:
        """Write how commands under way went last and what stands in their way: (id, via, fault)."""
        ...

    async def carried_out_or_refused(self, lock_ids: Sequence[UUID], since: datetime) -> Sequence[Command]:
        """Return these locks' commands that are `done` or `refused` and could live until `since` or later."""
        ...


class Wishes(Protocol):
    """Wishes that were used."""

    async def get(self, wish_id: UUID) -> SpentWish | None:
        """Return a wish that was used, or None."""
        ...

    async def spent_at(
        self, holder_id: UUID, operation: str, target: UUID, since: datetime
    ) -> Sequence[datetime]:
        """Return until when the wishes of this holder for this were good, of those that were after `since`."""
        ...

    async def spend(self, wish: SpentWish) -> None:
        """Use it; raises WishUsedError where it was."""
        ...

    async def wishers(self, operation: str, target: UUID, since: datetime) -> Sequence[UUID]:
        """Return the holders who wished this for this target, by wishes that were good until after `since`."""
        ...

    async def about(self, target: UUID) -> Sequence[SpentWish]:
        """Return the wishes about this target in the order in which they were kept; no remote acts."""
        ...

    async def keep_terms(self, terms: WishTerms) -> None:
        """Keep what a wish that was spent covers."""
        ...

    async def terms(self, wish_id: UUID) -> WishTerms | None:
        """Return what a wish covers, where that was kept."""
        ...


class Credentials(Rows[IssuedCredential], Protocol):
    """E-keys as they were signed."""

    async def of_grant(
        self, grant_id: UUID, phone_id: UUID, lock_id: UUID, at: datetime
    ) -> IssuedCredential | None:
        """Return the newest credential cut from this grant for this phone that lives then."""
        ...

    async def stale(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return and hold living credentials that nobody may use any more and no list names."""
        ...

    async def void(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return living credentials that nobody may use any more, whether or not a list names them."""
        ...

    async def without_entry(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return living, good credentials of owner and staff that do not convey `entry`."""
        ...

    async def revoked(self, lock_id: UUID, at: datetime) -> Sequence[IssuedCredential]:
        """Return revoked credentials that would live otherwise: what the list must name."""
        ...

    async def owners(self, ids: Sequence[UUID]) -> dict[UUID, KeyOwner]:
        """Return whose credentials these are, by credential id."""
        ...

    async def ever(self, grant_id: UUID) -> IssuedCredential | None:
        """Return the newest credential that was ever cut from this grant, living or not."""
        ...

    async def withdraw(self, grant_ids: Sequence[UUID], at: datetime) -> None:
        """Mark the living credentials of these grants as revoked; the next list will name them."""
        ...

    async def withdraw_entry(self, lock_id: UUID, at: datetime) -> None:
        """Mark the living credentials of this lock that convey `entry` as revoked."""
        ...

    async def oldest_usable(self, lock_id: UUID, at: datetime) -> datetime | None:
        """Return when the oldest credential was issued that lives and is not revoked."""
        ...

    async def revoke(self, ids: Sequence[UUID], at: datetime, number: int) -> None:
        """Note that the list of this number names them."""
        ...


class Entries(Rows[Entry], Protocol):
    """Entries of owner or staff to occupied rooms."""

    async def of_lock(self, lock_id: UUID, since: datetime) -> Sequence[Entry]:
        """Return a lock's entries that ran, or run, until after this instant, newest first."""
        ...

    async def end(self, entry_id: UUID, at: datetime) -> None:
        """Note that it has ended; once is for good."""
        ...

    async def emergencies(self, door_id: UUID, since: datetime) -> int:
        """Return how many emergencies were declared at a door that began after this instant."""
        ...


class Notices(Rows[Notice], Protocol):
    """What people were told."""

    async def of_holder(self, holder_id: UUID, limit: int) -> Sequence[Notice]:
        """Return what a person was told, newest first."""
        ...

    async def see(self, notice_id: UUID, at: datetime) -> None:
        """Note that it was seen; the first time counts."""
        ...

    async def told(self, about: UUID) -> Sequence[UUID]:
        """Return who was told about this."""
        ...


class LockDocuments(Protocol):
    """What locks should hold."""

    async def latest(self, lock_id: UUID, kind: DocumentKind) -> LockDocument | None:
        """Return the highest-numbered document of a kind."""
        ...

    async def all_latest(self, lock_id: UUID) -> Sequence[LockDocument]:
        """Return the highest-numbered document of each kind."""
        ...

    async def put(self, document: LockDocument) -> None:
        """Add it; raises ConflictError where this number is taken."""
        ...

    async def since(self, lock_id: UUID, kind: DocumentKind, number: int) -> Sequence[LockDocument]:
        """Return the documents of a kind from this number on, oldest first."""
        ...

    async def refuse(self, document: LockDocument, denial: str) -> None:
        """Note that the lock would not have it, once more."""
        ...

    async def allow_again(self, lock_id: UUID, times: int) -> None:
        """Let its documents be refused so many times fewer than often: the lock booted, and may think otherwise."""
        ...

    async def lagging(self) -> Sequence[UUID]:
        """Return locks that should hold a document of a higher number than they reported, and do not refuse it."""
        ...


class SiteKeys(Protocol):
    """Public halves of the site's keys."""

    async def current(self, kind: SiteKeyKind) -> SiteKey:
        """Return the current key of this kind; raises NotFoundError."""
        ...


class Verdicts(Protocol):
    """What role verify concluded; read only."""

    async def newest(self, tenancy_id: UUID, holder_id: UUID, phone_id: UUID) -> Verdict | None:
        """Return the last verdict about this very phone in this holder's hands, for this very lease.

        A verdict of another lease counts for nothing here: its staff and landlord are somebody else's.
        """
        ...


class Journals(Protocol):
    """Locks' journals."""

    async def append(self, lines: Sequence[JournalLine]) -> int:
        """Add entries in one statement; those already there stay. Returns how many were new."""
        ...

    async def hashes(self, lock_id: UUID, numbers: Sequence[int]) -> dict[int, bytes]:
        """Return the kept hashes of these entries."""
        ...

    async def newest(self, lock_id: UUID, limit: int) -> Sequence[JournalLine]:
        """Return the last entries, newest first."""
        ...

    async def newest_among(self, lock_id: UUID, whats: Sequence[int]) -> JournalLine | None:
        """Return the last entry that says one of these."""
        ...

    async def count_since(self, lock_id: UUID, whats: Sequence[int], since: datetime, most: int) -> int:
        """Return how many entries that say one of these reached us since then, counting to `most`."""
        ...

    async def is_complete(self, lock_id: UUID) -> bool:
        """Tell whether every number from 1 to the last is kept."""
        ...


class Registrations(Protocol):
    """The little that the issuer asks of registrations."""

    async def arrival(self, tenancy_id: UUID, holder_id: UUID) -> ArrivalFiling | None:
        """Return how far an occupant's arrival has come; None for who does not live there."""
        ...
