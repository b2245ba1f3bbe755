"""What an identity number proves, and how a card's fields contradict it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockserver.domain.identity import (
    Fault,
    FaultCode,
    IdentityFields,
    IdNumber,
    RegionStatus,
    Sex,
    check_character,
    check_fields,
    check_name,
    check_number,
    mask_number,
    normalise_name,
    normalise_number,
    parse_date,
)

TODAY = date(2025, 11, 1)
# The example of GB 11643-1999 itself, and the specimens published with 港澳台居民居住证.
OF_THE_STANDARD = "11010519491231002X"
HONG_KONG, TAIWAN = "810000199408230021", "830000199201300022"

CARD = IdentityFields(
    name="张三丰",
    sex="女",
    ethnicity="汉",
    birth="1949-12-31",
    address="北京市朝阳区某街1号",
    number=OF_THE_STANDARD,
    authority="北京市公安局朝阳分局",
    valid_from="2010-01-01",
    valid_to="长期",
)


def number_of(region: str, birth: str, order: str) -> str:
    return region + birth + order + check_character(region + birth + order)


def code_of(number: str) -> FaultCode | None:
    found = check_number(number, today=TODAY)
    return found.code if isinstance(found, Fault) else None


def test_the_example_of_the_standard_is_read_as_printed_there() -> None:
    found = check_number(OF_THE_STANDARD, today=TODAY)
    assert isinstance(found, IdNumber)
    assert (found.birth, found.sex) == (date(1949, 12, 31), Sex.FEMALE)
    assert (found.region, found.region_status) == ("110105", RegionStatus.CURRENT)
    assert found.territory is None


@pytest.mark.parametrize(("number", "territory"), [(HONG_KONG, "hong_kong"), (TAIWAN, "taiwan")])
def test_published_specimens_of_residence_permits_pass(number: str, territory: str) -> None:
    found = check_number(number, today=TODAY)
    assert isinstance(found, IdNumber)
    assert found.region_status is RegionStatus.TERRITORY
    assert found.territory == territory


@pytest.mark.parametrize(
    "typed",
    [
        "11010519491231002x",
        "１１０１０５１９４９１２３１００２Ｘ",
        "１１０１０５ 19491231 002ｘ",
        " 110105-19491231-002X ",
    ],
)
def test_full_width_lower_case_and_spaces_are_the_same_number(typed: str) -> None:
    assert normalise_number(typed) == OF_THE_STANDARD
    assert isinstance(check_number(typed, today=TODAY), IdNumber)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("", FaultCode.NUMBER_MISSING),
        ("　 ", FaultCode.NUMBER_MISSING),
        ("11010519491231002", FaultCode.NUMBER_LENGTH),
        ("110105491231002", FaultCode.NUMBER_LENGTH),
        ("11010519491231002XX", FaultCode.NUMBER_CHARACTERS),
        ("1101051949123100２Ａ", FaultCode.NUMBER_CHARACTERS),
        ("１10105194912310٠٢X", FaultCode.NUMBER_CHARACTERS),
        ("110105194912310021", FaultCode.NUMBER_CHECK_DIGIT),
        (number_of("990105", "19491231", "002"), FaultCode.NUMBER_REGION),
        (number_of("810001", "19940823", "002"), FaultCode.NUMBER_REGION),
        (number_of("110105", "19490229", "002"), FaultCode.NUMBER_BIRTH),
        (number_of("110105", "19491301", "002"), FaultCode.NUMBER_BIRTH),
        (number_of("110105", "00010101", "002"), FaultCode.NUMBER_BIRTH),
        (number_of("110105", "20251102", "002"), FaultCode.NUMBER_BIRTH_FUTURE),
    ],
)
def test_each_bad_number_has_its_own_code(number: str, code: FaultCode) -> None:
    found = check_number(number, today=TODAY)
    assert found == Fault("number", code)


@pytest.mark.parametrize("region", ["330103", "330721", "110103"])
def test_an_abolished_region_is_valid_with_a_flag(region: str) -> None:
    found = check_number(number_of(region, "19800101", "001"), today=TODAY)
    assert isinstance(found, IdNumber)
    assert found.region_status is RegionStatus.ABOLISHED


def test_a_county_younger_than_the_list_is_not_refused() -> None:
    found = check_number(number_of("330799", "20240101", "001"), today=TODAY)
    assert isinstance(found, IdNumber)
    assert found.region_status is RegionStatus.UNLISTED


digits17 = st.builds(
    lambda day, order: f"330702{day:%Y%m%d}{order:03d}",
    st.dates(date(1930, 1, 1), TODAY),
    st.integers(1, 999),
)


@given(digits17, st.integers(0, 16), st.integers(1, 9))
def test_every_single_wrong_digit_is_found(seventeen: str, at: int, shift: int) -> None:
    number = seventeen + check_character(seventeen)
    wrong = str((int(number[at]) + shift) % 10)
    assert code_of(number[:at] + wrong + number[at + 1 :]) is not None


@given(digits17, st.integers(0, 15))
def test_every_swap_of_neighbours_is_found(seventeen: str, at: int) -> None:
    number = seventeen + check_character(seventeen)
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    assert code_of(swapped) is not None or swapped == number


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    check_number(text, today=TODAY)
    check_name(text)
    mask_number(text)
    parse_date(text)


@given(digits17)
def test_the_mask_shows_seven_characters_and_no_print_shows_more(seventeen: str) -> None:
    number = seventeen + check_character(seventeen)
    found = check_number(number, today=date(2030, 1, 1))
    assert isinstance(found, IdNumber)
    assert found.masked == f"{number[:3]}***********{number[-4:]}"
    for shown in (str(found), repr(found), f"{found}"):
        assert number not in shown
        assert number[6:14] not in shown


def test_short_texts_are_masked_whole() -> None:
    assert mask_number("1234567") == "*******"
    assert mask_number("") == ""


def test_fields_print_nothing_of_a_person() -> None:
    assert repr(CARD) == "IdentityFields()"


@pytest.mark.parametrize(
    "name",
    [
        "张三",
        "欧阳娜娜",
        "买买提·吐尔逊",
        "䶮",  # too short alone, below
        "王䶮",  # extension A
        "李𬭊",  # extension E: 生僻字 beyond the basic plane
        "〇二",
    ],
)
def test_names_of_ideographs_and_dots(name: str) -> None:
    if len(name) == 1:
        assert check_name(name) == Fault("name", FaultCode.NAME_LENGTH)
    else:
        assert check_name(name) == name


@pytest.mark.parametrize("dot", ["•", "・", "．", "‧", "."])
def test_every_dot_becomes_the_one_dot(dot: str) -> None:
    assert normalise_name(f"买买提{dot} 吐尔逊") == "买买提·吐尔逊"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", FaultCode.NAME_MISSING),
        ("Zhang San", FaultCode.NAME_CHARACTERS),
        ("张3", FaultCode.NAME_CHARACTERS),
        ("·张三", FaultCode.NAME_CHARACTERS),
        ("张··三", FaultCode.NAME_CHARACTERS),
        ("张\ue000", FaultCode.NAME_PRIVATE_USE),
        ("张" * 51, FaultCode.NAME_LENGTH),
    ],
)
def test_each_bad_name_has_its_own_code(name: str, code: FaultCode) -> None:
    assert check_name(name) == Fault("name", code)


def test_a_card_that_agrees_with_itself_has_no_fault() -> None:
    assert check_fields(CARD, today=TODAY) == []


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"sex": "男"}, "sex", FaultCode.SEX_DIFFERS_FROM_NUMBER),
        ({"sex": "?"}, "sex", FaultCode.SEX_UNKNOWN),
        ({"birth": "1949-12-30"}, "birth", FaultCode.BIRTH_DIFFERS_FROM_NUMBER),
        ({"birth": "1949-2-30"}, "birth", FaultCode.BIRTH_FORMAT),
        ({"ethnicity": "火星"}, "ethnicity", FaultCode.ETHNICITY_UNKNOWN),
        ({"address": " "}, "address", FaultCode.ADDRESS_MISSING),
        ({"address": "路" * 101}, "address", FaultCode.ADDRESS_LENGTH),
        ({"authority": ""}, "authority", FaultCode.AUTHORITY_MISSING),
        ({"valid_from": "2026-01-01"}, "valid_from", FaultCode.VALID_FROM_FUTURE),
        ({"valid_from": "gestern"}, "valid_from", FaultCode.VALID_FROM_FORMAT),
        ({"valid_to": "2030.01.01"}, "valid_to", FaultCode.VALID_TO_FORMAT),
        ({"valid_to": "2009-01-01"}, "valid_to", FaultCode.VALID_TO_BEFORE_FROM),
        ({"valid_to": "2025-10-31"}, "valid_to", FaultCode.VALID_TO_EXPIRED),
        ({"number": "110105194912310021"}, "number", FaultCode.NUMBER_CHECK_DIGIT),
    ],
)
def test_each_fault_names_its_field(change: dict[str, str], field: str, code: FaultCode) -> None:
    assert check_fields(replace(CARD, **change), today=TODAY) == [Fault(field, code)]


def test_a_card_is_good_on_its_last_day() -> None:
    last = replace(CARD, valid_to=TODAY.isoformat())
    assert check_fields(last, today=TODAY) == []
    assert check_fields(last, today=TODAY + timedelta(days=1))


def test_a_fault_holds_no_value() -> None:
    faults = check_fields(replace(CARD, sex="男"), today=TODAY)
    assert OF_THE_STANDARD not in repr(faults)


@pytest.mark.parametrize(
    ("day", "age"), [(date(2016, 2, 28), 15), (date(2016, 2, 29), 16), (date(2017, 2, 28), 16)]
)
def test_age_of_one_born_on_a_leap_day(day: date, age: int) -> None:
    found = check_number(number_of("110105", "20000229", "001"), today=TODAY)
    assert isinstance(found, IdNumber)
    assert found.age_on(day) == age
