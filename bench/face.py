"""How well faces are told apart, engine beside engine: `python -m bench.face --data DIR`.

DIR holds `pairs.csv` (fold, same, first, second) and `images/`. Real people's pictures stay where they
are: nothing of them is printed, only counts. Accuracy is at the best single threshold of the *other*
folds (ten- or five-fold as the file has them), as LFW's protocol asks, and beside it at the
thresholds in use.
"""

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.report import Figure, emit, p50, percentile, table
from mobile_api.verify.codes import PictureRefusedError
from mobile_api.verify.engines import ENGINES, load_engine
from mobile_api.verify.face import Crowd, FaceEngine, Thresholds
from mobile_api.verify.intake import open_picture

_UNDETECTED = -2.0  # below every score an engine can give: an undetected face accepts nobody
_RATES = (1e-2, 1e-3)


@dataclass(frozen=True)
class Pair:
    """Two picture names and whether they show one person."""

    fold: str
    same: bool
    first: str
    second: str


@dataclass(frozen=True)
class Scores:
    """One engine's scores for a list of pairs."""

    engine: str
    thresholds: Thresholds
    values: NDArray[np.float64]
    seconds: list[float]

    @property
    def undetected(self) -> int:
        """Pairs in which a face was not found, or not exactly one."""
        return int((self.values == _UNDETECTED).sum())


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, return 0."""
    given = _parse(arguments)
    pairs = _pairs(given.data, given.limit)
    names = given.engine or [name for name in ENGINES if _installed(name)]
    images = given.data / "images"
    results = [_score(load_engine(name, Crowd.CENTRAL), pairs, images) for name in names]
    figures = []
    for index, scores in enumerate(results):
        other = results[1 - index] if len(results) == 2 else None
        figures += _figures(scores, pairs, other)
    table(figures)
    return 0


def accuracy(pairs: Sequence[Pair], values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean accuracy over folds, each judged by the threshold best on the others; that threshold."""
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    names = sorted(set(folds.tolist()))
    right, cuts = [], []
    for name in names:
        held = folds == name
        learnt = ~held if len(names) > 1 else held
        cut = best_threshold(same[learnt], values[learnt])
        cuts.append(cut)
        right.append(float(((values[held] >= cut) == same[held]).mean()))
    return float(np.mean(right)), float(np.mean(cuts))


def best_threshold(same: NDArray[np.bool_], values: NDArray[np.float64]) -> float:
    """The score that parts the two kinds with the fewest mistakes (the middle of its plateau)."""
    order = np.argsort(values)
    ranked = same[order]
    # Cutting below rank k accepts k.. and rejects ..k-1.
    mistakes = np.r_[0, np.cumsum(ranked)] + np.r_[np.cumsum(~ranked[::-1])[::-1], 0]
    best = np.flatnonzero(mistakes == mistakes.min())
    padded = np.r_[values[order][0] - 1e-6, values[order], values[order][-1] + 1e-6]
    cuts = (padded[best] + padded[best + 1]) / 2
    return float(np.median(cuts))


def accepts_at(same: NDArray[np.bool_], values: NDArray[np.float64], rate: float) -> tuple[float, float]:
    """Share of true pairs accepted where at most `rate` of false pairs are; the threshold."""
    false = np.sort(values[~same])[::-1]
    allowed = int(rate * len(false))
    cut = float(np.nextafter(false[allowed], np.inf)) if allowed < len(false) else float(false[-1])
    return float((values[same] >= cut).mean()), cut


def _score(engine: FaceEngine, pairs: Sequence[Pair], images: Path) -> Scores:
    values = np.full(len(pairs), _UNDETECTED)
    seconds = []
    for index, pair in enumerate(pairs):
        try:
            pictures = [open_picture((images / name).read_bytes()) for name in (pair.first, pair.second)]
        except PictureRefusedError:
            continue
        started = time.perf_counter()
        found = engine.compare(pictures[0], pictures[1])
        seconds.append(time.perf_counter() - started)
        if found.score is not None:
            values[index] = found.score
    return Scores(engine.name, engine.thresholds, values, seconds)


def _figures(scores: Scores, pairs: Sequence[Pair], other: Scores | None) -> list[Figure]:
    same = np.array([pair.same for pair in pairs])
    values, name, count = scores.values, scores.engine, len(pairs)
    mean, cut = accuracy(pairs, values)
    accept, review = scores.thresholds.accept, scores.thresholds.review
    rates = {rate: accepts_at(same, values, rate) for rate in _RATES}
    milliseconds = [1000 * value for value in scores.seconds]
    return [
        emit(
            Figure(
                f"face.{name}.accuracy",
                mean,
                "share of pairs",
                accuracy(pairs, other.values)[0] if other else None,
                n=count,
                extra={
                    "threshold_fitted": cut,
                    "accuracy_at_accept": float(((values >= accept) == same).mean()),
                    "accept": accept,
                    "review": review,
                    "true_accepted": float((values[same] >= accept).mean()),
                    "true_reviewed": float(((values[same] >= review) & (values[same] < accept)).mean()),
                    "true_declined": float((values[same] < review).mean()),
                    "false_accepted": float((values[~same] >= accept).mean()),
                    "false_reviewed": float(((values[~same] >= review) & (values[~same] < accept)).mean()),
                    "true_accepts_at_far_1e-2": rates[1e-2][0],
                    "true_accepts_at_far_1e-3": rates[1e-3][0],
                    "threshold_at_far_1e-2": rates[1e-2][1],
                    "threshold_at_far_1e-3": rates[1e-3][1],
                    "undetected": scores.undetected,
                },
            )
        ),
        emit(
            Figure(
                f"face.{name}.pair",
                p50(milliseconds),
                "ms",
                p50([1000 * value for value in other.seconds]) if other else None,
                n=len(milliseconds),
                extra={"p99": percentile(milliseconds, 0.99)},
            )
        ),
    ]


def _pairs(folder: Path, limit: int | None) -> list[Pair]:
    with (folder / "pairs.csv").open(encoding="utf-8", newline="") as lines:
        pairs = [
            Pair(line["fold"], line["same"] == "1", line["first"], line["second"])
            for line in csv.DictReader(lines)
        ]
    if limit is None or limit >= len(pairs):
        return pairs
    step = len(pairs) / limit  # spread over folds and both kinds
    return [pairs[int(index * step)] for index in range(limit)]


def _installed(name: str) -> bool:
    try:
        load_engine(name)
    except ImportError:
        return False
    return True


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.face", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder: pairs.csv and images/")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: all installed")
    parser.add_argument("--limit", type=int, help="only so many pairs, spread evenly")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
