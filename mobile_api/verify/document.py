"""Reads one resident identity card: two pictures in, fields with confidence and a portrait out."""

from typing import Final, Protocol

import numpy as np

from lockserver.domain.identity import BACK_FIELDS, FRONT_FIELDS
from mobile_api.verify.card import (
    looks_like_back,
    looks_like_front,
    read_back,
    read_front,
    upper_and_lower,
)
from mobile_api.verify.codes import PictureRefusedError, Refusal, Step
from mobile_api.verify.intake import open_picture
from mobile_api.verify.ocr import TextReader, Word
from mobile_api.verify.pixels import Image
from mobile_api.verify.quality import measure
from mobile_api.verify.reading import CardReading, FieldReading, Reading, SideReading
from mobile_api.verify.second_look import better_of, closer, doubtful

_WORDS_MIN: Final = 3  # fewer and there is no card in the picture, whichever way it is turned
_MARKS_MIN: Final = 2
# What must come from the picture; anything else that was not read, its owner types in.
_ESSENTIAL: Final = {Step.FRONT: {"name", "number"}, Step.BACK: {"valid_from", "valid_to"}}


class PortraitFinder(Protocol):
    """Cuts the one face of a card out of its upright picture."""

    def portrait(self, upright: Image) -> bytes | None:
        """PNG of head and shoulders, or None if there is not exactly one face that can be used."""
        ...


class CardReader:
    """Reads cards with one OCR engine and one face finder; both loaded once."""

    def __init__(self, words: TextReader, faces: PortraitFinder) -> None:
        self._words = words
        self._faces = faces

    def read_card(self, front: bytes, back: bytes | None = None) -> CardReading:
        """Read both sides. A bad picture does not raise: the side's `refusal` says what is wrong."""
        front_side, upright = self._read_side(front, Step.FRONT)
        portrait = None
        if upright is not None and front_side.refusal is None:
            portrait = self._faces.portrait(upright)
            if portrait is None:
                front_side = SideReading(
                    Step.FRONT,
                    front_side.fields,
                    Refusal.PORTRAIT_NOT_FOUND,
                    quarter_turns=front_side.quarter_turns,
                    quality=front_side.quality,
                )
        back_side = self._read_side(back, Step.BACK)[0] if back is not None else None
        return CardReading(front_side, back_side, portrait)

    def _read_side(self, raw: bytes, step: Step) -> tuple[SideReading, Image | None]:
        try:
            picture = open_picture(raw)
        except PictureRefusedError as refused:
            return SideReading(step, refusal=refused.code), None
        quality = measure(picture)
        turns, upright, words = self._upright(picture)
        front_marks, back_marks = looks_like_front(words), looks_like_back(words)
        wanted, other = (front_marks, back_marks) if step is Step.FRONT else (back_marks, front_marks)
        if wanted < _MARKS_MIN or wanted < other:
            code = Refusal.CARD_OTHER_SIDE if other >= _MARKS_MIN else None
            code = code or quality.complaint() or Refusal.CARD_NOT_FOUND
            return SideReading(step, refusal=code, quality=quality), None
        found = self._read_words(upright, words, step)
        names = FRONT_FIELDS if step is Step.FRONT else BACK_FIELDS
        unread = tuple(name for name in names if not found.get(name, _NOTHING).text)
        code = None
        if _ESSENTIAL[step] & set(unread):
            code = quality.complaint() or Refusal.CARD_FIELD_UNREAD
        return SideReading(step, found, code, unread, turns, quality), upright

    def _read_words(self, upright: Image, words: list[Word], step: Step) -> Reading:
        """Parse; where that leaves a doubt, look again from closer and keep the better of the two."""
        parse = read_front if step is Step.FRONT else read_back
        found = parse(words)
        if not doubtful(found, step):
            return found
        again = self._words.read(closer(upright, words))
        return better_of(found, parse(again))

    def _upright(self, picture: Image) -> tuple[int, Image, list[Word]]:
        """The picture turned so that its text stands, how often it was turned, and its words."""
        words = self._words.read(picture)
        turns = quarter_turns(words)
        if turns == 0 or len(words) < _WORDS_MIN:
            return 0, picture, words
        upright = np.ascontiguousarray(np.rot90(picture, -turns))
        return turns, upright, self._words.read(upright)


_NOTHING = FieldReading("", 0.0)


def quarter_turns(words: list[Word]) -> int:
    """Clockwise right angles that set the card upright, 0 to 3.

    The long side of the words says whether the text runs across or down; then labels that belong
    above stand above, in one of the two ways left. Lines are recognised whichever way they lie, so
    their texts can be trusted before the picture is turned.
    """
    long_words = [word for word in words if len(word.text) >= 2]  # noqa: PLR2004 - a square says nothing
    down = sum(_reach(word, 1) - _reach(word, 0) for word in long_words)
    axis = 0 if down > 0 else 1
    votes = 0.0
    for above, below in upper_and_lower(words):
        votes += float(np.sign(below.centre[axis] - above.centre[axis]))
    if down <= 0:
        return 0 if votes >= 0 else 2
    # The text runs down or up the picture. If what belongs below lies to the right of what belongs
    # above, the top of the card points left, and one turn clockwise sets it upright.
    return 1 if votes > 0 else 3


def _reach(word: Word, axis: int) -> float:
    return float(np.ptp(word.quad[:, axis]))
