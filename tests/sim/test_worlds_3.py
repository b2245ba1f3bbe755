"""A quarter of the worlds, judged after every step: what a lock remembers: power, time, numbers, journal."""

from __future__ import annotations

import pytest

from tests.sim.quarter import holds, nothing_else_broke

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

PART = 2


def test_L10_world_every_movement_is_written_or_torn() -> None:
    holds(PART, "L-10")


def test_L11_world_a_lost_clock_opens_nothing_and_the_floor_never_falls() -> None:
    holds(PART, "L-11")


def test_L12_world_numbers_only_rise() -> None:
    holds(PART, "L-12")


def test_L21_world_the_kept_journal_is_what_the_lock_wrote() -> None:
    holds(PART, "L-21")


def test_L53_world_a_flood_costs_no_opening() -> None:
    holds(PART, "L-53")


def test_nothing_else_broke() -> None:
    nothing_else_broke(PART)
