"""Specimens: consistent, replayable, fresh, and labelled as what they are."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockserver.domain.identity import IdentityFields, IdNumber, check_fields, check_number
from lockserver.run.specimen.card import draw_back, draw_front
from lockserver.run.specimen.dataset import photographed_card, photographed_cards, write_folder
from lockserver.run.specimen.people import draw_person, with_wrong_check_digit
from lockserver.run.specimen.portraits import card_portrait, selfie
from mobile_api.verify.ocr import RapidReader


@given(st.integers(0, 2**31), st.dates(date(2025, 1, 1), date(2030, 1, 1)))
@settings(max_examples=300, deadline=None)
def test_every_made_up_person_is_consistent_and_grown_up(seed: int, today: date) -> None:
    fields = draw_person(seed, today=today).fields
    assert check_fields(fields, today=today) == []
    number = check_number(fields.number, today=today)
    assert isinstance(number, IdNumber)
    assert number.age_on(today) >= 18


def test_people_are_fresh_by_seed_and_replayable(today: date) -> None:
    people = {draw_person(seed, today=today).fields.number for seed in range(200)}
    assert len(people) == 200
    assert draw_person(5, today=today) == draw_person(5, today=today)


@given(st.integers(0, 2**31))
def test_the_wrong_check_digit_is_wrong(seed: int) -> None:
    today = date(2025, 11, 1)
    number = draw_person(seed, today=today).fields.number
    assert not isinstance(check_number(with_wrong_check_digit(number), today=today), IdNumber)


def test_both_faces_say_specimen(someone: IdentityFields) -> None:
    reader = RapidReader()
    for drawing in (draw_front(someone, card_portrait()), draw_back(someone)):
        words = " ".join(word.text for word in reader.read(drawing))
        assert "SPECIMEN" in words
        assert "样本" in words


def test_a_selfie_is_another_picture_at_every_seed() -> None:
    first, second = selfie(1), selfie(2)
    assert first.shape == second.shape == (800, 640, 3)
    assert np.abs(first.astype(int) - second.astype(int)).mean() > 2
    assert (selfie(1) == first).all()


@pytest.mark.parametrize("roughness", ["mild", "harsh"])
def test_a_folder_of_cards_in_the_form_of_the_bench(tmp_path: Path, today: date, roughness: str) -> None:
    how = "mild" if roughness == "mild" else "harsh"
    assert write_folder(photographed_cards(2, how, today=today), tmp_path) == 2  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text("utf-8").splitlines()]
    assert [set(line) for line in lines] == [
        {"front", "back", "name", "sex", "ethnicity", "birth", "address", "number"}
        | {"authority", "valid_from", "valid_to"}
    ] * 2
    for line in lines:
        assert (tmp_path / line["front"]).read_bytes()[:2] == b"\xff\xd8"
        assert (tmp_path / line["back"]).is_file()


def test_same_arguments_same_bytes(today: date) -> None:
    assert photographed_card(3, "harsh", today=today) == photographed_card(3, "harsh", today=today)
