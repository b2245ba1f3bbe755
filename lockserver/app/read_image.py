"""Look at an image that was brought: recognise a side of the card, or compare the selfie with it.

Looking takes a second or two of another process, and happens before the case is held.
"""

from lockserver.app.case_key import open_case_key
from lockserver.app.judge_case import judge_if_complete
from lockserver.app.ports import FaceReading, SideReading, UnitOfWork
from lockserver.app.verifying import Desk, Verifying, pack_side, unpack_side
from lockserver.domain.case import IMAGES, CasePart, newest
from lockserver.domain.errors import CaseStateError, ConsentMissingError

Seen = SideReading | FaceReading


async def look(world: Verifying, work: UnitOfWork, part: CasePart) -> Seen | None:
    """Recognise an image; None for a part that is none.

    Raises SealBrokenError, ConsentMissingError, CaseStateError, RecognitionBusyError.
    """
    if part.kind in IMAGES:
        await work.case_files.hold_long()
    if part.kind == "front" or part.kind == "back":  # noqa: PLR1714 - narrows the kind's type
        return await world.recogniser.read_side(part.kind, world.open(part))
    if part.kind != "selfie":
        return None
    case = await work.case_files.one(part.case_id)
    if not case.face_consented:
        raise ConsentMissingError(consent="face")
    front = newest(await work.case_files.parts(case.id), "front", "read")
    if front is None:
        raise CaseStateError(needs="front")
    _, portrait = unpack_side(open_case_key(world.kek, case).open(front.sealed, front.id))
    return await world.recogniser.compare(portrait, world.open(part))


async def take_side(desk: Desk, seen: SideReading) -> None:
    """Keep what a side said; with both sides read, draft the fields for the tenant's phone."""
    case = desk.case.brought("front" if desk.part.kind == "front" else "back")
    if seen.refusal is not None:
        await desk.refuse(seen.refusal, seen.advice)
        await desk.work.case_files.save(case)
        return
    await desk.keep(pack_side(seen))
    front, back = await desk.kept("front"), await desk.kept("back")
    if front is not None and back is not None:
        draft = await desk.draft({**unpack_side(front)[0], **unpack_side(back)[0]})
        case = case.drafted(draft)
    await desk.work.case_files.save(case)


async def take_selfie(desk: Desk, seen: FaceReading) -> None:
    """Keep how alike the faces were, never the selfie; then judge, if the fields are confirmed."""
    if not desk.case.face_consented:  # withdrawn while the faces were compared
        raise ConsentMissingError(consent="face")
    case = desk.case.brought("selfie")
    if seen.refusal is not None:
        await desk.refuse(seen.refusal, seen.advice)
        await desk.work.case_files.save(case)
        return
    await desk.keep(seen.kept)
    await desk.work.case_files.save(await judge_if_complete(desk, case))
