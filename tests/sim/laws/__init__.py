"""The laws that hold in every world, after every step, whatever fails."""

from tests.sim.laws import (
    clocks,
    commands,
    doors,
    firmware,
    gateways,
    guests,
    impostors,
    journals,
    numbers,
    storms,
    tenants,
)
from tests.sim.laws.book import LAWS, BrokenLawError, Law

__all__ = [
    "LAWS",
    "BrokenLawError",
    "Law",
    "clocks",
    "commands",
    "doors",
    "firmware",
    "gateways",
    "guests",
    "impostors",
    "journals",
    "numbers",
    "storms",
    "tenants",
]
