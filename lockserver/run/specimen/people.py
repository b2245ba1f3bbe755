"""Synthetic people whose card fields agree with each other, one per seed."""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from lockserver.domain.identity import LONG_TERM, IdentityFields, check_character

# Districts of Zhejiang with their GB/T 2260 code, a police authority and streets or villages that are
# made up from common place words.
_DISTRICTS = (
    ("330702", "浙江省金华市婺城区", "金华市公安局婺城分局"),
    ("330703", "浙江省金华市金东区", "金华市公安局金东分局"),
    ("330782", "浙江省义乌市", "义乌市公安局"),
    ("330783", "浙江省东阳市", "东阳市公安局"),
    ("330106", "浙江省杭州市西湖区", "杭州市公安局西湖分局"),
    ("330108", "浙江省杭州市滨江区", "杭州市公安局滨江分局"),
    ("330122", "浙江省桐庐县", "桐庐县公安局"),
    ("330203", "浙江省宁波市海曙区", "宁波市公安局海曙分局"),
    ("330226", "浙江省宁海县", "宁海县公安局"),
    ("330302", "浙江省温州市鹿城区", "温州市公安局鹿城分局"),
    ("330329", "浙江省泰顺县", "泰顺县公安局"),
    ("330402", "浙江省嘉兴市南湖区", "嘉兴市公安局南湖分局"),
    ("330522", "浙江省长兴县", "长兴县公安局"),
    ("330602", "浙江省绍兴市越城区", "绍兴市公安局越城分局"),
    ("330802", "浙江省衢州市柯城区", "衢州市公安局柯城分局"),
    ("331002", "浙江省台州市椒江区", "台州市公安局椒江分局"),
    ("331122", "浙江省缙云县", "缙云县公安局"),
)
_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
    "余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
_DOUBLE_SURNAMES = ("欧阳", "上官", "司马", "诸葛", "东方", "尉迟")
_MALE = "伟强磊军洋勇杰涛明超刚平辉鹏华飞鑫波斌宇浩凯健俊帆志国建文博瑞宏毅翔晨睿泽铭昊轩"
_FEMALE = "芳娜敏静丽艳娟霞秀燕玲婷雪慧莹颖琳洁梅倩云兰红萍玉珍丹蓉薇瑶菲婉怡欣佳悦琪璐"
_MINORITY_NAMES = (
    ("买买提·吐尔逊", "维吾尔"),
    ("阿依古丽·艾合买提", "维吾尔"),
    ("迪丽努尔·阿卜杜拉", "维吾尔"),
    ("叶尔肯·哈力木", "哈萨克"),
)
_OTHER_ETHNICITIES = ("畲", "回", "满", "土家", "苗", "壮", "侗", "蒙古", "布依", "朝鲜")
_STREETS = [
    "江南",
    "城东",
    "新狮",
    "三江",
    "白龙",
    "北山",
    "秋滨",
    "乾西",
    "西关",
    "罗店",
    "乾元",
    "东孝",
    "清溪",
    "云水",
    "望江",
    "古塘",
]
_ROADS = [
    "解放",
    "人民",
    "中山",
    "建设",
    "宾虹",
    "双溪",
    "环城",
    "八一",
    "丹溪",
    "青春",
    "胜利",
    "滨海",
    "学院",
    "金瓯",
    "文化",
    "和平",
]
_VILLAGES = [
    "上陈",
    "下王",
    "石门",
    "岭下",
    "湖头",
    "大路",
    "长塘",
    "后宅",
    "溪东",
    "杨梅",
    "竹园",
    "横山",
    "塔下",
    "沙溪",
    "双桥",
    "里叶",
]

_TERM_BY_AGE = ((16, 5), (26, 10), (46, 20))  # 居民身份证法 art 5: under 16, 16-25, 26-45; then for good


@dataclass(frozen=True)
class Person:
    """A made-up holder of a resident identity card."""

    fields: IdentityFields


def draw_person(seed: int, *, today: date) -> Person:
    """The person of this seed: an adult, with a card in force on `today`. Same seed, same person."""
    dice = Random(seed)  # noqa: S311 - a cast of characters, replayable
    region, place, authority = dice.choice(_DISTRICTS)
    male = dice.random() < 0.5  # noqa: PLR2004 - a coin
    name, ethnicity = _draw_name(dice, male=male)
    birth = today - timedelta(days=dice.randrange(18 * 366, 70 * 365))
    issued = today - timedelta(days=dice.randrange(30, 4 * 365))
    return Person(
        IdentityFields(
            name=name,
            sex="男" if male else "女",
            ethnicity=ethnicity,
            birth=birth.isoformat(),
            address=place + _draw_address(dice),
            number=number_of(region, birth, dice.randrange(1, 500) * 2 - (1 if male else 0)),
            authority=authority,
            valid_from=issued.isoformat(),
            valid_to=_end_of_term(birth, issued),
        )
    )


def number_of(region: str, birth: date, order: int) -> str:
    """An identity number; `order` 1-999, odd for a man."""
    seventeen = f"{region}{birth:%Y%m%d}{order:03d}"
    return seventeen + check_character(seventeen)


def with_wrong_check_digit(number: str) -> str:
    """The same number with a check character that cannot be right."""
    wrong = "0" if number[-1] != "0" else "1"
    return number[:-1] + wrong


def _draw_name(dice: Random, *, male: bool) -> tuple[str, str]:
    kind = dice.random()
    if kind < 0.04:  # noqa: PLR2004 - one in twenty-five
        return dice.choice(_MINORITY_NAMES)
    surname = dice.choice(_DOUBLE_SURNAMES) if kind < 0.1 else dice.choice(_SURNAMES)  # noqa: PLR2004
    pool = _MALE if male else _FEMALE
    given = "".join(dice.choice(pool) for _ in range(dice.choice((1, 2, 2, 2))))
    other = dice.random() < 0.15  # noqa: PLR2004 - so that more than 汉 is read
    return surname + given, dice.choice(_OTHER_ETHNICITIES) if other else "汉"


def _draw_address(dice: Random) -> str:
    house = dice.randrange(1, 400)
    if dice.random() < 0.35:  # noqa: PLR2004 - about a third live in villages
        return f"{dice.choice(_STREETS)}镇{dice.choice(_VILLAGES)}村{house}号"
    flat = f"{dice.randrange(1, 30)}幢{dice.randrange(1, 5)}单元{dice.randrange(1, 31)}{dice.randrange(1, 5):02d}室"
    return f"{dice.choice(_STREETS)}街道{dice.choice(_ROADS)}路{house}号{flat}"


def _end_of_term(birth: date, issued: date) -> str:
    age = (issued - birth).days // 365.25
    for below, years in _TERM_BY_AGE:
        if age < below:
            day = 28 if (issued.month, issued.day) == (2, 29) else issued.day
            return date(issued.year + years, issued.month, day).isoformat()
    return LONG_TERM
