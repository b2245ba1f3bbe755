"""Text in a picture, as words with their places: PP-OCR through `rapidocr`, offline, one thread.

The weights are inside the wheel (PP-OCRv6 detection and recognition, Apache-2.0); no call here reaches
for a network.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobile_api.verify.pixels import Image

Quad = NDArray[np.float64]
"""Four corners x, y: top left, top right, bottom right, bottom left as the picture lies."""


@dataclass(frozen=True, eq=False)
class Word:
    """One run of text. `score` is the recogniser's mean certainty, 0 to 1."""

    text: str
    score: float
    quad: Quad

    @property
    def left(self) -> Quad:
        """Middle of the left edge."""
        return np.asarray((self.quad[0] + self.quad[3]) / 2)

    @property
    def right(self) -> Quad:
        """Middle of the right edge."""
        return np.asarray((self.quad[1] + self.quad[2]) / 2)

    @property
    def centre(self) -> Quad:
        """Middle of the word."""
        return np.asarray(self.quad.mean(axis=0))

    @property
    def width(self) -> float:
        """Length of the word along its line, pixels."""
        return float(np.linalg.norm(self.right - self.left))

    @property
    def height(self) -> float:
        """Height of the line, pixels."""
        ups = np.linalg.norm(self.quad[3] - self.quad[0]) + np.linalg.norm(self.quad[2] - self.quad[1])
        return float(ups / 2)


class TextReader(Protocol):
    """Whatever finds words in a picture."""

    def read(self, image: Image) -> list[Word]:
        """Words in no particular order; an empty list if there are none."""
        ...


class RapidReader:
    """PP-OCR; load once in a process, about 0.3 s and 150 MiB."""

    def __init__(self, threads: int = 1) -> None:
        from rapidocr import RapidOCR

        self._engine = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.text_score": 0.3,  # the parser weighs doubt itself
                "Det.limit_type": "max",
                "Det.limit_side_len": 960,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, image: Image) -> list[Word]:
        """Detect, turn upside-down lines, recognise."""
        # Typed as any of four kinds of answer; asked for all stages, it gives the full one.
        found: Any = self._engine(image)
        if found.boxes is None or found.txts is None:
            return []
        return [
            Word(text.strip(), float(score), np.asarray(quad, np.float64))
            for quad, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
            if text.strip()
        ]
