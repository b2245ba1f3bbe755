"""What was tried at a lock, and what became of it."""

from uuid import UUID

from fastapi import APIRouter

from lockserver.app.read_attempts import Attempt, read_attempts
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.routes.commands import via_out
from mobile_api.schemas.locks import AttemptOut

router = APIRouter(prefix="/locks", tags=["locks"])


def attempt_out(one: Attempt) -> AttemptOut:
    """Show an attempt."""
    command = one.command
    return AttemptOut(
        id=command.id,
        whose=one.whose,
        kind=command.kind,
        state=command.state,
        fault=one.fault,
        via=via_out(command.via),
        not_after=command.not_after,
        settled_at=command.settled_at,
    )


@router.get("/{lock_id}/attempts", summary="Every action at a lock, with its result and fault")
async def attempts(lock_id: UUID, caller: Caller, services: Server) -> list[AttemptOut]:
    """Your own; the landlord also sees his staff's. Nobody reads a resident's."""
    async with services.transactions.begin() as work:
        read = await read_attempts(work, caller.holder_id, lock_id, services.clock.now())
    return [attempt_out(one) for one in read]
