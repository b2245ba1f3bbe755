"""From readings to an answer that can be explained: approved, review or declined, and why.

Pure. Every reason names its step; a decline names the one step to repeat. Nothing is scored or summed:
the outcome is that of the gravest single reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from lockserver.domain.identity import (
    FaultCode,
    IdentityFields,
    check_fields,
    normalise_name,
    normalise_number,
)
from mobile_api.verify.codes import ADVICE, Advice, Step
from mobile_api.verify.face import THRESHOLDS, Comparison, Likeness
from mobile_api.verify.reading import CardReading, Source

NAME_SURE: Final = 0.9  # a name read with less certainty may be corrected without a second look


class Outcome(StrEnum):
    """What becomes of a case."""

    APPROVED = "approved"
    REVIEW = "review"
    DECLINED = "declined"


class Finding(StrEnum):
    """Reasons that arise only where readings meet; the others are `Refusal` and `FaultCode`."""

    BACK_MISSING = "back_missing"
    SELFIE_MISSING = "selfie_missing"
    NUMBER_EDITED = "number_edited"
    NAME_EDITED = "name_edited"
    VALID_TO_EDITED = "valid_to_edited"
    FACE_DIFFERS = "face_differs"
    FACE_DOUBTFUL = "face_doubtful"


@dataclass(frozen=True)
class Reason:
    """One reason: the step it belongs to, its stable code, the field where there is one."""

    step: Step
    code: str
    outcome: Outcome
    field: str | None = None
    advice: Advice | None = None

    def as_json(self) -> dict[str, str]:
        """For storage and pages; holds no personal value."""
        parts = {"step": self.step, "code": self.code, "outcome": self.outcome}
        optional = {"field": self.field, "advice": self.advice}
        return {key: str(value) for key, value in {**parts, **optional}.items() if value}


@dataclass(frozen=True)
class Verdict:
    """The answer. `scores` are the measured numbers and the thresholds they were held against."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    repeat_step: Step | None = None
    scores: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def codes(self) -> tuple[str, ...]:
        """The reasons' codes, in their order."""
        return tuple(reason.code for reason in self.reasons)


def judge(
    reading: CardReading,
    comparison: Comparison | None,
    confirmed: IdentityFields,
    *,
    today: date,
) -> Verdict:
    """Judge one case; `confirmed` is what the holder declared, `today` the civil date in Shanghai."""
    reasons = (
        *_of_card(reading),
        *_of_fields(reading, confirmed, today),
        *_of_face(comparison),
    )
    declined = [reason for reason in reasons if reason.outcome is Outcome.DECLINED]
    outcome = Outcome.APPROVED
    if reasons:
        outcome = Outcome.DECLINED if declined else Outcome.REVIEW
    return Verdict(
        outcome,
        reasons,
        declined[0].step if declined else None,
        _scores(reading, comparison),
    )


def _of_card(reading: CardReading) -> list[Reason]:
    reasons = [
        Reason(side.step, side.refusal, Outcome.DECLINED, advice=ADVICE[side.refusal])
        for side in reading.refused
        if side.refusal
    ]
    if reading.back is None:
        reasons.append(Reason(Step.BACK, Finding.BACK_MISSING, Outcome.DECLINED))
    return reasons


def _of_fields(reading: CardReading, confirmed: IdentityFields, today: date) -> list[Reason]:
    reasons = [
        # An expired card is not cured by typing: another card is.
        Reason(
            Step.FRONT if fault.code is FaultCode.VALID_TO_EXPIRED else Step.FIELDS,
            fault.code,
            Outcome.DECLINED,
            fault.field,
        )
        for fault in check_fields(confirmed, today=today)
    ]
    read = reading.as_identity()
    edits = (
        # The owner confirms the number, since a misread one can pass every check digit; but a number
        # typed over a legible one may be someone else's. So with the name, and with a date of expiry.
        (
            "number",
            Finding.NUMBER_EDITED,
            normalise_number(read.number) != normalise_number(confirmed.number),
        ),
        (
            "name",
            Finding.NAME_EDITED,
            normalise_name(read.name) != normalise_name(confirmed.name)
            and _confidence(reading, "name") >= NAME_SURE,
        ),
        ("valid_to", Finding.VALID_TO_EDITED, read.valid_to != confirmed.valid_to),
    )
    for name, code, edited in edits:
        if edited and getattr(read, name):
            reasons.append(Reason(Step.FIELDS, code, Outcome.REVIEW, name))
    return reasons


def _of_face(comparison: Comparison | None) -> list[Reason]:
    if comparison is None:
        return [Reason(Step.SELFIE, Finding.SELFIE_MISSING, Outcome.DECLINED)]
    if comparison.refusal:
        step = Step.SELFIE if comparison.of_selfie else Step.FRONT
        refusal = comparison.refusal
        return [Reason(step, refusal, Outcome.DECLINED, advice=ADVICE[refusal])]
    if comparison.likeness is Likeness.OTHER:
        return [Reason(Step.SELFIE, Finding.FACE_DIFFERS, Outcome.DECLINED)]
    if comparison.likeness is Likeness.DOUBTFUL:
        return [Reason(Step.SELFIE, Finding.FACE_DOUBTFUL, Outcome.REVIEW)]
    return []


def _confidence(reading: CardReading, name: str) -> float:
    found = reading.fields.get(name)
    return found.confidence if found and found.source is Source.CARD else 0.0


def _scores(reading: CardReading, comparison: Comparison | None) -> Mapping[str, float]:
    scores = {f"read_{name}": round(part.confidence, 3) for name, part in reading.fields.items()}
    for side in (reading.front, reading.back):
        if side and side.quality:
            scores[f"{side.step}_sharpness"] = round(side.quality.sharpness, 1)
            scores[f"{side.step}_brightness"] = round(side.quality.brightness, 1)
            scores[f"{side.step}_glare"] = round(side.quality.glare, 3)
    if comparison and comparison.score is not None:
        held_against = THRESHOLDS[comparison.engine]
        scores["face"] = round(comparison.score, 4)
        scores["face_accept"], scores["face_review"] = held_against.accept, held_against.review
    return MappingProxyType(scores)
