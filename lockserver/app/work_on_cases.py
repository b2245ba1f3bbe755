"""The role verify's loop body: take the oldest part that was brought through its step.

Parts in state `received` are the work list. A part and all that follows from it change in one
transaction, so that a crash leaves it to the next worker, and nothing half done.
"""

from dataclasses import replace

from lockserver.app.check_by_staff import take_staff_check
from lockserver.app.file_registration import take_declaration
from lockserver.app.judge_case import take_confirmation
from lockserver.app.ports import FaceReading, RecognitionBusyError, SideReading, UnitOfWork
from lockserver.app.read_image import Seen, look, take_selfie, take_side
from lockserver.app.verifying import Desk, Verifying, desk_of
from lockserver.domain.case import CasePart
from lockserver.domain.errors import DomainError, RoleFailedError


async def work_on_one_part(world: Verifying) -> bool:
    """Work on one part; False where there is none. A refusal becomes the part's code.

    Raises RecognitionBusyError: the part waits. Raises what broke us, once the part says so.
    """
    part: CasePart | None = None
    try:
        async with world.transactions.begin() as work:
            part = await work.case_files.claim_received()
            if part is None:
                return False
            seen = await look(world, work, part)
            await _step(await desk_of(world, work, part), seen)
    except RecognitionBusyError:
        raise
    except DomainError as refused:
        await _note(world, part, refused)
    except Exception:
        # Else a part that breaks us would come up again for ever.
        await _note(world, part, RoleFailedError())
        raise
    return True


async def _step(desk: Desk, seen: Seen | None) -> None:
    if isinstance(seen, SideReading):
        await take_side(desk, seen)
    elif isinstance(seen, FaceReading):
        await take_selfie(desk, seen)
    elif desk.part.kind == "confirmation":
        await take_confirmation(desk)
    elif desk.part.kind == "declaration":
        await take_declaration(desk)
    else:
        await take_staff_check(desk)


async def _note(world: Verifying, part: CasePart | None, refused: DomainError) -> None:
    if part is None:
        raise refused
    async with world.transactions.begin() as work:
        await _write(work, part, refused)


async def _write(work: UnitOfWork, part: CasePart, refused: DomainError) -> None:
    field = refused.detail.get("field")
    rule = refused.detail.get("rule")
    advice = ":".join(str(word) for word in (field, rule) if word) or None
    await work.case_files.save_part(
        replace(part, state="refused", sealed=None, code=refused.code, advice=advice)
    )
    await work.notify("case_changed", str(part.case_id))
