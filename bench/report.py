"""How every figure is told: one JSON object a line as soon as it is known, one table at the end.

Machines are shared and noisy, so a figure is told beside something that ran in the same run, and the
ratio of the two is what counts. Nothing here asserts a time.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import TextIO

Extra = bool | int | float | str | list[str] | Mapping[str, float] | None


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    `beside` is the value of what ran next to it in the same run, in the same unit; `ratio` is
    value / beside unless given. `n` is how many samples stand behind the value. `extra` goes into the
    line under its own names (percentiles, counts, rates).
    """

    figure: str
    value: float
    unit: str
    beside: float | None = None
    ratio: float | None = None
    n: int = 1
    extra: Mapping[str, Extra] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The line, keys in the order of figures.md."""
        ratio = self.ratio
        if ratio is None and self.beside:
            ratio = self.value / self.beside
        return {
            "figure": self.figure,
            "value": _short(self.value),
            "unit": self.unit,
            "beside": _short(self.beside),
            "ratio": _short(ratio),
            "n": self.n,
            **{name: _short(value) for name, value in self.extra.items()},
        }


def emit(figure: Figure, to: TextIO | None = None) -> Figure:
    """Print one figure as a JSON line, at once; returns it so that it can be kept for the table."""
    out = to or sys.stdout
    out.write(json.dumps(figure.as_json(), ensure_ascii=False) + "\n")
    out.flush()
    return figure


def table(figures: Iterable[Figure], to: TextIO | None = None) -> None:
    """Print figures as aligned columns, for eyes; to standard error, so that lines stay lines."""
    out = to or sys.stderr
    rows = [("figure", "value", "unit", "beside", "ratio", "n")]
    for figure in figures:
        line = figure.as_json()
        rows.append(tuple("" if line[name] is None else str(line[name]) for name in rows[0]))  # type: ignore[arg-type]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")
    out.flush()


def percentile(samples: Sequence[float], share: float) -> float:
    """Nearest-rank percentile; `share` 0 to 1. Raises ValueError on no samples."""
    if not samples:
        msg = "no samples"
        raise ValueError(msg)
    ordered = sorted(samples)
    return ordered[max(ceil(share * len(ordered)) - 1, 0)]


def p50(samples: Sequence[float]) -> float:
    """The median."""
    return float(median(samples))


def _short(value: Extra) -> Extra:
    """Four significant digits are more than any of these measurements carries."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {name: float(f"{part:.6g}") for name, part in value.items()}
    return value
