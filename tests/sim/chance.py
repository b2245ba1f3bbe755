"""Seeded dice, one box for each purpose: taking one action out of a world leaves all other dice as they lay."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


class Chance:
    """The dice of one purpose in one world, named by a path. Equal paths, equal throws, in every process."""

    def __init__(self, *path: object) -> None:
        self._path = path
        self._random = random.Random("/".join(map(str, path)))  # a text is hashed with SHA-512: no hash seed

    def of(self, *path: object) -> Chance:
        """The dice of something inside this purpose."""
        return Chance(*self._path, *path)

    def bytes(self, count: int) -> bytes:
        """Random bytes: the `Random` of wire and use cases."""
        return self._random.randbytes(count)

    def below(self, end: int) -> int:
        """An integer in [0, end)."""
        return self._random.randrange(end)

    def between(self, least: int, most: int) -> int:
        """An integer in [least, most]."""
        return self._random.randint(least, most)

    def share(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self._random.random() < probability

    def one(self, things: Sequence[Thing]) -> Thing:
        """One of them."""
        return things[self._random.randrange(len(things))]

    def weighted(self, weights: dict[str, int]) -> str:
        """A name, as often as its weight says."""
        return self._random.choices(list(weights), list(weights.values()))[0]

    def some(self, things: Sequence[Thing], count: int) -> list[Thing]:
        """Several different ones."""
        return self._random.sample(list(things), min(count, len(things)))
