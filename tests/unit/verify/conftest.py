"""One set of models for the whole room: loading them takes longer than using them."""

from datetime import date

import cv2
import pytest

from lockserver.domain.identity import IdentityFields
from lockserver.run.specimen.card import draw_back, draw_front
from lockserver.run.specimen.people import draw_person
from lockserver.run.specimen.photo import MILD, photograph
from lockserver.run.specimen.portraits import card_portrait
from mobile_api.verify.document import CardReader
from mobile_api.verify.ocr import RapidReader
from mobile_api.verify.reading import CardReading
from mobile_api.verify.sface import SFaceEngine

TODAY = date(2025, 11, 1)


@pytest.fixture(scope="session")
def face_engine() -> SFaceEngine:
    return SFaceEngine()


@pytest.fixture(scope="session")
def card_reader(face_engine: SFaceEngine) -> CardReader:
    cv2.setNumThreads(1)
    return CardReader(RapidReader(threads=1), face_engine)


@pytest.fixture(scope="session")
def someone() -> IdentityFields:
    return draw_person(7, today=TODAY).fields


@pytest.fixture(scope="session")
def read_mild(card_reader: CardReader, someone: IdentityFields) -> CardReading:
    """A real reading of a mildly photographed card, for every test that only looks at it."""
    return card_reader.read_card(
        photograph(draw_front(someone, card_portrait()), MILD, 3),
        photograph(draw_back(someone), MILD, 4),
    )


@pytest.fixture(scope="session")
def today() -> date:
    return TODAY
