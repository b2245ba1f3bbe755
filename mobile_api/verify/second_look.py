"""A closer look at a picture that was read with doubt, and the better of two readings.

Grain and lossy compression are what recognition trips over; the card alone, set level, softened by one
pixel and enlarged to the line height the recogniser was trained on, mends most of it. Measured on
specimens photographed far beyond the harsh set of `bench.document`.
"""

from typing import Final

import cv2
import numpy as np

from lockserver.domain.identity import BACK_FIELDS, FRONT_FIELDS
from mobile_api.verify.card import is_sound
from mobile_api.verify.codes import Step
from mobile_api.verify.ocr import Word
from mobile_api.verify.pixels import Image
from mobile_api.verify.reading import FieldReading, Reading, Source
from mobile_api.verify.rows import slope_field

_LINE_HEIGHT: Final = 36.0  # pixels; best of 36, 48 and 60 where it matters
_SOFTNESS: Final = 1.0
_MARGIN: Final = 0.08
_ENLARGED_MAX: Final = 2.5
_SURE: Final = 0.93
_SHORTER: Final = 0.9  # a reading that lost a tenth of the other's text lost a line


def doubtful(found: Reading, step: Step) -> bool:
    """Whether a side deserves a second look."""
    names = FRONT_FIELDS if step is Step.FRONT else BACK_FIELDS
    if any(name not in found or found[name].confidence < _SURE for name in names):
        return True
    if step is Step.BACK:
        return False
    return not is_sound(found["number"].text) or not _agrees(found, found["number"].text)


def closer(picture: Image, words: list[Word]) -> Image:
    """The part of the picture that holds the words, level, softened, enlarged."""
    corners = np.vstack([word.quad for word in words])
    centre = corners.mean(axis=0)
    tilt = np.degrees(np.arctan(slope_field(words)(centre)))
    height = float(np.median([word.height for word in words]))
    scale = min(_LINE_HEIGHT / max(height, 1.0), _ENLARGED_MAX)
    level = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), tilt, scale)
    placed = corners @ level[:, :2].T + level[:, 2]
    low, high = placed.min(axis=0), placed.max(axis=0)
    margin = _MARGIN * (high - low).max()
    level[:, 2] += margin - low
    width, rows = (high - low + 2 * margin).astype(int)
    soft = cv2.GaussianBlur(picture, (0, 0), _SOFTNESS)
    seen = cv2.warpAffine(
        soft,
        level,
        (int(width), int(rows)),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(seen, np.uint8)


def better_of(first: Reading, second: Reading) -> Reading:
    """Field by field the reading that can be relied on more."""
    merged: Reading = {}
    numbers = [side["number"] for side in (first, second) if "number" in side]
    if numbers:
        merged["number"] = max(numbers, key=lambda part: (is_sound(part.text), part.confidence))
    for name in {*first, *second} - {"number"}:
        parts = [side[name] for side in (first, second) if name in side]
        longest = max(len(part.text) for part in parts)
        merged[name] = max(parts, key=lambda part: _weight(part, longest))
    number = merged.get("number")
    if number and is_sound(number.text):
        # A soundly read number decides between two readings of birth or sex; it overrules neither.
        for name, proved in _proved(number.text).items():
            agreeing = [side[name] for side in (first, second) if name in side and side[name].text == proved]
            if agreeing:
                merged[name] = max(agreeing, key=lambda part: part.confidence)
    return merged


def _weight(part: FieldReading, longest: int) -> tuple[bool, bool, float]:
    whole = len(part.text) >= _SHORTER * longest
    return (part.source is Source.CARD, whole, part.confidence)


def _agrees(found: Reading, number: str) -> bool:
    return all(found[name].text == proved for name, proved in _proved(number).items())


def _proved(number: str) -> dict[str, str]:
    return {
        "birth": f"{number[6:10]}-{number[10:12]}-{number[12:14]}",
        "sex": "男" if int(number[16]) % 2 else "女",
    }
