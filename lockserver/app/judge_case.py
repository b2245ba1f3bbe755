"""Take the confirmed fields, and judge a case once everything that judging needs is there."""

from dataclasses import replace

from lockserver.app.ports import Judgement
from lockserver.app.verifying import Desk, read_fields, unpack_side
from lockserver.domain.account import Phone
from lockserver.domain.canonical import dumps, loads
from lockserver.domain.case import Case
from lockserver.domain.errors import CaseStateError, DutyFulfilledError
from lockserver.domain.identity import IdentityFields


async def take_confirmation(desk: Desk) -> None:
    """Keep the fields as their owner confirmed them, and their keyed digest; then judge.

    Raises SealBrokenError, CaseStateError.
    """
    confirmed = read_fields(desk.world.open_json(desk.part))
    desk.case.takes_confirmation(await desk.work.case_files.parts(desk.case.id), desk.now)
    await desk.keep(dumps(confirmed.as_dict()))
    case = desk.case.confirmed(desk.key.digest(confirmed))
    await desk.work.case_files.save(await judge_if_complete(desk, case))


async def judge_if_complete(desk: Desk, case: Case) -> Case:
    """Return the case with its verdict, or as it is while something is still to be brought."""
    confirmed, face = await desk.kept("confirmation"), await desk.kept("selfie")
    front, back = await desk.kept("front"), await desk.kept("back")
    ready = case.confirmed_digest is not None and case.face_consented
    if not ready or confirmed is None or face is None or front is None or back is None:
        return case
    fields = IdentityFields(**loads(confirmed))
    if desk.key.digest(fields) != case.confirmed_digest:  # confirmed for pages since replaced
        return case
    judgement = desk.world.recogniser.judge(
        unpack_side(front)[1], unpack_side(back)[1], face, fields, desk.today
    )
    return await _conclude(desk, case, judgement)


async def _conclude(desk: Desk, case: Case, judgement: Judgement) -> Case:
    judged = case.judged(judgement.outcome, judgement.reasons, judgement.repeat_step, dict(judgement.scores))
    await conclude(desk, judged)
    return judged


async def _whose_case(desk: Desk, case: Case) -> Phone:
    """Return the case's phone, held. The role api wrote the case: what it says is looked up here.

    A duty that is filed is settled, and no case of it makes another phone its tenant's.
    Raises CaseStateError, DutyFulfilledError.
    """
    duty = await desk.work.duties.one(case.duty_id)
    phone = await desk.work.phones.lock(case.phone_id)
    if duty.holder_id != case.holder_id or duty.kind != "arrival" or phone.holder_id != case.holder_id:
        raise CaseStateError(state="foreign")
    if phone.state == "revoked" or phone.session_id != case.session_id:
        raise CaseStateError(state=phone.state)
    if duty.state != "open":
        raise DutyFulfilledError
    return phone


async def conclude(desk: Desk, case: Case) -> None:
    """Write the verdict for the issuer; an approval makes the case's phone the tenant's key.

    Raises CaseStateError for a case without an outcome, and what `_whose_case` raises.
    """
    if case.outcome is None:
        raise CaseStateError(state=case.state)
    phone = await _whose_case(desk, case)
    codes = [reason["code"] for reason in case.reasons or ()]
    await desk.work.case_files.add_verdict(desk.new_id(), case, case.outcome, codes)
    if case.outcome == "approved":
        # A button proves more than a lease does: it made this phone an owner's, and that stays.
        proof = "button" if phone.proved_by == "button" else case.route
        await desk.work.phones.save(replace(phone, state="active", proved_by=proof))
    await desk.work.audit.write(
        "role:verify", "judge", f"case:{case.id}", outcome=case.outcome, codes=codes, route=case.route
    )
