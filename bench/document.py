"""How many cards are read all right, field by field: `python -m bench.document [--data DIR]`.

Without `--data` it photographs specimens of its own: mild, harsh, and every right-angle rotation. With
it, DIR holds `truth.jsonl` as the page of figures says.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from bench.report import Figure, emit, p50, percentile, table
from lockserver.domain.identity import FIELD_NAMES, IdentityFields
from lockserver.run.specimen.dataset import (
    PhotographedCard,
    Roughness,
    photographed_card,
    photographed_cards,
)
from mobile_api.verify.document import CardReader

_TODAY = date(2025, 11, 1)  # the specimens' today: the same cards at every run
_MILD, _HARSH, _TURNED = 60, 40, 8


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, return 0."""
    given = _parse(arguments)
    reader = _reader()
    figures = []
    if given.data:
        figures.append(_measure("document", reader, _from_folder(given.data), given))
    else:
        sets: list[tuple[str, int, Iterable[PhotographedCard]]] = [
            ("document.mild", given.mild, photographed_cards(given.mild, "mild", today=_TODAY)),
            ("document.harsh", given.harsh, photographed_cards(given.harsh, "harsh", today=_TODAY)),
            ("document.turned", given.turned, _turned_cards(given.turned)),
        ]
        figures += [_measure(name, reader, cards, given) for name, count, cards in sets if count]
    table(figures)
    return 0


def _measure(
    name: str, reader: CardReader, cards: Iterable[PhotographedCard], given: argparse.Namespace
) -> Figure:
    right: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    seconds: list[float] = []
    total = whole = portraits = 0
    for index, card in enumerate(cards):
        started = time.perf_counter()
        reading = reader.read_card(card.front, card.back)
        seconds.append((time.perf_counter() - started) / 2)
        read, truth = reading.as_identity().as_dict(), card.truth.as_dict()
        wrong = [field for field in FIELD_NAMES if read[field] != truth[field]]
        right.update(field for field in FIELD_NAMES if field not in wrong)
        faults.update(str(side.refusal) for side in reading.refused)
        total += 1
        whole += not wrong
        portraits += reading.portrait is not None
        if wrong and given.verbose:
            told = {field: (truth[field], read[field]) for field in wrong}
            sys.stderr.write(f"{name} {index}: {json.dumps(told, ensure_ascii=False)}\n")
    return emit(
        Figure(
            name,
            whole / max(total, 1),
            "cards with all fields right",
            n=total,
            extra={
                "all_fields_right": whole / max(total, 1),
                "cards_right": whole,
                "portraits_found": portraits,
                "fields_right": {field: right[field] / max(total, 1) for field in FIELD_NAMES},
                "refusals": {code: float(count) for code, count in faults.items()},
                "ms_a_side_p50": 1000 * p50(seconds) if seconds else None,
                "ms_a_side_p99": 1000 * percentile(seconds, 0.99) if seconds else None,
            },
        )
    )


def _turned_cards(count: int) -> Iterator[PhotographedCard]:
    for seed in range(1, count + 1):
        for quarter_turns in (1, 2, 3):
            roughness: Roughness = "mild" if seed % 2 else "harsh"
            yield photographed_card(seed, roughness, today=_TODAY, quarter_turns=quarter_turns)


def _from_folder(folder: Path) -> Iterator[PhotographedCard]:
    for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        if line.strip():
            card = json.loads(line)
            truth = IdentityFields(**{name: card[name] for name in FIELD_NAMES})
            front = (folder / card["front"]).read_bytes()
            back = (folder / card["back"]).read_bytes()
            yield PhotographedCard(front, back, truth)


def _reader() -> CardReader:
    import cv2

    from mobile_api.verify.ocr import RapidReader
    from mobile_api.verify.sface import SFaceEngine

    cv2.setNumThreads(1)
    return CardReader(RapidReader(threads=1), SFaceEngine())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.document", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with truth.jsonl")
    parser.add_argument("--mild", type=int, default=_MILD)
    parser.add_argument("--harsh", type=int, default=_HARSH)
    parser.add_argument("--turned", type=int, default=_TURNED, help="cards, each turned three ways")
    parser.add_argument("--verbose", action="store_true", help="tell each wrong field (specimens!)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
