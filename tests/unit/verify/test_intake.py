"""Every bad upload gets its own code, and costs little."""

import contextlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFile

from mobile_api.verify import intake
from mobile_api.verify.codes import ADVICE, PictureRefusedError, Refusal
from mobile_api.verify.intake import BYTES_MAX, SIDE_MAX_KEPT, open_picture


def picture(width: int = 400, height: int = 300) -> Pillow.Image:
    """Left half red, right half blue, top row white: orientation shows."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (250, 0, 0)
    pixels[:, width // 2 :] = (0, 0, 250)
    pixels[: height // 8] = (255, 255, 255)
    return Pillow.fromarray(pixels)


def encoded(image: Pillow.Image, form: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a picture and holds next to nothing: a bomb's fuse."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def refusal(raw: bytes) -> Refusal:
    with pytest.raises(PictureRefusedError) as caught:
        open_picture(raw)
    assert caught.value.advice is ADVICE[caught.value.code]
    return caught.value.code


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP"])
def test_photographs_open_as_blue_green_red(form: str) -> None:
    seen = open_picture(encoded(picture(), form))
    assert seen.shape == (300, 400, 3)
    assert seen[200, 50, 2] > 200 > seen[200, 50, 0]
    assert seen[200, 350, 0] > 200 > seen[200, 350, 2]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA", "I;16"])
def test_every_colour_mode_opens(mode: str) -> None:
    image = picture().convert("L") if mode == "I;16" else picture()
    form = "JPEG" if mode == "CMYK" else "PNG"
    assert open_picture(encoded(image.convert(mode), form)).shape == (300, 400, 3)


@pytest.mark.parametrize(
    ("orientation", "white"),
    [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")],
)
def test_the_exif_mark_is_honoured(orientation: int, white: str) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    seen = open_picture(encoded(picture(), "JPEG", exif=exif, quality=95))
    edge = {
        "top": seen[2, 200 % seen.shape[1]],
        "bottom": seen[-3, 200 % seen.shape[1]],
        "left": seen[200 % seen.shape[0], 2],
        "right": seen[200 % seen.shape[0], -3],
    }[white]
    assert edge.min() > 230


def test_a_large_photograph_is_scaled_once() -> None:
    seen = open_picture(encoded(picture(5000, 3000), "JPEG"))
    assert max(seen.shape) == SIDE_MAX_KEPT
    assert abs(seen.shape[1] / seen.shape[0] - 5 / 3) < 0.01


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", Refusal.IMAGE_EMPTY),
        (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n" + b" " * 400, Refusal.IMAGE_FORMAT),
        (b"\x00" * 4000, Refusal.IMAGE_FORMAT),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 20, Refusal.IMAGE_FORMAT),
        (b"\xff\xd8\xff" * 40, Refusal.IMAGE_FORMAT),
        (b"\xff\xd8" + b"\0" * BYTES_MAX, Refusal.IMAGE_TOO_MANY_BYTES),
        (png_header(60_000, 60_000), Refusal.IMAGE_TOO_MANY_PIXELS),
        (png_header(9_000, 9_000), Refusal.IMAGE_TOO_MANY_PIXELS),
        (png_header(3_000, 3_000), Refusal.IMAGE_TRUNCATED),
        (encoded(picture(120, 90), "PNG"), Refusal.IMAGE_TOO_SMALL),
        (encoded(picture(), "GIF"), Refusal.IMAGE_FORMAT),
        (encoded(picture(), "TIFF"), Refusal.IMAGE_FORMAT),
        (encoded(picture(), "JPEG")[:-900], Refusal.IMAGE_TRUNCATED),
        (encoded(picture(), "PNG")[:-300], Refusal.IMAGE_TRUNCATED),
        (encoded(picture(), "WEBP")[:-200], Refusal.IMAGE_TRUNCATED),
    ],
    ids=lambda given: str(given) if isinstance(given, Refusal) else "",
)
def test_each_bad_upload_has_its_own_code(raw: bytes, code: Refusal) -> None:
    assert refusal(raw) is code


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_moving_pictures_are_refused(form: str) -> None:
    frames = [picture(), picture().rotate(180)]
    raw = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
    assert refusal(raw) is Refusal.IMAGE_ANIMATED


def test_a_phones_picture_with_a_preview_inside_is_no_moving_picture() -> None:
    raw = encoded(picture(), "MPO", save_all=True, append_images=[picture(160, 120)])
    assert open_picture(raw).shape == (300, 400, 3)


def test_a_library_that_lets_half_files_pass_is_overruled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert refusal(encoded(picture(), "JPEG")[:-900]) is Refusal.IMAGE_TRUNCATED


def test_a_bomb_costs_its_header() -> None:
    raw = png_header(60_000, 60_000)
    tracemalloc.start()
    refusal(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_mutant_without_the_pixel_gate_decodes_the_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "PIXELS_MAX", 10**12)
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", None)
    assert refusal(png_header(9_000, 9_000)) is not Refusal.IMAGE_TOO_MANY_PIXELS


@pytest.mark.parametrize("seed", range(40))
def test_mangled_files_end_in_a_refusal_or_a_picture(seed: int) -> None:
    dice = np.random.default_rng(seed)
    form = ("JPEG", "PNG", "WEBP", "BMP")[seed % 4]
    raw = bytearray(encoded(picture(), form))
    for at in dice.integers(0, len(raw), 12):
        raw[at] = dice.integers(0, 256)
    with contextlib.suppress(PictureRefusedError):
        assert open_picture(bytes(raw)).ndim == 3


def test_every_refusal_has_advice() -> None:
    assert set(ADVICE) == set(Refusal)
