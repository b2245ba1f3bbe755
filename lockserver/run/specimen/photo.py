"""Turns a flat drawing into a photograph of it: a table, an angle, light, grain, a lossy file."""

from dataclasses import dataclass
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""Height x width x 3, blue-green-red, as OpenCV holds it."""


@dataclass(frozen=True)
class Treatment:
    """How roughly a card is photographed. Fractions are of the frame; sigmas are pixels or levels."""

    frame: tuple[int, int]
    card_share: tuple[float, float]
    corner_jitter: float
    turn_degrees: float
    light: tuple[float, float]
    blur: tuple[float, float]
    motion: int
    noise: tuple[float, float]
    glare: float
    quality: tuple[int, int]


MILD = Treatment(
    frame=(1600, 1200), card_share=(0.72, 0.86), corner_jitter=0.02, turn_degrees=3.0,
    light=(0.85, 1.08), blur=(0.3, 0.8), motion=0, noise=(1.0, 4.0), glare=0.0, quality=(85, 94),
)  # fmt: skip
HARSH = Treatment(
    frame=(1400, 1050), card_share=(0.55, 0.75), corner_jitter=0.07, turn_degrees=11.0,
    light=(0.45, 1.15), blur=(0.7, 1.4), motion=5, noise=(6.0, 13.0), glare=0.35, quality=(42, 65),
)  # fmt: skip


def photograph(drawing: Image, treatment: Treatment, seed: int) -> bytes:
    """A JPEG of the drawing lying on a table, treated; same seed, same bytes."""
    dice = Random(seed)  # noqa: S311 - replayable pictures
    scene = _lay_on_table(drawing, treatment, dice)
    if treatment.glare and dice.random() < treatment.glare:
        scene = _glare(scene, dice)
    scene = light_unevenly(scene, dice, *treatment.light)
    scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), dice.uniform(*treatment.blur)), np.uint8)
    if treatment.motion:
        scene = _shake(scene, dice.randrange(1, treatment.motion + 1), dice.uniform(0, np.pi))
    scene = add_noise(scene, dice, dice.uniform(*treatment.noise))
    return jpeg(scene, dice.randrange(*treatment.quality))


def turned(drawing: Image, quarter_turns: int) -> Image:
    """Rotated clockwise by that many right angles."""
    return np.ascontiguousarray(np.rot90(drawing, -quarter_turns))


def turned_jpeg(raw: bytes, quarter_turns: int) -> bytes:
    """The same photograph, held otherwise."""
    seen = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    return jpeg(turned(np.asarray(seen, np.uint8), quarter_turns), 95)


def blurred(drawing: Image, sigma: float = 9.0) -> Image:
    """Out of focus beyond reading."""
    return np.asarray(cv2.GaussianBlur(drawing, (0, 0), sigma), np.uint8)


def jpeg(image: Image, quality: int = 92) -> bytes:
    """Encode in memory."""
    done, raw = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        msg = "the picture could not be encoded as JPEG"
        raise RuntimeError(msg)
    return bytes(raw)


def light_unevenly(image: Image, dice: Random, low: float, high: float) -> Image:
    """A linear ramp of brightness from `low` to `high` across a random direction."""
    height, width = image.shape[:2]
    angle = dice.uniform(0, 2 * np.pi)
    across, down = np.meshgrid(np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height))
    ramp = across * np.cos(angle) + down * np.sin(angle)
    ramp = (ramp - ramp.min()) / (ramp.max() - ramp.min())
    lit = image.astype(np.float32) * (low + (high - low) * ramp[:, :, None]).astype(np.float32)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def add_noise(image: Image, dice: Random, sigma: float) -> Image:
    """Gaussian grain of `sigma` levels."""
    source = np.random.default_rng(dice.randrange(2**32))
    grain = source.normal(0.0, sigma, image.shape).astype(np.float32)
    return np.asarray(np.clip(image.astype(np.float32) + grain, 0, 255), np.uint8)


def _lay_on_table(drawing: Image, treatment: Treatment, dice: Random) -> Image:
    width, height = treatment.frame
    share = dice.uniform(*treatment.card_share)
    card_height, card_width = drawing.shape[:2]
    scale = share * min(width / card_width, height / card_height)
    half = np.array([card_width, card_height]) * scale / 2
    angle = np.radians(dice.uniform(-treatment.turn_degrees, treatment.turn_degrees))
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reach = treatment.corner_jitter * card_width * scale
    corners = []
    for across, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x, y = spin @ (half * (across, down))
        corners.append(
            (
                width / 2 + x + dice.uniform(-reach, reach),
                height / 2 + y + dice.uniform(-reach, reach),
            )
        )
    flat = np.array([(0, 0), (card_width, 0), (card_width, card_height), (0, card_height)], np.float32)
    matrix = cv2.getPerspectiveTransform(flat, np.array(corners, np.float32))
    scene = _table(width, height, dice)
    mask = cv2.warpPerspective(_card_mask(card_width, card_height), matrix, (width, height))
    seen = cv2.warpPerspective(drawing, matrix, (width, height), flags=cv2.INTER_AREA)
    weight = (mask.astype(np.float32) / 255)[:, :, None]
    return np.asarray(seen * weight + scene * (1 - weight), np.uint8)


def _card_mask(width: int, height: int) -> Image:
    mask = np.zeros((height, width), np.uint8)
    radius = 36
    cv2.rectangle(mask, (radius, 0), (width - radius, height), 255, -1)
    cv2.rectangle(mask, (0, radius), (width, height - radius), 255, -1)
    for x in (radius, width - radius):
        for y in (radius, height - radius):
            cv2.circle(mask, (x, y), radius, 255, -1)
    return mask


def _table(width: int, height: int, dice: Random) -> Image:
    """Wood, roughly: a colour with long soft grain."""
    source = np.random.default_rng(dice.randrange(2**32))
    blue = dice.randrange(40, 100)
    colour = np.array([blue, blue + dice.randrange(10, 40), blue + dice.randrange(30, 80)])
    coarse = source.normal(0, 1, (height // 4, width // 40)).astype(np.float32)
    grain = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return np.asarray(np.clip(colour + grain[:, :, None] * 9, 0, 255), np.uint8)


def _glare(scene: Image, dice: Random) -> Image:
    height, width = scene.shape[:2]
    spot = np.zeros((height, width), np.float32)
    centre = (int(width * dice.uniform(0.3, 0.7)), int(height * dice.uniform(0.3, 0.7)))
    cv2.ellipse(
        spot, centre, (width // 9, height // 14), dice.uniform(0, 180), 0, 360, dice.uniform(50, 110), -1
    )
    soft = np.asarray(cv2.GaussianBlur(spot, (0, 0), 30))
    return np.asarray(np.clip(scene.astype(np.float32) + soft[:, :, None], 0, 255), np.uint8)


def _shake(scene: Image, length: int, angle: float) -> Image:
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    for step in np.linspace(-middle, middle, length * 3):
        kernel[round(middle + step * np.sin(angle)), round(middle + step * np.cos(angle))] = 1
    return np.asarray(cv2.filter2D(scene, -1, kernel / kernel.sum()), np.uint8)
