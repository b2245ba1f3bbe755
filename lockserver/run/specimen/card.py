"""Draws the two faces of a specimen resident identity card, 1000 x 630 pixels.

The layout follows the printed card closely enough that reading it is real work; the emblem is left out
on purpose and each face says SPECIMEN 样本.
"""

from functools import lru_cache
from importlib.resources import files

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from lockserver.domain.identity import LONG_TERM, IdentityFields
from lockserver.run.specimen.photo import Image

CARD_SIZE = (1000, 630)  # 85.6 x 54.0 mm (ISO/IEC 7810 ID-1) at 11.7 px/mm
_LABEL = (46, 108, 168)
_INK = (22, 22, 26)
_RED = (196, 40, 48)
_PAPER = (236, 242, 246)
_ADDRESS_CHARACTERS_A_LINE = 11
_PORTRAIT_BOX = (636, 92, 926, 462)
_CORNER_RADIUS = 36


def draw_front(fields: IdentityFields, portrait: Image) -> Image:
    """The face with portrait and number; BGR, 1000 x 630."""
    sheet = _paper(tint=(214, 232, 244))
    pen = ImageDraw.Draw(sheet)
    x0, y0, x1, y1 = _PORTRAIT_BOX
    picture = Pillow.fromarray(np.ascontiguousarray(portrait[:, :, ::-1]))
    sheet.paste(picture.resize((x1 - x0, y1 - y0), Pillow.Resampling.LANCZOS), (x0, y0))
    year, month, day = fields.birth.split("-")
    _write(pen, (76, 82), "姓名", 32, _LABEL)
    _write(pen, (176, 76), fields.name, 40 if len(fields.name) <= 9 else 34, _INK)  # noqa: PLR2004
    _write(pen, (76, 152), "性别", 32, _LABEL)
    _write(pen, (176, 149), fields.sex, 36, _INK)
    _write(pen, (288, 152), "民族", 32, _LABEL)
    _write(pen, (384, 149), fields.ethnicity, 36, _INK)
    _write(pen, (76, 222), "出生", 32, _LABEL)
    for x, text, ink in (
        (176, year, _INK), (268, "年", _LABEL), (322, str(int(month)), _INK),
        (372, "月", _LABEL), (424, str(int(day)), _INK), (474, "日", _LABEL),
    ):  # fmt: skip
        _write(pen, (x, 219 if ink is _INK else 222), text, 36 if ink is _INK else 32, ink)
    _write(pen, (76, 296), "住址", 32, _LABEL)
    step = _ADDRESS_CHARACTERS_A_LINE
    for row, at in enumerate(range(0, len(fields.address), step)):
        _write(pen, (176, 292 + row * 50), fields.address[at : at + step], 36, _INK)
    _write(pen, (76, 528), "公民身份号码", 32, _LABEL)
    _write_spaced(pen, (330, 518), fields.number, 44, 5)
    _write(pen, (700, 474), "SPECIMEN 样本", 22, _RED)
    return _finish(sheet)


def draw_back(fields: IdentityFields) -> Image:
    """The face with authority and validity; BGR, 1000 x 630."""
    sheet = _paper(tint=(240, 226, 222))
    pen = ImageDraw.Draw(sheet)
    pen.ellipse((84, 72, 244, 232), outline=_RED, width=5)
    _write(pen, (118, 132), "SPECIMEN", 18, _RED)
    _write(pen, (140, 156), "样本", 24, _RED)
    _write_spaced(pen, (318, 84), "中华人民共和国", 56, 22)
    _write_spaced(pen, (318, 186), "居民身份证", 76, 34)
    _write(pen, (246, 438), "签发机关", 34, _LABEL)
    _write(pen, (420, 435), fields.authority, 36, _INK)
    _write(pen, (246, 518), "有效期限", 34, _LABEL)
    end = LONG_TERM if fields.valid_to == LONG_TERM else fields.valid_to.replace("-", ".")
    _write(pen, (420, 515), f"{fields.valid_from.replace('-', '.')}-{end}", 36, _INK)
    return _finish(sheet)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    package = files("cvttf_NotoSansCJK_Regular")
    return ImageFont.truetype(str(package.joinpath("NotoSansCJKtc-Regular.otf")), size)


def _write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    ink: tuple[int, int, int],
) -> None:
    # The font's box leaves a fifth of air above the ideographs: coordinates here mean the ink.
    pen.text((at[0], at[1] - size // 5), text, font=_font(size), fill=ink)


def _write_spaced(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, gap: int) -> None:
    x = float(at[0])
    for char in text:
        _write(pen, (round(x), at[1]), char, size, _INK)
        x += _font(size).getlength(char) + gap


def _paper(tint: tuple[int, int, int]) -> Pillow.Image:
    """Card stock with a fine wavy guilloche, so that it is not drawn on clean white."""
    width, height = CARD_SIZE
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    fade = (0.5 + 0.5 * np.cos((across / width - 0.35) * np.pi) * np.sin(down / height * np.pi))[:, :, None]
    ground = np.asarray(_PAPER, float) * (1 - fade) + np.asarray(tint, float) * fade
    waves = np.sin(down / 7.0 + 6 * np.sin(across / 90.0)) + np.sin(across / 9.0 + 5 * np.sin(down / 70.0))
    ground -= np.clip(waves - 1.2, 0, 1)[:, :, None] * np.array((26.0, 14.0, 8.0))
    return Pillow.fromarray(np.clip(ground, 0, 255).astype(np.uint8), "RGB")


def _finish(sheet: Pillow.Image) -> Image:
    pen = ImageDraw.Draw(sheet)
    width, height = CARD_SIZE
    pen.rounded_rectangle(
        (1, 1, width - 2, height - 2), radius=_CORNER_RADIUS, outline=(176, 186, 196), width=3
    )
    return np.ascontiguousarray(np.asarray(sheet)[:, :, ::-1])
