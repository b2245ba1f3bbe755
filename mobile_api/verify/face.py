"""One face against one portrait: what an engine is, what it answers, where the thresholds stand.

1:1 only. No call takes a gallery, and no template leaves a call: searching faces is not a setting here
but absent.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from mobile_api.verify.codes import Refusal
from mobile_api.verify.pixels import Image


class Crowd(StrEnum):
    """What to do with a picture of several people."""

    REFUSE = "refuse"
    CENTRAL = "central"  # for measuring on news photographs, where the person meant is in the middle


class Likeness(StrEnum):
    """What a score means."""

    SAME = "same"
    DOUBTFUL = "doubtful"
    OTHER = "other"


@dataclass(frozen=True)
class Thresholds:
    """Scores at or above `accept` are the same person, below `review` another; between is doubt."""

    accept: float
    review: float

    def judge(self, score: float) -> Likeness:
        """The likeness of one score."""
        if score >= self.accept:
            return Likeness.SAME
        return Likeness.DOUBTFUL if score >= self.review else Likeness.OTHER


# By engine name. How they were chosen: docs/decisions/0001-face-threshold.md. SFace scores are cosines;
# those of face_recognition are 1 - distance, so that more is more alike everywhere.
THRESHOLDS: Final = MappingProxyType(
    {
        "sface": Thresholds(accept=0.40, review=0.30),
        "face_recognition": Thresholds(accept=0.50, review=0.42),
    }
)


@dataclass(frozen=True)
class Comparison:
    """The answer for one selfie against one portrait.

    `score` rises with likeness, in the engine's own measure (SFace: cosine, -1 to 1). Where a picture
    could not be used, `refusal` says why, `of_selfie` which one, and there is no score.
    """

    engine: str
    score: float | None = None
    likeness: Likeness | None = None
    refusal: Refusal | None = None
    of_selfie: bool = True


class FaceEngine(Protocol):
    """A face engine. Pictures are BGR arrays; everything is computed and forgotten in the call."""

    name: str
    thresholds: Thresholds

    def compare(self, portrait: Image, selfie: Image) -> Comparison:
        """Find the one face in each and compare the two."""
        ...
