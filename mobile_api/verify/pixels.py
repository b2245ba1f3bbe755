"""The one form in which a decoded picture travels through this room."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""Height x width x 3, blue-green-red, as OpenCV holds it."""
