"""Ask a lock, through the broker, to open for a holder who wishes it, now; or to lock, or to stay open.

A session alone asks for nothing: the wish is signed by the holder's own phone, names this lock and
dies within 20 s. One statement shows what the decision needs; another, a transaction of its own, spends
the wish, takes the lock's next counter and writes command, audit and answer; the lock checks all of it again by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from lockserver.app.ports import Answer, Claim, Clock, Transactions, UnitOfWork, Watch
from lockserver.app.ports.steps import Knock, Standing
from lockserver.domain.command import GRACE, MAX_LIFE, Command, CommandKind
from lockserver.domain.errors import (
    DomainError,
    GrantMissingError,
    LockMissingError,
    NotFoundError,
    PhoneUnknownError,
    SessionInvalidError,
    WishExpiredError,
    WishInvalidError,
)
from lockserver.domain.grant import Capability
from lockserver.domain.grant_errors import EntryMissingError
from lockserver.domain.lock import SpentWish
from lockserver.domain.times import from_seconds
from lockserver.protocol.cose import peek_kid
from lockserver.protocol.errors import RemoteError
from lockserver.protocol.wish import MAX_WISH, WishOperation, read_wish

LOOK_AGAIN_S = 1.0
"""A notification may be lost: the row itself is looked at this often."""
LAST_WORD = timedelta(seconds=1)
"""How long after its grace a command may still be on the way to being called `unknown`."""
LOOKS = 3
"""How often it is decided anew because something that it stood on changed meanwhile."""
CLOCK_ALLOWANCE = timedelta(seconds=1)
"""The wire counts whole seconds: a wish may seem to outlive its 20 s by one."""


class CredentialMissingError(DomainError):
    """This phone holds no living key for that lock; it must sync first."""

    code = "credential_missing"


NEEDS: Final[dict[CommandKind, Capability]] = {
    "unlock": Capability.UNLOCK,
    "lock": Capability.LOCK,
    "hold_open": Capability.HOLD_OPEN,
}
"""What a grant must convey for it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A holder asks, in a session, that a lock opens (or locks, or stays open); `claim` is his request under its key.

    `command_id` is made beforehand, so that the command's end can be watched for before it begins.
    """

    command_id: UUID
    session_id: UUID
    holder_id: UUID
    lock_id: UUID
    wish: bytes
    claim: Claim
    kind: CommandKind = "unlock"


async def unlock_remotely(
    transactions: Transactions, clock: Clock, asked: Asked, answer: Callable[[Command], Answer]
) -> Answer | None:
    """Write the command (`queued`) with its answer, and wake the bridge; or give the first answer again.

    None: it was written, now. Two statements: what the decision needs, and all that it writes. The second
    looks once more whether session, grant, phone and key still stand.

    Raises NotFoundError (no such lock, or none of the caller's), GrantMissingError, LockMissingError,
    EntryMissingError (somebody lives there, L-52), CredentialMissingError, WishInvalidError,
    WishExpiredError, WishUsedError, PhoneUnknownError, IdempotencyMismatchError,
    IdempotencyRunningError; SessionInvalidError where it ended meanwhile.
    """
    async with transactions.steps() as steps:
        for _ in range(LOOKS):
            knock = Knock(asked.session_id, asked.holder_id, asked.lock_id, _kid(asked.wish), clock.now())
            known, standing = await steps.standing(knock, asked.claim)
            if known is not None:
                return known.answer(asked.claim.route, asked.claim.body_hash)
            command, spent = _decide(asked, knock, standing)
            if await steps.place(knock, command, spent, asked.claim, answer(command)):
                return None
    # What it stood on fell while we looked, and nothing else says so: the session did.
    raise SessionInvalidError


def _kid(wish: bytes) -> bytes:
    """Return whose key the wish claims; nobody's where it is no wish at all."""
    try:
        return peek_kid(wish, limit=MAX_WISH)
    except RemoteError:
        return b""


def _decide(asked: Asked, knock: Knock, standing: Standing | None) -> tuple[Command, SpentWish]:
    """Return the command to be written and the wish that it spends, or raise why not."""
    if not knock.kid:
        raise WishInvalidError
    if standing is None:
        raise NotFoundError
    if not standing.capabilities & NEEDS[asked.kind]:
        raise GrantMissingError
    if standing.lock_state != "active":
        raise LockMissingError
    spent = _judge_wish(standing, asked, knock.at)
    if standing.credential_id is None:
        raise CredentialMissingError
    if asked.kind != "lock" and standing.occupied and not standing.enters:
        raise EntryMissingError  # the lock would refuse it too
    command = Command(
        id=asked.command_id,
        lock_id=asked.lock_id,
        holder_id=asked.holder_id,
        grant_id=standing.grant_id,
        credential_id=standing.credential_id,
        wish_id=spent.id,
        kind=asked.kind,
        counter=0,  # the lock's next, when it is written
        state="queued",
        not_after=spent.not_after,
    )
    return command, spent


def _judge_wish(standing: Standing, asked: Asked, now: datetime) -> SpentWish:
    """Verify the wish under the phone's key: for this lock, for this, now.

    Raises WishInvalidError, WishExpiredError, PhoneUnknownError.
    """
    if standing.phone_id is None or standing.sign_pub is None:
        raise WishInvalidError
    if standing.phone_state != "active":
        raise PhoneUnknownError
    try:
        wish = read_wish(asked.wish, standing.sign_pub)
    except RemoteError:
        raise WishInvalidError from None
    if wish.operation is not WishOperation[asked.kind.upper()] or wish.target_id != asked.lock_id.bytes:
        raise WishInvalidError
    not_after = from_seconds(wish.not_after)
    if now >= not_after:
        raise WishExpiredError
    if not_after > now + MAX_LIFE + CLOCK_ALLOWANCE:
        raise WishInvalidError("an unlock is wished for now, not for later")
    return SpentWish(
        id=UUID(bytes=wish.wish_id),
        holder_id=asked.holder_id,
        phone_id=standing.phone_id,
        operation=asked.kind,
        target=asked.lock_id,
        not_after=not_after,
        raw=asked.wish,
    )


async def wait_settled(
    transactions: Transactions, hints: Watch, clock: Clock, command_id: UUID, *, news: bool
) -> Command:
    """Return the command once it is settled, or as it stands when waiting is over.

    `hints` watches `command_settled`; opened before the command was committed (`news`), nothing can
    have been missed and the row need not be looked at before the first hint. Waiting ends a little
    after the deadline: nothing can be done any more, only learnt. Raises NotFoundError.
    """
    if news:
        await hints.next(LOOK_AGAIN_S)
    while True:
        async with transactions.steps() as steps:
            command = await steps.command(command_id)
        if command is None:
            raise NotFoundError
        left = (command.not_after + GRACE + LAST_WORD - clock.now()).total_seconds()
        if command.is_settled() or left <= 0:
            return command
        await hints.next(min(left, LOOK_AGAIN_S))


async def own_command(work: UnitOfWork, holder_id: UUID, command_id: UUID) -> Command:
    """Return a command of this holder's; another's does not exist for him (L-35)."""
    command = await work.commands.get(command_id)
    if command is None or command.holder_id != holder_id:
        raise NotFoundError
    return command
