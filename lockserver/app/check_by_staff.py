"""The equal route without a face: staff of the house compared person and document (L-47)."""

from lockserver.app.judge_case import conclude
from lockserver.app.verifying import Desk, read_fields
from lockserver.domain.canonical import dumps
from lockserver.domain.errors import IdentifierInvalidError, SealBrokenError
from lockserver.domain.identity import check_fields

SAME_PERSON = "same_person"


async def take_staff_check(desk: Desk) -> None:
    """Approve the case's phone on the word of staff, and draft the fields for its declaration.

    The document's own checks hold on this route too. Raises SealBrokenError, CaseStateError,
    ConsentMissingError, IdentifierInvalidError (``field`` names the one to correct).
    """
    body = desk.world.open_json(desk.part)
    fields = read_fields(body)
    if body.get("outcome") != SAME_PERSON:
        raise SealBrokenError(field="outcome")
    desk.case.takes_staff_check(desk.now)
    faults = check_fields(fields, today=desk.today)
    if faults:
        raise IdentifierInvalidError(field=faults[0].field, rule=faults[0].code.value)
    await desk.keep(dumps(fields.as_dict()))
    draft = await desk.draft(fields.as_dict())
    case = desk.case.settled_by_staff(desk.key.digest(fields), draft)
    await desk.work.case_files.save(case)
    await conclude(desk, case)
