"""What is done in one statement, because somebody stands at a door meanwhile.

Each step is a transaction of its own: all that one decision needs is fetched at once, all that it
writes is written at once. What is decided stays in the use cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from lockserver.app.ports.rows import Answer
from lockserver.domain.account import Holder, PhoneState, Session
from lockserver.domain.command import Command, CommandKind, CommandState
from lockserver.domain.errors import IdempotencyMismatchError, IdempotencyRunningError
from lockserver.domain.grant import GrantClass
from lockserver.domain.lock import JournalLine, LockState, LockStatus, SpentWish


@dataclass(frozen=True, slots=True)
class Claim:
    """One request of one caller under one idempotency key (L-36)."""

    caller: str
    key: str
    route: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept under an idempotency key."""

    route: str
    body_hash: bytes
    state: str
    status: int | None
    headers: Mapping[str, str] | None
    response: bytes | None

    def answer(self, route: str, body_hash: bytes) -> Answer:
        """Return the first answer; raises IdempotencyMismatchError, IdempotencyRunningError."""
        if self.route != route or self.body_hash != body_hash:
            raise IdempotencyMismatchError
        if self.state != "done" or self.status is None:
            raise IdempotencyRunningError
        return Answer(self.status, self.headers or {}, self.response or b"")


@dataclass(frozen=True, slots=True)
class Knock:
    """Who asks to be let in where, in which session, and whose key signed the wish."""

    session_id: UUID
    holder_id: UUID
    lock_id: UUID
    kid: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How a holder stands to a lock at one instant.

    `capabilities`, `class_`: of the widest of his living grants there, `grant_id`: that grant. The phone is
    the one that signed, None where none of his did; `credential_id` is its newest living key for the lock,
    `enters`: whether that conveys `entry`. `occupied`: a tenancy lives behind the lock's door.
    """

    lock_state: LockState
    grant_id: UUID
    capabilities: int
    phone_id: UUID | None
    sign_pub: bytes | None
    phone_state: PhoneState | None
    credential_id: UUID | None
    class_: GrantClass
    occupied: bool
    enters: bool


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A command that was marked as sent, with the two signed things that it carries."""

    command_id: UUID
    counter: int
    not_after: datetime
    wish: bytes
    credential: bytes
    kind: CommandKind


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a lock's signed result makes of a command."""

    state: CommandState
    code: str | None


@dataclass(frozen=True, slots=True)
class Continued:
    """A batch of a lock's journal that is whole in itself, and the head that it continues.

    `acts`: an entry may be the only proof of a command. `boot`, `seq`: where its report stands.
    """

    lock_id: UUID
    after_number: int
    after_hash: bytes
    number: int
    hash: bytes
    boot: int
    seq: int
    acts: bool


class Steps(Protocol):
    """Single statements, each all or nothing."""

    async def caller(self, access_hash: bytes) -> tuple[Session, Holder] | None:
        """Return the session of this access token's hash, living or not, and who is behind it."""
        ...

    async def standing(self, knock: Knock, claim: Claim) -> tuple[Known | None, Standing | None]:
        """Return what is known under the key, and how the holder stands to the lock.

        No standing: he has nothing to do with that lock.
        """
        ...

    async def place(
        self, knock: Knock, command: Command, wish: SpentWish, claim: Claim, kept: Answer
    ) -> bool:
        """Spend the wish, write the command under the lock's next counter, keep the answer.

        The bridge is woken at the commit. False, and nothing is written, where somebody else was
        quicker: under this key, or by ending the session, grant, phone or key that it stands on.
        Raises WishUsedError, IdempotencyRunningError.
        """
        ...

    async def command(self, command_id: UUID) -> Command | None:
        """Return a command."""
        ...

    async def dispatch(self, lock_id: UUID, at: datetime, via: str | None, most: int) -> Sequence[Dispatched]:
        """Mark the lock's oldest queued commands that still live as sent; return what to send, in order."""
        ...

    async def hold_up(self, lock_id: UUID, fault: str) -> None:
        """Write down what keeps the lock's queued commands waiting."""
        ...

    async def conclude(
        self, status: LockStatus, command_id: UUID, conclusion: Conclusion, evidence: bytes
    ) -> bool:
        """Note where the lock's reports stand now, and settle the command by this one.

        False where the report is no news, or the lock was never heard of: nothing was written.
        """
        ...

    async def keep(
        self, batches: Sequence[Continued], lines: Sequence[JournalLine], at: datetime
    ) -> frozenset[UUID]:
        """Keep the lines of those batches that continue exactly what is kept; return their locks.

        At most one batch a lock. Nothing is written of any other, nor of one with `acts` while a
        command of its lock waits for proof: those need a closer look.
        """
        ...
