"""What links do to messages while the weather is bad, and a count of every fault that really struck."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.sim.chance import Chance

#: What a link may do to one message.
MODES = ("drop", "duplicate", "delay", "reorder", "cut")
LINKS = ("ble", "mqtt", "http")
#: Milliseconds that a delayed message is late, at most: longer than a command lives.
LATE_MS = 40_000


@dataclass(slots=True)
class Spell:
    """Bad weather on one kind of link, until it is over."""

    link: str
    mode: str
    share: float
    until: int
    dice: Chance


@dataclass(slots=True)
class Weather:
    """All spells of one world."""

    spells: list[Spell] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    """Faults that met something, by kind."""

    def begin(self, spell: Spell) -> None:
        """A spell sets in."""
        self.spells.append(spell)

    def clear(self) -> None:
        """The sun comes out, for good."""
        self.spells.clear()

    def fate(self, link: str, now: int) -> tuple[str, Chance] | None:
        """What becomes of a message that is sent now: None, or a mode and the dice for its measure."""
        if not self.spells:
            return None
        self.spells = [spell for spell in self.spells if spell.until > now]
        for spell in self.spells:
            if spell.link == link and spell.dice.happens(spell.share):
                self.struck[f"{link}.{spell.mode}"] += 1
                return spell.mode, spell.dice
        return None
