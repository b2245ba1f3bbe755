"""A quarter of the worlds, judged after every step: remote commands and the broker between."""

from __future__ import annotations

import pytest

from tests.sim.quarter import holds, nothing_else_broke

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

PART = 1


def test_L15_world_no_late_unlock_and_state_converges() -> None:
    holds(PART, "L-15")


def test_L16_world_one_movement_a_command() -> None:
    holds(PART, "L-16")


def test_L17_world_every_command_ends_by_legal_steps() -> None:
    holds(PART, "L-17")


def test_L19_world_no_door_opens_without_its_holders_wish() -> None:
    holds(PART, "L-19")


def test_L22_world_done_means_that_the_lock_said_so() -> None:
    holds(PART, "L-22")


def test_nothing_else_broke() -> None:
    nothing_else_broke(PART)
