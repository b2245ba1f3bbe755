"""A quarter of the worlds, judged after every step: those who live there, and those who did."""

from __future__ import annotations

import pytest

from tests.sim.quarter import holds, nothing_else_broke

pytestmark = pytest.mark.timeout(600)  # virtual time, real arithmetic: slow on a busy machine

PART = 3


def test_L08_world_a_revoked_key_dies_at_first_contact() -> None:
    holds(PART, "L-08")


def test_L09_world_nothing_revoked_revives() -> None:
    holds(PART, "L-09")


def test_L45_world_nothing_takes_a_living_tenants_way_in() -> None:
    holds(PART, "L-45")


def test_L50_world_unknown_is_unknown() -> None:
    holds(PART, "L-50")


def test_L54_world_every_living_tenant_gets_in() -> None:
    holds(PART, "L-54")


def test_nothing_else_broke() -> None:
    nothing_else_broke(PART)
