"""Whole cards through the real recogniser: read, turned, spoilt, swapped."""

import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from lockserver.domain.identity import IdentityFields
from lockserver.run.specimen.card import draw_back, draw_front
from lockserver.run.specimen.people import with_wrong_check_digit
from lockserver.run.specimen.photo import HARSH, blurred, jpeg, photograph, turned
from lockserver.run.specimen.portraits import astronaut, card_portrait, wrong_selfie
from mobile_api.verify.codes import Advice, Refusal
from mobile_api.verify.document import CardReader
from mobile_api.verify.reading import CardReading
from mobile_api.verify.verdict import judge


def test_a_photographed_card_is_read_all_right(read_mild: CardReading, someone: IdentityFields) -> None:
    assert read_mild.as_identity() == someone
    assert read_mild.refused == ()
    assert read_mild.portrait is not None
    assert all(0.5 < part.confidence <= 1 for part in read_mild.fields.values())


def test_a_card_photographed_badly_is_read_too(card_reader: CardReader, someone: IdentityFields) -> None:
    reading = card_reader.read_card(photograph(draw_front(someone, card_portrait()), HARSH, 3))
    seen = reading.as_identity()
    assert (seen.name, seen.number, seen.address) == (
        someone.name,
        someone.number,
        someone.address,
    )


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_card_held_any_way_round_is_read(
    card_reader: CardReader, someone: IdentityFields, turns: int
) -> None:
    picture = jpeg(turned(draw_front(someone, card_portrait()), turns))
    reading = card_reader.read_card(picture)
    assert reading.as_identity().number == someone.number
    assert reading.as_identity().name == someone.name
    assert reading.front.quarter_turns == 4 - turns
    assert reading.portrait is not None


def test_a_wrong_check_digit_is_read_as_printed_and_found_by_the_judge(
    card_reader: CardReader, someone: IdentityFields, today: date
) -> None:
    wrong = replace(someone, number=with_wrong_check_digit(someone.number))
    reading = card_reader.read_card(jpeg(draw_front(wrong, card_portrait())))
    assert reading.as_identity().number == wrong.number
    verdict = judge(reading, None, reading.as_identity(), today=today)
    assert "number_check_digit" in verdict.codes


@pytest.mark.parametrize("sigma", [9.0, 14.0])
def test_a_blurred_card_is_refused_as_blurred(
    card_reader: CardReader, someone: IdentityFields, sigma: float
) -> None:
    spoilt = jpeg(blurred(draw_front(someone, card_portrait()), sigma))
    side = card_reader.read_card(spoilt).front
    assert (side.refusal, side.advice) == (Refusal.PICTURE_BLURRED, Advice.HOLD_STILL)


def test_a_card_in_the_dark_is_refused_as_dark(card_reader: CardReader, someone: IdentityFields) -> None:
    dark = (draw_front(someone, card_portrait()) * 0.02).astype(np.uint8)
    side = card_reader.read_card(jpeg(dark, 60)).front
    assert (side.refusal, side.advice) == (Refusal.PICTURE_DARK, Advice.MORE_LIGHT)


def test_a_burnt_out_number_is_refused_as_glare(card_reader: CardReader, someone: IdentityFields) -> None:
    burnt = draw_front(someone, card_portrait())
    burnt[480:600, 200:] = 255
    side = card_reader.read_card(jpeg(burnt)).front
    assert side.refusal is Refusal.PICTURE_GLARE
    assert "number" in side.unread


def test_the_other_side_is_called_that(card_reader: CardReader, someone: IdentityFields) -> None:
    front = jpeg(draw_front(someone, card_portrait()))
    back = jpeg(draw_back(someone))
    swapped = card_reader.read_card(back, front)
    assert swapped.back is not None
    assert swapped.front.refusal is swapped.back.refusal is Refusal.CARD_OTHER_SIDE
    assert swapped.front.advice is Advice.TURN_THE_CARD_OVER


def test_a_picture_without_a_card_is_refused(card_reader: CardReader) -> None:
    assert card_reader.read_card(jpeg(astronaut())).front.refusal is Refusal.CARD_NOT_FOUND


def test_a_card_without_a_face_is_refused(card_reader: CardReader, someone: IdentityFields) -> None:
    blank = np.full((370, 290, 3), 220, np.uint8)
    reading = card_reader.read_card(jpeg(draw_front(someone, blank)))
    assert reading.front.refusal is Refusal.PORTRAIT_NOT_FOUND
    assert reading.portrait is None


def test_a_card_with_two_faces_has_no_portrait(card_reader: CardReader, someone: IdentityFields) -> None:
    two = np.hstack([card_portrait(), wrong_selfie(1)[0:656, 64:576].copy()[::2, ::2]])
    reading = card_reader.read_card(jpeg(draw_front(someone, two.astype(np.uint8))))
    assert reading.portrait is None


@pytest.mark.parametrize("raw", [b"", b"%PDF-1.4 not a photograph" * 30, b"\xff\xd8\xff\xe0" + b"\0" * 99])
def test_bad_bytes_are_a_refusal_of_their_side(card_reader: CardReader, raw: bytes) -> None:
    reading = card_reader.read_card(raw, raw)
    assert [side.step.value for side in reading.refused] == ["front", "back"]
    assert all(str(side.refusal).startswith("image_") for side in reading.refused)


def test_a_reading_prints_nothing_of_a_person(read_mild: CardReading, someone: IdentityFields) -> None:
    for value in (someone.name, someone.number, someone.address, someone.birth):
        assert value not in repr(read_mild)
    assert "PNG" not in repr(read_mild)


def _files_left_by(work: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(folder)
    assert callable(work)
    work()
    return [path for path in folder.rglob("*") if path.is_file()]


def test_L31_reading_a_card_leaves_no_file(
    card_reader: CardReader,
    someone: IdentityFields,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = jpeg(draw_front(someone, card_portrait()))
    assert _files_left_by(lambda: card_reader.read_card(raw), tmp_path, monkeypatch) == []


def test_L31_mutant_a_reader_that_spools_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spooling() -> None:
        with tempfile.NamedTemporaryFile(delete=False) as spool:
            spool.write(b"a picture of somebody")

    assert _files_left_by(spooling, tmp_path, monkeypatch) != []
