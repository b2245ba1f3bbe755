"""The judge: each cause, its outcome, its reason, the one step to repeat."""

from dataclasses import replace
from datetime import date

import pytest

from lockserver.domain.identity import FIELD_NAMES, FRONT_FIELDS, IdentityFields
from lockserver.run.specimen.people import with_wrong_check_digit
from mobile_api.verify.codes import Refusal, Step
from mobile_api.verify.face import Comparison, Likeness
from mobile_api.verify.reading import CardReading, FieldReading, SideReading
from mobile_api.verify.verdict import Outcome, Verdict, judge

SAME = Comparison("sface", 0.71, Likeness.SAME)


def reading_of(fields: IdentityFields, **confidence: float) -> CardReading:
    parts = {
        name: FieldReading(text, confidence.get(name, 0.99))
        for name, text in fields.as_dict().items()
        if text
    }
    front = {name: part for name, part in parts.items() if name in FRONT_FIELDS}
    back = {name: part for name, part in parts.items() if name not in FRONT_FIELDS}
    return CardReading(SideReading(Step.FRONT, front), SideReading(Step.BACK, back), b"png")


def outcome_of(verdict: Verdict) -> tuple[str, tuple[str, ...], str | None]:
    return verdict.outcome, verdict.codes, verdict.repeat_step


def test_all_agreeing_is_approved_without_a_reason(someone: IdentityFields, today: date) -> None:
    verdict = judge(reading_of(someone), SAME, someone, today=today)
    assert outcome_of(verdict) == ("approved", (), None)
    assert verdict.scores["face"] == 0.71
    assert (verdict.scores["face_accept"], verdict.scores["face_review"]) == (0.4, 0.3)
    assert {f"read_{name}" for name in FIELD_NAMES} <= set(verdict.scores)


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (Comparison("sface", 0.1, Likeness.OTHER), ("declined", ("face_differs",), "selfie")),
        (Comparison("sface", 0.35, Likeness.DOUBTFUL), ("review", ("face_doubtful",), None)),
        (Comparison("sface", refusal=Refusal.FACE_NONE), ("declined", ("face_none",), "selfie")),
        (Comparison("sface", refusal=Refusal.FACE_SEVERAL), ("declined", ("face_several",), "selfie")),
        (
            Comparison("sface", refusal=Refusal.FACE_NONE, of_selfie=False),
            ("declined", ("face_none",), "front"),
        ),
        (None, ("declined", ("selfie_missing",), "selfie")),
    ],
)
def test_the_face(
    someone: IdentityFields, today: date, comparison: Comparison | None, expected: object
) -> None:
    verdict = judge(reading_of(someone), comparison, someone, today=today)
    assert outcome_of(verdict) == expected


@pytest.mark.parametrize("step", [Step.FRONT, Step.BACK])
def test_a_side_that_was_refused_is_the_step_to_repeat(
    someone: IdentityFields, today: date, step: Step
) -> None:
    whole = reading_of(someone)
    refused = SideReading(step, refusal=Refusal.PICTURE_BLURRED)
    spoilt = replace(whole, front=refused) if step is Step.FRONT else replace(whole, back=refused)
    verdict = judge(spoilt, SAME, someone, today=today)
    assert outcome_of(verdict) == ("declined", ("picture_blurred",), str(step))
    assert verdict.reasons[0].as_json() == {
        "step": str(step),
        "code": "picture_blurred",
        "outcome": "declined",
        "advice": "hold_still",
    }


def test_without_a_back(someone: IdentityFields, today: date) -> None:
    verdict = judge(replace(reading_of(someone), back=None), SAME, someone, today=today)
    assert outcome_of(verdict) == ("declined", ("back_missing",), "back")


def test_a_wrong_check_digit_asks_for_the_fields(someone: IdentityFields, today: date) -> None:
    wrong = replace(someone, number=with_wrong_check_digit(someone.number))
    verdict = judge(reading_of(wrong), SAME, wrong, today=today)
    assert outcome_of(verdict) == ("declined", ("number_check_digit",), "fields")
    assert verdict.reasons[0].field == "number"


def test_a_number_typed_over_a_read_one_is_for_a_person_to_look_at(
    someone: IdentityFields, today: date
) -> None:
    from lockserver.run.specimen.people import draw_person

    other = draw_person(8, today=today).fields
    edited = replace(someone, number=other.number, birth=other.birth, sex=other.sex)
    verdict = judge(reading_of(someone), SAME, edited, today=today)
    assert outcome_of(verdict) == ("review", ("number_edited",), None)


def test_a_number_typed_another_way_is_the_same_number(someone: IdentityFields, today: date) -> None:
    wide = "".join(chr(ord(char) + 0xFEE0) for char in someone.number.lower())
    verdict = judge(reading_of(someone), SAME, replace(someone, number=wide), today=today)
    assert verdict.outcome is Outcome.APPROVED


@pytest.mark.parametrize(("confidence", "outcome"), [(0.99, "review"), (0.6, "approved")])
def test_a_name_may_be_corrected_where_it_was_read_with_doubt(
    someone: IdentityFields, today: date, confidence: float, outcome: str
) -> None:
    misread = replace(someone, name=someone.name[:-1] + "䶮")
    verdict = judge(reading_of(misread, name=confidence), SAME, someone, today=today)
    assert verdict.outcome == outcome


def test_an_expired_card_cannot_be_made_good_by_typing(someone: IdentityFields, today: date) -> None:
    expired = replace(someone, valid_from="2005-01-01", valid_to="2015-01-01")
    asked = judge(reading_of(expired), SAME, expired, today=today)
    assert (asked.outcome, asked.repeat_step) == ("declined", "front")
    typed = judge(reading_of(expired), SAME, someone, today=today)
    assert (typed.outcome, typed.codes) == ("review", ("valid_to_edited",))


def test_a_field_that_could_not_be_read_may_be_typed_in(someone: IdentityFields, today: date) -> None:
    unread = replace(someone, ethnicity="", address="")
    assert judge(reading_of(unread), SAME, someone, today=today).outcome is Outcome.APPROVED
    missing = judge(reading_of(unread), SAME, unread, today=today)
    assert (missing.outcome, missing.repeat_step) == ("declined", "fields")


def test_the_gravest_reason_decides_and_the_first_step_is_repeated(
    someone: IdentityFields, today: date
) -> None:
    wrong = replace(someone, sex="女" if someone.sex == "男" else "男")
    verdict = judge(
        replace(reading_of(wrong), front=SideReading(Step.FRONT, refusal=Refusal.PICTURE_DARK)),
        Comparison("sface", 0.35, Likeness.DOUBTFUL),
        wrong,
        today=today,
    )
    assert verdict.outcome is Outcome.DECLINED
    assert verdict.repeat_step is Step.FRONT
    assert verdict.codes == ("picture_dark", "sex_differs_from_number", "face_doubtful")


def test_reasons_hold_nothing_of_a_person(someone: IdentityFields, today: date) -> None:
    wrong = replace(someone, number=with_wrong_check_digit(someone.number))
    verdict = judge(reading_of(someone), None, wrong, today=today)
    told = repr(verdict) + str([reason.as_json() for reason in verdict.reasons])
    for value in (someone.name, someone.number, wrong.number, someone.address):
        assert value not in told
