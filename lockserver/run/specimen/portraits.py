"""Two public-domain portraits, and second views rendered from the same photograph.

The astronaut is NASA's portrait of Eileen Collins (public domain; shipped by scikit-image), the other
is the U.S. Navy's portrait of Grace Hopper (public domain; shipped by matplotlib). A *second view* is
the same photograph cropped, warped, relit and noised: it shows that the machinery runs, never how
accurate it is. Accuracy is what ``bench.face`` measures.
"""

from importlib.resources import files
from random import Random
from typing import Final

import cv2
import numpy as np

from lockserver.run.specimen.photo import Image, add_noise, light_unevenly

SAME_PHOTOGRAPH: Final = "a second view rendered from the same photograph (NASA, public domain)"
WRONG_PERSON: Final = "another person (Grace Hopper, U.S. Navy, public domain)"

_HEAD_AND_SHOULDERS = (96, 4, 352, 332)  # x0, y0, x1, y1 in the 512 x 512 photograph
_SELFIE_FRAME = (20, 0, 420, 500)
_SELFIE_SIZE = (640, 800)


def astronaut() -> Image:
    """The photograph, 512 x 512 x 3, BGR."""
    from skimage.data import astronaut as shipped

    return np.ascontiguousarray(shipped()[:, :, ::-1])  # type: ignore[no-untyped-call]


def grace_hopper() -> Image:
    """The other photograph, BGR."""
    raw = files("matplotlib").joinpath("mpl-data/sample_data/grace_hopper.jpg").read_bytes()
    return _decode(raw)


def card_portrait() -> Image:
    """Head and shoulders, as a card prints them."""
    x0, y0, x1, y1 = _HEAD_AND_SHOULDERS
    return astronaut()[y0:y1, x0:x1].copy()


def selfie(seed: int) -> Image:
    """A second view of the card's photograph: other crop, angle, light, grain. 640 x 800, BGR."""
    return _second_view(astronaut(), _SELFIE_FRAME, seed)


def wrong_selfie(seed: int) -> Image:
    """The other person, treated the same way. 640 x 800, BGR."""
    photograph = grace_hopper()
    height, width = photograph.shape[:2]
    return _second_view(photograph, (0, 0, width, min(height, int(width * 1.25))), seed)


def _second_view(photograph: Image, frame: tuple[int, int, int, int], seed: int) -> Image:
    dice = Random(seed)  # noqa: S311 - replayable pictures
    x0, y0, x1, y1 = frame
    width, height = _SELFIE_SIZE

    def jitter(span: int) -> float:
        return dice.uniform(-0.03, 0.03) * span

    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    source = np.array([(x + jitter(x1 - x0), y + jitter(y1 - y0)) for x, y in corners], np.float32)
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), dice.uniform(-6, 6), 1.04)
    matrix = np.vstack([turn, [0, 0, 1]]) @ cv2.getPerspectiveTransform(source, target)
    seen = cv2.warpPerspective(
        photograph, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    soft = np.asarray(cv2.GaussianBlur(seen, (0, 0), 0.9), np.uint8)
    return add_noise(light_unevenly(soft, dice, low=0.75, high=1.1), dice, sigma=4.0)


def _decode(raw: bytes) -> Image:
    found = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        msg = "the portrait shipped with matplotlib does not decode"
        raise RuntimeError(msg)
    return np.asarray(found, np.uint8)
