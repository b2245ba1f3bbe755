"""Repositories as a use case sees them: one per noun, taken from the unit of work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

from lockserver.domain.account import Account, Holder, LoginCode, Phone, Session
from lockserver.domain.duties import Duty, DutyKind
from lockserver.domain.grant import Grant
from lockserver.domain.house import Door, House
from lockserver.domain.risk import Risk
from lockserver.domain.tenancy import Occupant, Tenancy

Record = TypeVar("Record")


class Rows(Protocol[Record]):
    """What every repository of records with an `id` can do.

    A record is a frozen dataclass whose fields are columns of its table.
    """

    async def add(self, record: Record) -> None:
        """Insert it; raises ConflictError where a unique rule of the table refuses it."""
        ...

    async def get(self, row_id: UUID) -> Record | None:
        """Return the record, or None."""
        ...

    async def one(self, row_id: UUID) -> Record:
        """Return the record; raises NotFoundError."""
        ...

    async def lock(self, row_id: UUID) -> Record:
        """Return the record and hold it until the transaction ends; raises NotFoundError."""
        ...

    async def save(self, record: Record) -> None:
        """Write every field of an existing record; raises NotFoundError, ConflictError."""
        ...


class Accounts(Rows[Account], Protocol):
    """Accounts and their one-time codes."""

    async def by_phone(self, phone_index: bytes) -> Account | None:
        """Return the account of this keyed hash."""
        ...

    async def add_code(self, code: LoginCode) -> None:
        """Keep a one-time code's hash."""
        ...

    async def last_code(self, phone_index: bytes) -> LoginCode | None:
        """Return and hold the newest code that was sent to this number."""
        ...

    async def codes_since(self, phone_index: bytes, since: datetime) -> int:
        """Return how many codes were sent to this number since then."""
        ...

    async def save_code(self, code: LoginCode) -> None:
        """Write attempts and use."""
        ...


class Sessions(Rows[Session], Protocol):
    """Logins."""

    async def by_access(self, access_hash: bytes) -> Session | None:
        """Return the session of this access token's hash, living or not."""
        ...

    async def by_refresh(self, refresh_hash: bytes) -> Session | None:
        """Return and hold the session of this refresh token's hash, living or not."""
        ...


class Holders(Rows[Holder], Protocol):
    """Natural persons."""

    async def of_account(self, account_id: UUID) -> Holder | None:
        """Return the holder behind an account."""
        ...

    async def by_subject(self, subject: bytes) -> Holder | None:
        """Return the holder of this pseudonym."""
        ...


class Phones(Rows[Phone], Protocol):
    """Phones and their keys."""

    async def by_sign_pub(self, sign_pub: bytes) -> Phone | None:
        """Return the phone that has this signing key."""
        ...

    async def of_holder(self, holder_id: UUID) -> Sequence[Phone]:
        """Return a holder's phones, oldest first."""
        ...

    async def by_key(self, key: bytes) -> Phone | None:
        """Return the phone whose signing key has this SHA-256 (32 bytes): how a grantor names it."""
        ...


class Houses(Rows[House], Protocol):
    """Houses and who works there."""

    async def of_owner(self, holder_id: UUID) -> Sequence[House]:
        """Return the houses that this holder owns, oldest first."""
        ...

    async def add_staff(self, house_id: UUID, holder_id: UUID, wish_id: UUID | None) -> None:
        """Make a holder staff of a house by the owner's wish; where he is, the newer wish counts."""
        ...

    async def staff_wishes(self, holder_id: UUID) -> Sequence[tuple[UUID, UUID]]:
        """Return (house, the wish that named him) wherever a holder is staff by a kept wish."""
        ...

    async def is_staff(self, house_id: UUID, holder_id: UUID) -> bool:
        """Tell whether a holder is staff of a house."""
        ...

    async def staff(self, house_id: UUID) -> Sequence[UUID]:
        """Return the holders who are staff of a house."""
        ...

    async def staffed_by(self, holder_id: UUID) -> Sequence[House]:
        """Return the houses where this holder is staff."""
        ...


class Doors(Rows[Door], Protocol):
    """Gates and rooms."""

    async def of_house(self, house_id: UUID) -> Sequence[Door]:
        """Return a house's doors, oldest first."""
        ...

    async def gates(self, house_id: UUID) -> Sequence[Door]:
        """Return a house's gates."""
        ...


