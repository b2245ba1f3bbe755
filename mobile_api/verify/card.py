"""The grammar of a resident identity card: rows of text in, named fields out.

Labels are anchors where they were read; where one was not, the order of the rows stands in for it.
What the number proves (birth, sex) fills in for what could not be read, and says so in `source`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lockserver.domain.identity import (
    LONG_TERM,
    NAME_DOT,
    check_character,
    half_width,
    normalise_name,
    parse_date,
    region_status,
)
from lockserver.domain.identity_data.ethnicities import CODE_OF as ETHNICITY_CODES
from mobile_api.verify.ocr import Word
from mobile_api.verify.reading import FieldReading, Reading, Source
from mobile_api.verify.rows import Row, into_rows

_NUMBER_LENGTH: Final = 18
_STRAY = re.compile(r"SPECIMEN|specimen|样本|樣本|样张|仅供|复印无效")
# 姓 and 别 are what blur takes first; hence also "any character, 名" and the lone halves.
_NAME_LABEL = re.compile(r"^[姓性胜][名各]|^.名(?=.{2})|^[姓名](?=.{2})|^姓名?$")
_SEX_LABEL = re.compile(r"[性姓][别別刑]")
_ETHNICITY_LABEL = re.compile(r"[民艮][族旋旗]|民族")
_BIRTH_LABEL = re.compile(r"^[出山][生牛主]")
_ADDRESS_LABEL = re.compile(r"^[住往佳注信性][址扯止地站]|^.[址扯]|^住(?=\W|$)")
# Where the label itself was misread, the address is known by the province it begins with.
_PROVINCE = re.compile(
    "北京|天津|河北|山西|内蒙古|辽宁|吉林|黑龙江|上海|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|广西|"
    "海南|重庆|四川|贵州|云南|西藏|陕西|甘肃|青海|宁夏|新疆|台湾|香港|澳门"
)
_PROVINCE_AT_MOST = 4  # characters a misread label can put before it
_NUMBER_LABEL = re.compile(r"公民|身份|份号|号码")
_BIRTH = re.compile(r"((?:18|19|20)\d{2})\D{0,2}?(\d{1,2})\D{1,2}(\d{1,2})\D?")
_AUTHORITY_LABEL = re.compile(r"签?发?机关|签发[机关]?|签.机.")
_AUTHORITY = re.compile(r"公安|分局|公[安女]局")
_VALIDITY_LABEL = re.compile(r"有?效期限?|有效.限")
_DATE = r"(\d{4})\.?(\d{2})\.?(\d{2})"
_VALIDITY = re.compile(rf"{_DATE}\W*(?:{_DATE}|(长\W?期?|长期))")
_BACK_TITLES = re.compile(r"中华人民|人民共和|共和国|居民身份|身份证$")
_DIGIT_SLIPS = str.maketrans({"O": "0", "o": "0", "D": "0", "I": "1", "l": "1", "|": "1", "B": "8"})
_FIRST_IDEOGRAPH: Final = 0x3007
_SIDE_STEPS_IN_HEIGHTS = (-2.0, 4.5)  # how far a line of the address may start beside the first


# Pairs that differ by a stroke of the typeface; a card prints the form of 通用规范汉字表.
_STANDARD_FORMS = str.maketrans(
    "強戶產黃溫吳呂別內淸靑眞鎭緖顏說悅銳稅兪爲衞錄綠祿遙搖瑤吿郞朗淨靜爭錦換奐硏姸鄕卽旣敎擧冊巿漢滿壯維爾僑鮮蘇東馬陳張劉楊趙孫鄭馮龍",
    "强户产黄温吴吕别内清青真镇绪颜说悦锐税俞为卫录绿禄遥摇瑶告郎朗净静争锦换奂研妍乡即既教举册市汉满壮维尔侨鲜苏东马陈张刘杨赵孙郑冯龙",
)


def read_front(words: list[Word]) -> Reading:
    """Name, sex, ethnicity, birth, address, number: whichever could be read."""
    rows = into_rows([word for word in words if not _STRAY.search(word.text)])
    found: Reading = {}
    at_number = _take_number(rows, found)
    above = rows[:at_number] if at_number is not None else rows
    at_sex = _first(above, lambda text: bool(_SEX_LABEL.search(text) or _is_sex_row(text)))
    at_birth = _first(above, lambda text: bool(_BIRTH_LABEL.search(text) or _BIRTH.search(text)))
    _take_name(above, at_sex, found)
    if at_sex is not None:
        _take_sex_and_ethnicity(above[at_sex], found)
    if "ethnicity" not in found:
        _take_lone_ethnicity(above, found)
    if at_birth is not None:
        _take_birth(above[at_birth], found)
    _take_address(above, max(index for index in (at_birth, at_sex, -1) if index is not None), found)
    _fill_from_number(found)
    return found


def read_back(words: list[Word]) -> Reading:
    """Authority, valid_from, valid_to: whichever could be read."""
    rows = into_rows([word for word in words if not _STRAY.search(word.text)])
    found: Reading = {}
    for row in rows:
        plain = _plain_dates(row.text)
        dates = _VALIDITY.search(plain)
        if dates and "valid_from" not in found:
            start = parse_date("-".join(dates.group(1, 2, 3)))
            end = LONG_TERM if dates.group(7) else "-".join(dates.group(4, 5, 6))
            if start and (end == LONG_TERM or parse_date(end)):
                found["valid_from"] = FieldReading(start.isoformat(), row.score)
                found["valid_to"] = FieldReading(end, row.score)
        elif _AUTHORITY.search(row.text) and "authority" not in found:
            text = _after(_AUTHORITY_LABEL, row.text)
            text = _ideographs(text).translate(_STANDARD_FORMS)
            found["authority"] = FieldReading(text, row.score)
    return found


def looks_like_front(words: list[Word]) -> int:
    """How many marks of the portrait side are seen."""
    text = [re.sub(r"\s", "", word.text) for word in words]
    marks = (_NAME_LABEL, _SEX_LABEL, _ETHNICITY_LABEL, _BIRTH_LABEL, _ADDRESS_LABEL)
    seen = sum(any(mark.search(one) for one in text) for mark in marks)
    return seen + 2 * any(find_number(one) for one in text)


def looks_like_back(words: list[Word]) -> int:
    """How many marks of the emblem side are seen."""
    text = [re.sub(r"\s", "", word.text) for word in words]
    marks = (_AUTHORITY_LABEL, _AUTHORITY, _VALIDITY_LABEL, _BACK_TITLES)
    seen = sum(any(mark.search(one) for one in text) for mark in marks)
    return seen + 2 * any(_VALIDITY.search(_plain_dates(one)) for one in text)


def find_number(text: str) -> str | None:
    """Eighteen characters that could be an identity number, the slips of recognition mended."""
    plain = half_width("".join(text.split())).translate(_DIGIT_SLIPS).upper()
    candidates = re.findall(r"(?=(\d{17}[\dX]))", plain)
    sound = [one for one in candidates if is_sound(one)]
    best: list[str] = sound or candidates
    return best[0] if best else None


def is_sound(number: str) -> bool:
    """Check character, region and birth agree: a reading that is hardly an accident."""
    return (
        len(number) == _NUMBER_LENGTH
        and number[:17].isdigit()
        and check_character(number[:17]) == number[17]
        and region_status(number[:6]) is not None
        and parse_date(f"{number[6:10]}-{number[10:12]}-{number[12:14]}") is not None
    )


def upper_and_lower(words: list[Word]) -> Iterator[tuple[Word, Word]]:
    """Pairs of words of which the first stands above the second on an upright card."""
    upper = [
        word for word in words if re.search(r"姓名|性别|民族|出生|中华人民|共和国|居民身份证", word.text)
    ]
    lower = [
        word
        for word in words
        if re.search(r"公民|号码|签发|机关|有效|期限", word.text) or find_number(word.text)
    ]
    for above in upper:
        for below in lower:
            yield above, below


def _take_number(rows: list[Row], found: Reading) -> int | None:
    best: tuple[bool, float, int, str] | None = None
    for index, row in enumerate(rows):
        number = find_number(row.text)
        if number is not None:
            candidate = (is_sound(number), row.score, index, number)
            best = max(best, candidate) if best else candidate
    if best is not None:
        found["number"] = FieldReading(best[3], best[1])
        return best[2]
    return _first(rows, lambda text: bool(_NUMBER_LABEL.search(text)))


def _take_name(rows: list[Row], at_sex: int | None, found: Reading) -> None:
    at_name = _first(rows, lambda text: bool(_NAME_LABEL.search(text)))
    if at_name is not None:
        text = _name_in(_after(_NAME_LABEL, rows[at_name].text))
        if text:
            found["name"] = FieldReading(text, rows[at_name].score)
            return
    # The label was lost or stands alone: the name is what stands next above the row of the sex.
    stop = at_sex if at_sex is not None else 1
    for row in reversed(rows[:stop]):
        text = _name_in(_after(_NAME_LABEL, row.text))
        if len(text) > 1:
            found["name"] = FieldReading(text, row.score)
            return


def _take_sex_and_ethnicity(row: Row, found: Reading) -> None:
    sex = re.search(r"[男女]", row.text)
    if sex:
        found["sex"] = FieldReading(sex.group(), row.score)
    label = _ETHNICITY_LABEL.search(row.text)
    if label:
        _name_ethnicity(row.text[label.end() :], row.score, found)
    elif sex:
        # The label was misread: the row still ends with the name of a group, if anything.
        rest = row.text[sex.end() :].translate(_STANDARD_FORMS)
        known = [name for name in ETHNICITY_CODES if rest.endswith(name)]
        if known:
            found["ethnicity"] = FieldReading(max(known, key=len), row.score / 2)


def _take_lone_ethnicity(rows: list[Row], found: Reading) -> None:
    for row in rows:
        label = _ETHNICITY_LABEL.search(row.text)
        if label:
            _name_ethnicity(row.text[label.end() :], row.score, found)


def _name_ethnicity(text: str, score: float, found: Reading) -> None:
    text = text.translate(_STANDARD_FORMS)
    known = [name for name in ETHNICITY_CODES if text.startswith(name)]
    if known:
        found["ethnicity"] = FieldReading(max(known, key=len), score)
    elif text:
        found["ethnicity"] = FieldReading(_ideographs(text), score / 2)


def _take_birth(row: Row, found: Reading) -> None:
    match = _BIRTH.search(row.text.translate(_DIGIT_SLIPS))
    if match:
        year, month, day = match.groups()
        text = f"{year}-{int(month):02d}-{int(day):02d}"
        if parse_date(text):
            found["birth"] = FieldReading(text, row.score)


def _take_address(rows: list[Row], after: int, found: Reading) -> None:
    lines: list[tuple[str, float]] = []
    column: np.ndarray | None = None
    rest = rows[after + 1 :]
    at_label = _first(rest, lambda text: bool(_ADDRESS_LABEL.search(text)))
    for row in rest[at_label or 0 :]:
        labelled = _ADDRESS_LABEL.search(row.text)
        text = _after(_ADDRESS_LABEL, row.text) if labelled else row.text
        if not text:
            continue
        word = row.words[0]
        alone = labelled is not None and len(labelled.group()) >= len("".join(word.text.split()))
        first = row.words[1] if alone and len(row.words) > 1 else word
        start = first.left
        if labelled and first is word:  # label and value in one word: the value starts further in
            start = first.left + (first.right - first.left) * 2.6 / max(len(word.text), 3)
        if column is None:
            column = start
        low, high = _SIDE_STEPS_IN_HEIGHTS
        if low * row.height <= start[0] - column[0] <= high * row.height:
            lines.append((text, row.score))
    if lines:
        text = "".join(line for line, _score in lines).translate(_STANDARD_FORMS)
        province = _PROVINCE.search(text)
        if province and province.start() <= _PROVINCE_AT_MOST:
            text = text[province.start() :]
        found["address"] = FieldReading(text, min(score for _line, score in lines))


def _fill_from_number(found: Reading) -> None:
    number = found.get("number")
    if number is None or not is_sound(number.text):
        return
    text = number.text
    if "birth" not in found:
        birth = f"{text[6:10]}-{text[10:12]}-{text[12:14]}"
        found["birth"] = FieldReading(birth, number.confidence, Source.NUMBER)
    if "sex" not in found:
        sex = "男" if int(text[16]) % 2 else "女"
        found["sex"] = FieldReading(sex, number.confidence, Source.NUMBER)


def _first(rows: list[Row], wanted: Callable[[str], bool]) -> int | None:
    return next((index for index, row in enumerate(rows) if wanted(row.text)), None)


def _is_sex_row(text: str) -> bool:
    return bool(_ETHNICITY_LABEL.search(text)) or text in {"男", "女"}


def _after(label: re.Pattern[str], text: str) -> str:
    match = label.search(text)
    return (text[match.end() :] if match else text).lstrip(":：. ")


def _name_in(text: str) -> str:
    return _ideographs(normalise_name(text)).strip(NAME_DOT).translate(_STANDARD_FORMS)


def _ideographs(text: str) -> str:
    """Drops what a field of ideographs cannot hold: specks read as marks, Latin, digits."""
    return "".join(char for char in text if char == NAME_DOT or ord(char) >= _FIRST_IDEOGRAPH)


def _plain_dates(text: str) -> str:
    plain = half_width("".join(text.split()))
    return re.sub(r"[一—–~至]", "-", re.sub(r"[,。、·:]", ".", plain))
