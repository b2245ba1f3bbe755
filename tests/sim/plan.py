"""What befalls a world, drawn from its seed beforehand: acts of people, of attackers, and faults, at their times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.sim.agenda import clock_face
from tests.sim.chance import Chance

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

#: How likely each act is. A profile turns some of them up.
USUAL: Final[dict[str, int]] = {
    "visit": 16, "sync": 10, "remote": 12, "owner_visit": 3, "lease": 3, "end_lease": 2, "lose_phone": 1,
    "read": 2, "weather": 7, "cut_flash": 5, "cut_motor": 2, "crash": 5, "broker_restart": 2,
    "clock_drift": 1, "clock_lost": 1, "clock_back": 1, "clock_reset": 1, "offline": 2, "asleep": 1,
    "no_network": 2, "jam": 1, "replay_radio": 3, "replay_command": 4, "replay_report": 3, "hold": 2,
    "retain": 2, "keeper": 4, "pool": 3, "stranger": 3, "thief": 3, "old_documents": 3, "landlord_tries": 2,
    "forge": 1, "double": 2, "ambush": 1, "turnover": 1,
}  # fmt: skip

PROFILES: Final[dict[str, dict[str, int]]] = {
    "daily": {},
    "radio": {"visit": 20, "replay_radio": 14, "weather": 12, "pool": 8, "old_documents": 8, "stranger": 10},
    "broker": {"remote": 30, "replay_command": 14, "replay_report": 10, "hold": 10, "retain": 10, "weather": 10},
    "power": {"visit": 24, "remote": 16, "cut_flash": 26, "cut_motor": 12},
    "clocks": {
        "clock_drift": 5, "clock_lost": 6, "clock_back": 6, "clock_reset": 6, "visit": 24, "remote": 14,
        "keeper": 10,
    },
    "turnover": {
        "turnover": 16, "lease": 10, "end_lease": 10, "visit": 20, "keeper": 16, "lose_phone": 6,
        "landlord_tries": 8, "owner_visit": 8,
    },
    "strangers": {"stranger": 40, "visit": 30, "cut_flash": 8, "sync": 12},
    "flood": {"stranger": 20, "visit": 40, "owner_visit": 10, "keeper": 12, "pool": 14, "cut_flash": 8},
    "lists": {"lease": 16, "end_lease": 26, "lose_phone": 14, "keeper": 30, "visit": 24, "sync": 10},
    "pooled": {"pool": 44, "visit": 16, "sync": 14, "lease": 6},
    "forged": {"forge": 30, "visit": 24, "remote": 10},
    "slow": {"ambush": 40, "remote": 10, "clock_drift": 6, "no_network": 8},
    "doubles": {"double": 20, "retain": 10, "remote": 50, "cut_motor": 8, "visit": 8},
    "thieves": {"thief": 40, "remote": 24, "visit": 8},
    "lossy": {"weather": 44, "visit": 34, "owner_visit": 10, "stranger": 8},
    "olden": {"old_documents": 44, "sync": 14, "visit": 16, "turnover": 10},
    "reading": {"read": 40, "visit": 30, "jam": 6},
    "landlord": {"landlord_tries": 40, "owner_visit": 14, "visit": 14, "lease": 8, "end_lease": 4},
    "crashes": {"crash": 26, "remote": 24, "sync": 14, "broker_restart": 6},
}  # fmt: skip

#: Profiles that are lived through by name only: what is drawn from a seed alone stays as it was.
NAMED: Final[dict[str, dict[str, int]]] = {
    "guests": {"guest": 60, "change_guest": 260, "guest_visit": 160, "keeper": 30, "weather": 4, "lease": 24},
    "firmware": {"firmware": 200, "cut_flash": 30, "replay_command": 30, "broker_restart": 6},
    "storm": {"storm": 260, "remote": 40, "visit": 20},
    "impostors": {"impostor": 60, "visit": 24, "sync": 12},
    "benders": {"bend": 40, "bend_command": 40, "remote": 16, "sync": 12},
    "spilled": {"spill": 30, "visit": 20, "remote": 16, "sync": 12},
    "neighbours": {"neighbour": 40, "remote": 40, "visit": 14},
    "gateways": {"remote": 120, "gateway_dies": 40, "gateway_asks": 30, "visit": 10},
}  # fmt: skip

#: Gaps between two acts, and how often each: bursts, pauses, nights, weeks.
_GAPS: Final[dict[str, int]] = {"burst": 50, "minute": 22, "hour": 6, "night": 3, "days": 1}
_LENGTH: Final[dict[str, tuple[int, int]]] = {
    "burst": (50, 4 * SECOND),
    "minute": (5 * SECOND, 50 * SECOND),
    "hour": (20 * MINUTE, 3 * HOUR),
    "night": (6 * HOUR, 30 * HOUR),
    "days": (2 * DAY, 9 * DAY),
}
#: Acts in one world.
ACTS_A_WORLD: Final = (9, 17)
#: Nothing befalls a world in its first moments: locks connect, phones sync.
CALM_MS: Final = 9 * SECOND


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that will befall a world. Its own dice, named by its number, choose whom and how much."""

    number: int
    at: int
    kind: str

    def __str__(self) -> str:
        return f"[{self.number}] {clock_face(self.at)}  {self.kind}"


def make_plan(seed: int, profile: str | None) -> tuple[str, list[Item]]:
    """The profile and the plan of a seed."""
    dice = Chance("plan", seed)
    name = profile or dice.one(sorted(PROFILES))
    dice = dice.of(name)
    weights = USUAL | (PROFILES | NAMED)[name]
    at, items = CALM_MS, []
    for number in range(dice.between(*ACTS_A_WORLD)):
        at += dice.between(*_LENGTH[dice.weighted(_GAPS)])
        items.append(Item(number, at, dice.weighted(weights)))
    return name, items