class Tenancies(Rows[Tenancy], Protocol):
    """Leases and their occupants."""

    async def add_occupant(self, occupant: Occupant) -> None:
        """Add somebody who lives there (in the transaction that writes his duty: L-23)."""
        ...

    async def occupants(self, tenancy_id: UUID) -> Sequence[Occupant]:
        """Return who lives there, in the order they were added."""
        ...

    async def by_invite(self, invite_hash: bytes) -> Occupant | None:
        """Return and hold the occupant whom this invite was made out to."""
        ...

    async def save_occupant(self, occupant: Occupant) -> None:
        """Write the invite's state."""
        ...

    async def of_house(self, house_id: UUID) -> Sequence[Tenancy]:
        """Return the leases of a house, newest first."""
        ...

    async def of_holder(self, holder_id: UUID) -> Sequence[Tenancy]:
        """Return the leases in which a holder lives, newest first."""
        ...

    async def living_in(self, door_id: UUID, at: datetime) -> Tenancy | None:
        """Return the lease of a room that lives at this instant."""
        ...

    async def over_at(self, at: datetime, limit: int = 100) -> Sequence[Tenancy]:
        """Return signed leases whose window has closed, oldest first."""
        ...


class Duties(Rows[Duty], Protocol):
    """What the law asks."""

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Duty]:
        """Return all duties of a tenancy."""
        ...

    async def of_occupant(self, tenancy_id: UUID, holder_id: UUID, kind: DutyKind) -> Duty | None:
        """Return and hold the one duty of this kind."""
        ...

    async def open_due_before(self, at: datetime, limit: int = 100) -> Sequence[Duty]:
        """Return unfulfilled required duties that are due before this instant."""
        ...


class Grants(Rows[Grant], Protocol):
    """Rights at doors."""

    async def of_tenancy(self, tenancy_id: UUID) -> Sequence[Grant]:
        """Return and hold every grant of a tenancy."""
        ...

    async def of_holder(self, holder_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return a holder's active grants that have not run out at this instant."""
        ...

    async def living(self, holder_id: UUID, door_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return a holder's grants for one door that live at this instant."""
        ...

    async def naming(self, key: bytes) -> Sequence[Grant]:
        """Return the active grants that name the phone whose signing key has this SHA-256."""
        ...

    async def fading(self, at: datetime, before: datetime) -> Sequence[Risk]:
        """Return living tenants whose newest key to their room is past its half and dies before this instant."""
        ...

    async def children(self, grant_ids: Sequence[UUID]) -> Sequence[Grant]:
        """Return and hold the grants that hang directly under these and are not revoked, by id."""
        ...

    async def shown_to(self, holder_id: UUID, at: datetime) -> Sequence[Grant]:
        """Return his own grants and those given by him or by whom he gave one, in whatever state.

        Only those whose window has not closed; newest first.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to an Idempotency-Key the first time."""

    status: int
    headers: Mapping[str, str]
    response: bytes


class Idempotency(Protocol):
    """The first answer to a key is the only one (L-36).

    `begin` inserts the row in the request's own transaction, so a crash leaves neither row nor
    effect, and the retry has its one effect.
    """

    async def begin(self, caller: str, key: str, route: str, body_hash: bytes) -> Answer | None:
        """Claim the key, or return the stored answer.

        Raises IdempotencyMismatchError (other route or body) and IdempotencyRunningError (the
        first request has not finished).
        """
        ...

    async def known(self, caller: str, key: str, route: str, body_hash: bytes) -> Answer | None:
        """Return the stored answer without claiming the key; raises as `begin` does."""
        ...

    async def finish(self, caller: str, key: str, answer: Answer) -> None:
        """Store the answer with the effect, in one transaction."""
        ...


class Audit(Protocol):
    """The server's own log of who did what; it is only ever added to."""

    async def write(self, actor: str, verb: str, object_: str, **detail: Any) -> None:  # noqa: ANN401
        """Add a line. `actor` is `holder:<id>` or `role:<name>`; `detail` has no personal field."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An outbox entry on its way in, sealed to the relay's key already."""

    id: UUID
    registration_id: UUID
    client_no: str
    seq: int
    kind: Literal["register", "change", "departure", "withdrawal"]
    sealed: bytes
    body_digest: bytes


class Outbox(Protocol):
    """Durable intent to deliver; written in the transaction of what it tells."""

    async def next_seq(self, client_no: str) -> int:
        """Return the next version of this registration (1 for the first), holding its line."""
        ...

    async def put(self, entry: Outgoing) -> None:
        """Add the entry and wake the relay."""
        ...
