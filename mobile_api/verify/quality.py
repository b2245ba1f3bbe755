"""What is wrong with a picture that could not be read: too blurred, too dark, glare.

These measures explain a failure; they never refuse a picture that was read.
"""

from typing import Final

import cv2
import numpy as np

from mobile_api.verify.pixels import Image
from mobile_api.verify.reading import Quality

_WIDTH: Final = 800  # measured at one width, so that a number means the same for every camera
_TILES: Final = 8


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
