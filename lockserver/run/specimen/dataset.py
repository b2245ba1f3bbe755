"""Sets of photographed specimen cards with their truth, in memory or as a folder.

The folder's form is the one `bench.document --data DIR` reads: `truth.jsonl`, one card a line.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from lockserver.domain.identity import IdentityFields
from lockserver.run.specimen.card import draw_back, draw_front
from lockserver.run.specimen.people import draw_person
from lockserver.run.specimen.photo import HARSH, MILD, photograph, turned_jpeg
from lockserver.run.specimen.portraits import card_portrait

Roughness = Literal["mild", "harsh"]


@dataclass(frozen=True)
class PhotographedCard:
    """Two JPEG files and what they say."""

    front: bytes
    back: bytes
    truth: IdentityFields


def photographed_card(
    seed: int, roughness: Roughness, *, today: date, quarter_turns: int = 0
) -> PhotographedCard:
    """The card of this seed, photographed; same arguments, same bytes."""
    truth = draw_person(seed, today=today).fields
    treatment = MILD if roughness == "mild" else HARSH
    front = photograph(draw_front(truth, card_portrait()), treatment, seed * 2)
    back = photograph(draw_back(truth), treatment, seed * 2 + 1)
    if quarter_turns:
        front, back = turned_jpeg(front, quarter_turns), turned_jpeg(back, quarter_turns)
    return PhotographedCard(front, back, truth)


def photographed_cards(
    count: int, roughness: Roughness, *, today: date, first_seed: int = 1
) -> Iterator[PhotographedCard]:
    """`count` different cards."""
    for seed in range(first_seed, first_seed + count):
        yield photographed_card(seed, roughness, today=today)


def write_folder(cards: Iterator[PhotographedCard], folder: Path) -> int:
    """Write cards and `truth.jsonl` into an existing folder; returns how many."""
    lines = []
    for index, card in enumerate(cards):
        names = {"front": f"{index:03d}-front.jpg", "back": f"{index:03d}-back.jpg"}
        (folder / names["front"]).write_bytes(card.front)
        (folder / names["back"]).write_bytes(card.back)
        lines.append(json.dumps({**names, **card.truth.as_dict()}, ensure_ascii=False))
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)
