"""Commands to locks, as who asked may follow them."""

import json
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Response

from lockserver.app.ports import Watch
from lockserver.app.unlock_remotely import own_command, wait_settled
from lockserver.domain.command import Command
from lockserver.domain.errors import CommandExpiredError, CommandRefusedError
from lockserver.domain.fault import fault_of
from mobile_api.auth.session import Caller
from mobile_api.deps import Server
from mobile_api.schemas.locks import CommandOut
from mobile_api.services import Services

router = APIRouter(prefix="/commands", tags=["locks"])


def via_out(via: str | None) -> Literal["mqtt", "gateway"] | None:
    """Show which kind of carrier took it: which gateway it was is the house's own business."""
    return None if via is None else "mqtt" if via == "mqtt" else "gateway"


def command_out(command: Command) -> CommandOut:
    """Show a command to its asker."""
    return CommandOut(
        id=command.id,
        lock_id=command.lock_id,
        kind=command.kind,
        state=command.state,
        code=command.code,
        fault=fault_of(command.state, command.code, command.fault),
        via=via_out(command.via),
        not_after=command.not_after,
        settled_at=command.settled_at,
    )


async def waited(services: Services, hints: Watch, command_id: UUID, *, news: bool) -> Response:
    """Answer with how a command ended; 202 while nobody can say.

    Raises CommandRefusedError, CommandExpiredError. `unknown` is no failure and no success: the
    bolt may have moved, and the command's resource will say if the lock ever does.
    """
    command = await wait_settled(services.transactions, hints, services.clock, command_id, news=news)
    fault = fault_of(command.state, command.code, command.fault)
    if command.state == "refused":
        raise CommandRefusedError(command_id=str(command.id), reason=command.code, fault=fault)
    if command.state == "expired":
        raise CommandExpiredError(command_id=str(command.id), reason=command.code, fault=fault)
    body = json.dumps(command_out(command).model_dump(mode="json"), separators=(",", ":"))
    done = command.state == "done"
    headers = {} if done else {"Location": f"/v1/commands/{command.id}"}
    return Response(body, status_code=200 if done else 202, headers=headers, media_type="application/json")


@router.get("/{command_id}", summary="How a command stands")
async def command(command_id: UUID, caller: Caller, services: Server) -> CommandOut:
    """For who asked for it, and nobody else."""
    async with services.transactions.begin() as work:
        return command_out(await own_command(work, caller.holder_id, command_id))
