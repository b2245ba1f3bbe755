"""State the time to a lock, for the one nonce that it asked with."""

from uuid import UUID

from lockserver.app.issuing import Issuing
from lockserver.domain.errors import InvalidInputError, NotFoundError
from lockserver.domain.times import whole_seconds
from lockserver.protocol.documents import TimeStatement, sign_time
from lockserver.protocol.limits import NONCE


async def state_time(world: Issuing, lock_id: UUID, nonce: bytes) -> bytes:
    """Return an LK1-TIME. Raises NotFoundError for a lock that is none of ours."""
    if len(nonce) != NONCE:
        raise InvalidInputError(field="nonce")
    async with world.transactions.begin() as work:
        lock = await work.locks.get(lock_id)
    if lock is None or lock.state == "retired":
        raise NotFoundError
    statement = TimeStatement(whole_seconds(world.clock.now()), nonce, lock_id.bytes)
    return sign_time(statement, world.signer)
