"""Who plays: made-up people with fresh names, numbers and pictures at every run.

Faces are two public-domain portraits (`lockserver.run.specimen.portraits`). The "selfie" is a second view
rendered from the same photograph: what the demo shows with it is that the parts work together, not how well
faces are told apart. That is what `bench.face` measures.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lockserver.run.specimen.card import draw_back, draw_front
from lockserver.run.specimen.people import Person, draw_person, with_wrong_check_digit
from lockserver.run.specimen.photo import MILD, blurred, jpeg, photograph
from lockserver.run.specimen.portraits import card_portrait, selfie, wrong_selfie

if TYPE_CHECKING:
    from lockserver.domain.identity import IdentityFields

_UNREADABLE_SIGMA = 9.0
"""Pixels of blur on a card of 1000: no character survives."""


@dataclass(frozen=True)
class Actor:
    """One person of the story: who he is, and the number his phone has."""

    role: str
    person: Person
    phone: str
    seed: int

    @property
    def fields(self) -> IdentityFields:
        """What his card says."""
        return self.person.fields

    @property
    def declared(self) -> dict[str, str]:
        """The same, as the app sends it (sealed)."""
        return {name: str(value) for name, value in asdict(self.fields).items()}

    @cached_property
    def card_front(self) -> bytes:
        """A photograph of his card's portrait side."""
        return photograph(draw_front(self.fields, card_portrait()), MILD, self.seed)

    @cached_property
    def card_back(self) -> bytes:
        """A photograph of the other side."""
        return photograph(draw_back(self.fields), MILD, self.seed + 1)

    @cached_property
    def blurred_front(self) -> bytes:
        """The portrait side, out of focus."""
        return jpeg(blurred(draw_front(self.fields, card_portrait()), _UNREADABLE_SIGMA))

    @cached_property
    def front_with_wrong_digit(self) -> bytes:
        """The same card, its number with a check digit that cannot be right."""
        wrong = replace(self.fields, number=with_wrong_check_digit(self.fields.number))
        return photograph(draw_front(wrong, card_portrait()), MILD, self.seed)

    @cached_property
    def selfie(self) -> bytes:
        """A second view of the portrait on his card."""
        return jpeg(selfie(self.seed))

    @cached_property
    def wrong_selfie(self) -> bytes:
        """Somebody else."""
        return jpeg(wrong_selfie(self.seed))

    def census_entry(self) -> dict[str, Any]:
        """How the mock province knows him: its own synthetic population."""
        return {"name": self.fields.name, "document_type": "111", "document_number": self.fields.number}


def draw_actor(role: str) -> Actor:
    """Return a fresh made-up adult."""
    seed = secrets.randbelow(2**31)
    return Actor(role, draw_person(seed, today=date.today()), _draw_phone_number(), seed)  # noqa: DTZ011 - a made-up age


def _draw_phone_number() -> str:
    """A mobile number of the form that China's plan leaves to no operator (block 1540000…): nobody's."""
    return f"154{secrets.randbelow(10**8):08d}"
