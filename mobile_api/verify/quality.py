"""What is wrong with a picture that could not be read: too blurred, too dark, glare.

These measures explain a failure; they never refuse a picture that was read.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from mobile_api.verify.codes import Refusal
from mobile_api.verify.intake import Image

_WIDTH: Final = 800  # measured at one width, so that a number means the same for every camera
_TILES: Final = 8
# Chosen on the specimen generator: readable cards measure 14 and up, blurred beyond reading below 6.
SHARPNESS_MIN: Final = 9.0
BRIGHTNESS_MIN: Final = 45.0
GLARE_SHARE_MAX: Final = 0.06


@dataclass(frozen=True)
class Quality:
    """Three measures of one picture.

    `sharpness`: edge strength of the sharpest tiles, grey levels; `brightness`: mean grey level
    0-255; `glare`: share of burnt-out pixels 0-1.
    """

    sharpness: float
    brightness: float
    glare: float

    def complaint(self) -> Refusal | None:
        """The likeliest reason why a picture could not be read; None if it looks sound."""
        if self.brightness < BRIGHTNESS_MIN:
            return Refusal.PICTURE_DARK
        if self.sharpness < SHARPNESS_MIN:
            return Refusal.PICTURE_BLURRED
        if self.glare > GLARE_SHARE_MAX:
            return Refusal.PICTURE_GLARE
        return None


def measure(image: Image) -> Quality:
    """Measure one picture, a few milliseconds."""
    scale = _WIDTH / image.shape[1]
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)  # grain is not sharpness
    edges = np.abs(cv2.Laplacian(smooth, cv2.CV_32F))
    tiles = [
        tile
        for band in np.array_split(edges, _TILES, axis=0)
        for tile in np.array_split(band, _TILES, axis=1)
    ]
    strongest = sorted(float(np.percentile(tile, 99)) for tile in tiles)[-_TILES:]
    return Quality(
        sharpness=float(np.mean(strongest)),
        brightness=float(grey.mean()),
        glare=float((grey > 250).mean()),  # noqa: PLR2004 - burnt out
    )
