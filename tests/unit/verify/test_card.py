"""The grammar of a card, on words laid out by hand: no recogniser runs here."""

import numpy as np
import pytest

from mobile_api.verify.card import find_number, is_sound, read_back, read_front
from mobile_api.verify.document import quarter_turns
from mobile_api.verify.ocr import Quad, Word
from mobile_api.verify.reading import Reading, Source
from mobile_api.verify.rows import into_rows
from mobile_api.verify.second_look import better_of


def word(text: str, x: float, y: float, width: float, height: float = 40, score: float = 0.99) -> Word:
    quad = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return Word(text, score, np.array(quad, float))


def front() -> list[Word]:
    return [
        word("姓名", 70, 80, 70),
        word("尉迟婉", 170, 80, 120),
        word("性别", 70, 150, 70),
        word("女", 170, 150, 40),
        word("民族", 280, 150, 70),
        word("畲", 380, 150, 40),
        word("出生", 70, 220, 70),
        word("1990", 170, 220, 80),
        word("年", 265, 220, 36),
        word("3", 320, 220, 20),
        word("月", 370, 220, 36),
        word("7", 420, 220, 20),
        word("日", 470, 220, 36),
        word("住址", 70, 295, 70),
        word("浙江省金华市婺城区白龙", 170, 292, 400),
        word("桥镇石门村12号", 170, 342, 280),
        word("SPECIMEN 样本", 700, 470, 160, 26),
        word("公民身份号码", 70, 525, 200),
        word(sound_number(), 330, 522, 530, 46),
    ]


def sound_number() -> str:
    from lockserver.domain.identity import check_character

    return "33070219900307122" + check_character("33070219900307122")


def texts(found: Reading) -> dict[str, str]:
    return {name: part.text for name, part in found.items()}


EXPECTED = {
    "name": "尉迟婉",
    "sex": "女",
    "ethnicity": "畲",
    "birth": "1990-03-07",
    "address": "浙江省金华市婺城区白龙桥镇石门村12号",
    "number": sound_number(),
}


def warped(words: list[Word], matrix: Quad) -> list[Word]:
    moved = []
    for one in words:
        points = np.column_stack([one.quad, np.ones(4)]) @ matrix.T
        moved.append(Word(one.text, one.score, points[:, :2] / points[:, 2:]))
    return moved


def test_a_card_with_every_word_apart() -> None:
    assert texts(read_front(front())) == EXPECTED


def test_the_order_of_the_words_does_not_matter() -> None:
    assert texts(read_front(front()[::-1])) == EXPECTED


def test_labels_and_values_read_as_one() -> None:
    merged = [
        word("姓名尉迟婉", 70, 80, 220),
        word("性别女 民族畲", 70, 150, 350),
        word("出生1990年3月7日", 70, 220, 436),
        word("住址浙江省金华市婺城区白龙", 70, 292, 500),
        word("桥镇石门村12号", 170, 342, 280),
        word(f"公民身份号码{sound_number()}", 70, 522, 790),
    ]
    assert texts(read_front(merged)) == EXPECTED


@pytest.mark.parametrize("label", ["姓名", "性别", "民族", "出生", "住址", "公民身份号码"])
def test_any_one_label_may_be_lost(label: str) -> None:
    assert texts(read_front([one for one in front() if one.text != label])) == EXPECTED


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.97, -0.26, 300], [0.26, 0.97, 50], [0, 0, 1]],  # turned by 15 degrees
        [[1, 0.1, 0], [0.12, 1, 0], [0.0004, 0, 1]],  # the right side farther away
        [[1, 0, 0], [0.05, 1, 0], [0, 0.0005, 1]],  # the lower side farther away
        [[0.9, -0.15, 200], [0.1, 0.95, 20], [-0.0002, 0.0003, 1]],
    ],
    ids=["turned", "right side away", "lower side away", "both"],
)
def test_a_card_seen_at_an_angle(matrix: list[list[float]]) -> None:
    assert texts(read_front(warped(front(), np.array(matrix)))) == EXPECTED


def test_slips_of_recognition_in_the_number_are_mended_only_into_a_sound_number() -> None:
    number = sound_number()
    assert find_number(number.replace("0", "O")) == number
    assert find_number(f"号码:{number}") == number
    assert find_number(number[:10]) is None


def test_a_wrong_check_digit_is_read_as_it_stands() -> None:
    wrong = sound_number()[:17] + ("1" if sound_number()[17] != "1" else "2")
    words = [one if one.text != sound_number() else word(wrong, 330, 522, 530) for one in front()]
    found = read_front(words)
    assert found["number"].text == wrong
    assert not is_sound(wrong)


