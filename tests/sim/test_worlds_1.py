"""A quarter of the worlds, judged after every step: who stands at a door."""

from __future__ import annotations

import pytest

from tests.sim.quarter import holds, nothing_else_broke

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

PART = 0


def test_L02_world_a_recorded_opening_opens_nothing() -> None:
    holds(PART, "L-02")


def test_L04_world_nobody_enters_outside_his_time() -> None:
    holds(PART, "L-04")


def test_L05_world_pooled_material_opens_nothing() -> None:
    holds(PART, "L-05")


def test_L06_world_guessing_has_a_price_and_the_rightful_never_pay_it() -> None:
    holds(PART, "L-06")


def test_L52_world_an_occupied_room_is_its_tenants() -> None:
    holds(PART, "L-52")


def test_nothing_else_broke() -> None:
    nothing_else_broke(PART)
