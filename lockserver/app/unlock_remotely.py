"""Ask a lock, through the broker, to open for a holder who wishes it, now.

A session alone asks for nothing: the wish is signed by the holder's own phone, names this lock and
dies within 20 s. One transaction decides the grant, spends the wish, takes the lock's next counter
and writes the command; the lock checks all of it again by itself.
"""

from datetime import datetime, timedelta
from uuid import UUID

from lockserver.app.ports import Changes, Clock, Random, Transactions, UnitOfWork
from lockserver.app.spend_wish import spend_wish
from lockserver.domain.command import GRACE, MAX_LIFE, Command
from lockserver.domain.errors import (
    DomainError,
    GrantMissingError,
    LockMissingError,
    NotFoundError,
    WishInvalidError,
)
from lockserver.domain.grant import Capability
from lockserver.domain.ids import uuid7
from lockserver.domain.times import from_seconds
from lockserver.protocol.wish import WishOperation

LOOK_AGAIN_S = 1.0
"""A notification may be lost: the row itself is looked at this often."""
LAST_WORD = timedelta(seconds=1)
"""How long after its grace a command may still be on the way to being called `unknown`."""
CLOCK_ALLOWANCE = timedelta(seconds=1)
"""The wire counts whole seconds: a wish may seem to outlive its 20 s by one."""


class CredentialMissingError(DomainError):
    """This phone holds no living key for that lock; it must sync first."""

    code = "credential_missing"

    """A command that was written, to be waited for."""

    command: Command


async def unlock_remotely(
    work: UnitOfWork, random: Random, now: datetime, holder_id: UUID, lock_id: UUID, wish: bytes
) -> Command:
    """Write the command (`queued`) and wake the bridge at the commit.

    Raises NotFoundError (no such lock, or none of the caller's), GrantMissingError,
    LockMissingError, CredentialMissingError, WishInvalidError, WishExpiredError, WishUsedError,
    PhoneUnknownError.
    """
    lock = await work.locks.get(lock_id)
    if lock is None or lock.state == "retired":
        raise NotFoundError
    grants = await work.grants.living(holder_id, lock.door_id, now)
    if not grants:
        raise NotFoundError
    grant = next((one for one in grants if one.conveys(Capability.UNLOCK, now)), None)
    if grant is None:
        raise GrantMissingError
    if lock.state != "active":
        raise LockMissingError
    taken = await spend_wish(work, now, holder_id, wish, WishOperation.UNLOCK, lock_id)
    not_after = from_seconds(taken.wish.not_after)
    if not_after > now + MAX_LIFE + CLOCK_ALLOWANCE:
        raise WishInvalidError("an unlock is wished for now, not for later")
    credential = await work.credentials.newest(taken.phone.id, lock_id, now)
    if credential is None:
        raise CredentialMissingError
    command = Command(
        id=uuid7(now, random(10)),
        lock_id=lock_id,
        holder_id=holder_id,
        grant_id=grant.id,
        credential_id=credential.id,
        wish_id=UUID(bytes=taken.wish.wish_id),
        kind="unlock",
        counter=await work.locks.next_counter(lock_id),
        state="queued",
        not_after=not_after,
    )
    await work.commands.add(command)
    await work.audit.write(
        f"holder:{holder_id}", "unlock_remotely", f"lock:{lock_id}", command=str(command.id)
    )
    await work.notify("commands", lock_id.hex)
    return command


async def wait_settled(
    transactions: Transactions, changes: Changes, clock: Clock, command_id: UUID
) -> Command:
    """Return the command once it is settled, or as it stands when waiting is over.

    Waiting ends a little after the deadline: nothing can be done any more, only learnt.
    Raises NotFoundError.
    """
    async with changes.watch("command_settled", str(command_id)) as hints:
        while True:
            async with transactions.begin() as work:
                command = await work.commands.one(command_id)
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
