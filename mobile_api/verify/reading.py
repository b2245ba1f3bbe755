"""What was read from a card: plain values, light to import, free of any recogniser."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lockserver.domain.identity import FIELD_NAMES, IdentityFields
from mobile_api.verify.codes import ADVICE, Advice, Refusal, Step

# Chosen on specimens: readable cards measure 12 and up, those blurred beyond reading below 6.5.
SHARPNESS_MIN: Final = 9.0
BRIGHTNESS_MIN: Final = 45.0
GLARE_SHARE_MAX: Final = 0.06


class Source(StrEnum):
    """Where a field's text came from."""

    CARD = "card"
    NUMBER = "number"


@dataclass(frozen=True)
class FieldReading:
    """One recognised field. `confidence` 0 to 1: the recogniser's own, of its worst word."""

    text: str = field(repr=False)
    confidence: float
    source: Source = Source.CARD


Reading = dict[str, FieldReading]


@dataclass(frozen=True)
class Quality:
    """Three measures of one picture.

    `sharpness`: edge strength of the sharpest tiles, grey levels; `brightness`: mean grey level
    0-255; `glare`: share of burnt-out pixels 0-1.
    """

    sharpness: float
    brightness: float
    glare: float

    def complaint(self) -> Refusal | None:
        """The likeliest reason why a picture could not be read; None if it looks sound."""
        if self.brightness < BRIGHTNESS_MIN:
            return Refusal.PICTURE_DARK
        if self.sharpness < SHARPNESS_MIN:
            return Refusal.PICTURE_BLURRED
        if self.glare > GLARE_SHARE_MAX:
            return Refusal.PICTURE_GLARE
        return None


@dataclass(frozen=True)
class SideReading:
    """One side of a card. `refusal` is set when this side must be photographed again.

    `unread` fields are for the holder to type in; `quarter_turns` says how the picture lay.
    """

    step: Step
    fields: Reading = field(default_factory=dict)
    refusal: Refusal | None = None
    unread: tuple[str, ...] = ()
    quarter_turns: int = 0
    quality: Quality | None = None

    @property
    def advice(self) -> Advice | None:
        """What to do about the refusal."""
        return ADVICE[self.refusal] if self.refusal else None


@dataclass(frozen=True)
class CardReading:
    """What both sides said. `portrait` is PNG bytes and is meant for one comparison."""

    front: SideReading
    back: SideReading | None
    portrait: bytes | None = field(default=None, repr=False)

    @property
    def fields(self) -> Reading:
        """All recognised fields by name."""
        return {**self.front.fields, **(self.back.fields if self.back else {})}

    @property
    def refused(self) -> tuple[SideReading, ...]:
        """The sides to photograph again, front first."""
        sides = (self.front, self.back) if self.back else (self.front,)
        return tuple(side for side in sides if side.refusal)

    def as_identity(self) -> IdentityFields:
        """The recognised texts; an unread field is the empty string."""
        texts = {name: reading.text for name, reading in self.fields.items()}
        return IdentityFields(**{name: texts.get(name, "") for name in FIELD_NAMES})