def test_what_the_number_proves_fills_in_and_says_so() -> None:
    words = [one for one in front() if one.text not in {"女", "1990", "年", "3", "月", "7", "日"}]
    found = read_front(words)
    assert (found["sex"].text, found["sex"].source) == ("女", Source.NUMBER)
    assert (found["birth"].text, found["birth"].source) == ("1990-03-07", Source.NUMBER)


def test_a_card_that_contradicts_its_number_is_not_smoothed_over() -> None:
    words = [one if one.text != "女" else word("男", 170, 150, 40) for one in front()]
    assert read_front(words)["sex"].text == "男"


@pytest.mark.parametrize(
    ("name", "ethnicity"),
    [
        ("买买提·吐尔逊", "维吾尔"),
        ("阿依古丽．艾合买提", "维吾尔"),
        ("叶尔肯•哈力木", "哈萨克"),
        ("王䶮", "土家"),
    ],
)
def test_names_with_dots_and_rare_characters(name: str, ethnicity: str) -> None:
    words = front()
    words[1] = word(name, 170, 80, 300)
    words[5] = word(ethnicity, 380, 150, 110)
    found = read_front(words)
    assert found["name"].text == name.replace("．", "·").replace("•", "·")
    assert found["ethnicity"].text == ethnicity


def test_a_stroke_of_the_typeface_is_not_another_character() -> None:
    words = front()
    words[1] = word("黎博強", 170, 80, 120)
    words[5] = word("漢", 380, 150, 40)
    found = read_front(words)
    assert (found["name"].text, found["ethnicity"].text) == ("黎博强", "汉")


def test_text_beside_the_address_stays_out_of_it() -> None:
    words = [*front(), word("某某公司", 700, 345, 120), word("仅供登记使用", 600, 400, 200)]
    assert read_front(words)["address"].text == EXPECTED["address"]


@pytest.mark.parametrize(
    ("validity", "until"),
    [
        ("2018.03.05-2038.03.05", "2038-03-05"),
        ("2018.03.05—长期", "长期"),
        ("2018.03.05一2038.03.05", "2038-03-05"),
        ("20180305-20380305", "2038-03-05"),
        ("2018。03．05 - 2038.03.05", "2038-03-05"),
    ],
)
def test_the_back_in_every_way_its_dates_are_read(validity: str, until: str) -> None:
    found = read_back(
        [
            word("中华人民共和国", 310, 80, 530, 70),
            word("居民身份证", 310, 186, 530, 90),
            word("签发机关", 240, 437, 150),
            word("金华市公安局婺城分局", 420, 436, 350),
            word("有效期限", 240, 518, 150),
            word(validity, 420, 520, 380),
        ]
    )
    assert texts(found) == {
        "authority": "金华市公安局婺城分局",
        "valid_from": "2018-03-05",
        "valid_to": until,
    }


def test_days_that_do_not_exist_are_not_read() -> None:
    found = read_back([word("2018.02.30-2038.03.05", 420, 520, 380)])
    assert "valid_from" not in found


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_turns_that_set_a_card_upright(turns: int) -> None:
    def lay(quad: Quad) -> Quad:  # clockwise, so that the camera must turn back
        points = quad
        for _ in range(turns):
            points = np.column_stack([1000 - points[:, 1], points[:, 0]])
        # The recogniser orders corners as the picture lies, not as the card does.
        ordered = points[np.argsort(points[:, 1], kind="stable")]
        upper, lower = ordered[:2], ordered[2:]
        upper, lower = upper[np.argsort(upper[:, 0])], lower[np.argsort(lower[:, 0])]
        return np.array([upper[0], upper[1], lower[1], lower[0]])

    lying = [Word(one.text, one.score, lay(one.quad)) for one in front()]
    assert quarter_turns(lying) == (4 - turns) % 4


def test_no_words_are_no_rows() -> None:
    assert into_rows([]) == []
    assert read_front([]) == {}
    assert read_back([]) == {}


def test_of_two_readings_the_sound_number_wins_over_the_surer_one() -> None:
    sure = read_front([word("33070219900307122" + "0", 330, 522, 530, score=0.999)])
    sound = read_front([word(sound_number(), 330, 522, 530, score=0.7)])
    assert better_of(sure, sound)["number"].text == sound_number()
    assert better_of(sound, sure)["number"].text == sound_number()


def test_of_two_readings_the_one_that_lost_a_line_loses() -> None:
    whole = read_front(front())
    short = read_front([one for one in front() if not one.text.startswith("桥镇")])
    doubted = {**whole, "address": type(whole["address"])(whole["address"].text, 0.6)}
    assert better_of(short, doubted)["address"].text == EXPECTED["address"]
