"""The zone's reader against ICAO's own specimens (Utopia issues no passports), and what an OCR gets wrong."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_api.verify.mrz import MrzError, check_digit, read_zone

TODAY = date(2010, 6, 1)
TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6"


@pytest.mark.parametrize(
    ("text", "form", "number"),
    [(TD3, "TD3", "L898902C3"), (TD1, "TD1", "D23145890"), (TD2, "TD2", "D23145890")],
)
def test_the_specimens_of_doc_9303(text: str, form: str, number: str) -> None:
    zone = read_zone(text, TODAY)
    assert (zone.format, zone.number, zone.faults) == (form, number, ())
    assert (zone.surname, zone.given) == ("ERIKSSON", "ANNA MARIA")
    assert (zone.birth, zone.sex, zone.expires) == (date(1974, 8, 12), "F", date(2012, 4, 15))
    assert (zone.issuer, zone.nationality) == ("UTO", "UTO")


def test_check_digits_as_doc_9303_works_them_out() -> None:
    assert check_digit("520727") == 3  # part 3, 4.9, example 1
    assert check_digit("AB2134<<<") == 5  # example 2


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("L898902C3", "L898902C4", "number"),
        ("7408122", "7408132", "birth"),
        ("1204159", "1204169", "expires"),
        ("B<<<<<10", "B<<<<<11", "composite"),
        ("ZE184226B", "ZE184226C", "optional"),
    ],
)
def test_the_field_at_fault_is_named(old: str, new: str, fault: str) -> None:
    assert fault in read_zone(TD3.replace(old, new), TODAY).faults


def test_letters_that_look_like_digits_are_read_as_digits_where_only_digits_stand() -> None:
    zone = read_zone(TD3.replace("7408122F1204159", "74O8I22F12O4I59"), TODAY)
    assert zone.birth == date(1974, 8, 12)
    assert zone.faults == ()


def test_a_number_of_more_than_nine_characters_goes_on_in_the_optional_data() -> None:
    number = "D23145890ABCD"
    line = f"I<UTO{number[:9]}<{number[9:]}{check_digit(number)}<<<<<<<<<<"
    data = "7408122F1204159UTO<<<<<<<<<<<"
    whole = check_digit(line[5:30] + data[0:7] + data[8:15] + data[18:29])
    zone = read_zone(f"{line}\n{data}{whole}\nERIKSSON<<ANNA<MARIA<<<<<<<<<<", TODAY)
    assert (zone.number, zone.faults) == (number, ())


def test_a_name_without_given_names_and_one_of_many_words() -> None:
    names = "P<UTOBIN<ABDUL<RAHMAN<<<<<<<<<<<<<<<<<<<<<<<"
    zone = read_zone(names + "\n" + TD3.splitlines()[1], TODAY)
    assert (zone.surname, zone.given) == ("BIN ABDUL RAHMAN", "")


@pytest.mark.parametrize(
    ("said", "born"), [("090601", date(2009, 6, 1)), ("110601", date(1911, 6, 1)), ("100601", TODAY)]
)
def test_nobody_is_born_in_the_future(said: str, born: date) -> None:
    line = TD3.splitlines()[1]
    text = TD3.replace(line, line[:13] + said + str(check_digit(said)) + line[20:])
    assert read_zone(text, TODAY).birth == born


def test_a_day_that_is_none_is_a_fault_even_with_its_check_digit() -> None:
    line = TD3.splitlines()[1]
    text = TD3.replace(line, line[:13] + "740231" + str(check_digit("740231")) + line[20:])
    zone = read_zone(text, TODAY)
    assert zone.birth is None
    assert "birth" in zone.faults


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "mrz_shape"),
        ("P<UTO", "mrz_shape"),
        (TD3[:-1], "mrz_shape"),
        (TD3.replace("<<ANNA", "<<ÄNNA"), "mrz_characters"),
    ],
)
def test_what_is_no_zone(text: str, code: str) -> None:
    with pytest.raises(MrzError) as caught:
        read_zone(text, TODAY)
    assert caught.value.code == code


@given(text=st.text(alphabet="ABCXYZ0189< \nß", max_size=140))
def test_any_text_is_a_zone_or_a_named_error(text: str) -> None:
    with contextlib.suppress(MrzError):
        read_zone(text, TODAY)


@given(at=st.integers(0, 43), to=st.sampled_from("ACEFHJKLMNPRTUVWXY3479"))
def test_a_single_wrong_character_below_never_passes_unseen(at: int, to: str) -> None:
    """Nationality and sex have no check digit of their own; every other place has two."""
    line = TD3.splitlines()[1]
    if (
        at in {10, 11, 12, 20, 42}
        or line[at] == to
        or abs(int(line[at], 36) if line[at] != "<" else 0) % 10 == int(to, 36) % 10
    ):
        return
    spoiled = line[:at] + to + line[at + 1 :]
    assert read_zone(TD3.replace(line, spoiled), TODAY).faults
