"""From words to rows: which words stand on one line of a card photographed at an angle.

Under perspective no two lines of a card are parallel, so the slope of a line is taken as a linear field
over the picture, fitted to the long words; rows are then chained from neighbour to neighbour.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mobile_api.verify.ocr import Quad, Word

Slope = Callable[[Quad], float]

_GAP_IN_HEIGHTS = 4.5  # widest gap inside one row of a card: 性别 女 → 民族, about three
_OFFSET_IN_HEIGHTS = 0.55
_FIELD_RIDGE = 0.5  # pulls the fitted slopes towards one common slope where words are few


@dataclass(frozen=True)
class Row:
    """Words of one line, left to right."""

    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words joined without spaces; Chinese has none."""
        return "".join("".join(word.text.split()) for word in self.words)

    @property
    def score(self) -> float:
        """The doubt of the most doubtful word."""
        return min(word.score for word in self.words)

    @property
    def height(self) -> float:
        """Median line height, pixels."""
        return float(np.median([word.height for word in self.words]))


def slope_field(words: list[Word]) -> Slope:
    """The tangent of the text's slope at a point, fitted over all words weighted by length."""
    if not words:
        return lambda _point: 0.0
    middles = np.array([word.centre for word in words])
    runs = np.array([word.right - word.left for word in words])
    lengths = np.hypot(runs[:, 0], runs[:, 1])
    slopes = runs[:, 1] / np.where(np.abs(runs[:, 0]) < 1, 1, runs[:, 0])
    weights = (lengths / lengths.max()) ** 2
    origin, scale = middles.mean(axis=0), max(float(np.ptp(middles, axis=0).max()), 1.0)
    places = (middles - origin) / scale
    design = np.column_stack([np.ones(len(words)), places])
    ridge = np.diag([1e-9, _FIELD_RIDGE, _FIELD_RIDGE])
    for _ in range(3):  # reweighted: short words and stray text lie about their slope
        gram = design.T @ (design * weights[:, None]) + ridge
        fitted = np.linalg.solve(gram, design.T @ (slopes * weights))
        residual = np.abs(slopes - design @ fitted)
        weights = (lengths / lengths.max()) ** 2 / (1 + (residual / 0.05) ** 2)
    return lambda point: float(np.r_[1.0, (point - origin) / scale] @ fitted)


def into_rows(words: list[Word]) -> list[Row]:
    """Rows from top to bottom."""
    slope = slope_field(words)
    after: dict[int, int] = {}
    taken: set[int] = set()
    for gap, first, second in sorted(_links(words, slope)):
        del gap
        if first not in after and second not in taken:
            after[first] = second
            taken.add(second)
    rows = []
    for start in range(len(words)):
        if start in taken:
            continue
        chain = [start]
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        rows.append(Row(tuple(words[index] for index in chain)))
    middle = np.mean([word.centre for word in words], axis=0) if words else np.zeros(2)
    return sorted(rows, key=lambda row: _drop(row.words[0].left, middle, slope))


def _links(words: list[Word], slope: Slope) -> list[tuple[float, int, int]]:
    found = []
    for first, left in enumerate(words):
        for second, right in enumerate(words):
            if first == second:
                continue
            run = right.left - left.right
            height = min(left.height, right.height)
            if right.centre[0] <= left.centre[0] or run[0] < -height:
                continue
            tilt = slope((right.left + left.right) / 2)
            # From middle to middle too: a link must hold for the words, not only for their ends.
            offset = abs(run[1] - tilt * run[0]) / np.hypot(1, tilt)
            if run[0] <= _GAP_IN_HEIGHTS * height and offset <= _OFFSET_IN_HEIGHTS * height:
                found.append((float(abs(run[0]) + 2 * offset), first, second))
    return found


def _drop(point: Quad, middle: Quad, slope: Slope) -> float:
    """How far below the line through `middle` a point lies, along the field at half way."""
    tilt = slope((point + middle) / 2)
    return float(point[1] - middle[1] - tilt * (point[0] - middle[0]))
